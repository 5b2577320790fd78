package auth_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/problem"
)

// signedText is a token whose payload is written out, so that it can be what no library would write.
func signedText(t *testing.T, header, payload string) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := jwt.SigningMethodHS256.Sign(text, tokenSecret)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(signature)
}

// Given tokens that are signed well, and say something else than they seem to, or what no access token of this system says
// Then each is refused, and what is at fault is named.
func TestClaimsAreReadExactly(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	verifier, err := auth.NewSecretVerifier(tokenSecret, auth.Settings{}, at(now))
	if err != nil {
		t.Fatal(err)
	}
	const header = `{"alg":"HS256","typ":"JWT","kid":"k-1"}`
	exp := fmt.Sprintf(`"exp":%d`, now.Add(time.Hour).Unix())
	for payload, want := range map[string]auth.Claims{
		`{"sub":"ann","role":"customer",` + exp + `}`:                                                             {Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Website},
		`{"sub":"ann","role":"customer","scope":"order reveal audit",` + exp + `}`:                                {Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Website},
		`{"sub":"ann","role":"customer","permissions":["order"],"channel":"mobile",` + exp + `}`:                  {Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Mobile, Rights: "order"},
		`{"sub":"s-1","role":["employee","support","offline_access"],"permissions":"reveal audit",` + exp + `}`:   {Subject: "s-1", Role: auth.RoleSupport, Rights: "reveal audit"},
		`{"sub":"s-1","role":["support","support"],"permissions":null,` + exp + `}`:                               {Subject: "s-1", Role: auth.RoleSupport},
		`{"sub":"app","role":"channel","channel":"store","scope":"award","permissions":["reveal"],` + exp + `}`:   {Subject: "app", Role: auth.RoleChannel, Channel: domain.Store, Rights: "award"},
		`{"sub":"app","role":"channel","channel":"store","scope":["read","award"],"aud":["a","b"],` + exp + `}`:   {Subject: "app", Role: auth.RoleChannel, Channel: domain.Store, Rights: "read award"},
		`{"sub":"ann","role":"customer","email":"a@b.example","Rolle":1,"nested":{"role":"support"},` + exp + `}`: {Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Website},
		fmt.Sprintf(`{"sub":"ann","role":"customer","exp":%d}`, now.Add(-59*time.Second).Unix()):                  {Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Website},
		fmt.Sprintf(`{"sub":"ann","role":"customer","nbf":%d,%s}`, now.Add(59*time.Second).Unix(), exp):           {Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Website},
		fmt.Sprintf(`{"sub":"ann","role":"customer","Exp2":%d,%s}`, now.Add(-time.Hour).Unix(), exp):              {Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Website},
	} {
		agrees(t, verifier, signedText(t, header, payload))
		got, err := verifier.Verify(t.Context(), signedText(t, header, payload))
		if want.Expires = got.Expires; err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", payload, got, err, want)
		}
	}
	for payload, because := range map[string]string{
		`{"sub":"ann","role":"customer","Role":"support",` + exp + `}`:                                  `"Role"`,
		`{"sub":"ann","role":"customer","role":"support",` + exp + `}`:                                  `"role"`,
		`{"sub":"ann","Sub":"bob","role":"customer",` + exp + `}`:                                       `"Sub"`,
		`{"sub":"ann","role":"customer","exp":1,"EXP":` + exp[6:] + `}`:                                 `"EXP"`,
		`{"sub":"ann","role":"customer","EXP":` + exp[6:] + `}`:                                         "exp",
		`{"sub":"ann","Role":"customer",` + exp + `}`:                                                   "role: it is missing",
		`{"sub":"ann","role":"Customer",` + exp + `}`:                                                   "role",
		`{"sub":"ann","role":"admin",` + exp + `}`:                                                      "role",
		`{"sub":"ann","role":["employee"],` + exp + `}`:                                                 "role: none of it is customer",
		`{"sub":"ann","role":["support","customer"],` + exp + `}`:                                       "role: the list has several",
		`{"sub":"ann","role":{"name":"support"},` + exp + `}`:                                           "role: it is neither",
		`{"sub":7,"role":"customer",` + exp + `}`:                                                       "sub: not of the type",
		`{"sub":"auth0|1","role":"customer",` + exp + `}`:                                               "sub",
		`{"sub":"s-1","role":"support","permissions":{"reveal":true},` + exp + `}`:                      "permissions: it is neither",
		`{"sub":"s-1","role":"support","permissions":["reveal audit"],` + exp + `}`:                     "permissions: a word",
		`{"sub":"app","role":"channel","channel":["store"],` + exp + `}`:                                "channel: not of the type",
		`{"sub":"app","role":"channel",` + exp + `}`:                                                    "channel",
		`{"sub":"ann","role":"customer","events":{},` + exp + `}`:                                       "events: this is a security event",
		`{"sub":"ann","role":"customer","token_use":"id",` + exp + `}`:                                  "token_use: this is an ID token",
		`{"sub":"ann","role":"customer","typ":"ID",` + exp + `}`:                                        "typ: this is an ID token",
		`{"sub":"ann","role":"customer","nonce":"n",` + exp + `}`:                                       "nonce: this is an ID token",
		`{"sub":"ann","role":"customer","at_hash":"h",` + exp + `}`:                                     "at_hash: this is an ID token",
		`{"sub":"ann","role":"customer","exp":"soon"}`:                                                  "exp: not of the type",
		`{"sub":"ann","role":"customer"}`:                                                               "exp",
		fmt.Sprintf(`{"sub":"ann","role":"customer","nbf":%d,%s}`, now.Add(61*time.Second).Unix(), exp): "nbf",
		`["sub","ann"]`: "no JSON object",
		`{"sub":"ann","role":"customer","nested":{"a":1,"A":2},"role":"customer",` + exp + `}`: `"role"`,
	} {
		agrees(t, verifier, signedText(t, header, payload))
		got, err := verifier.Verify(t.Context(), signedText(t, header, payload))
		var refused *auth.RefusedError
		if !errors.As(err, &refused) || !errors.Is(err, domain.ErrUnauthenticated) || !strings.Contains(refused.Because, because) || refused.KeyID != "k-1" {
			t.Errorf("%s is %+v, %v; want a refusal for %q", payload, got, err, because)
		}
	}
	good := `{"sub":"ann","role":"customer",` + exp + `}`
	for kind, taken := range map[string]bool{
		`"JWT"`: true, `"at+jwt"`: true, `"AT+JWT"`: true, `"application/at+jwt"`: true, `null`: true,
		`"logout+jwt"`: false, `"secevent+jwt"`: false, `"dpop+jwt"`: false, `"id+jwt"`: false, `"jwt "`: false, `5`: false, `["JWT"]`: false,
	} {
		agrees(t, verifier, signedText(t, `{"alg":"HS256","typ":`+kind+`}`, good))
		_, err := verifier.Verify(t.Context(), signedText(t, `{"alg":"HS256","typ":`+kind+`}`, good))
		if (err == nil) != taken || err != nil && !strings.Contains(err.Error(), "typ: ") {
			t.Errorf("a token of the type %s: %v", kind, err)
		}
	}
	for token, want := range map[string]error{
		signedText(t, header, `{"sub":"ann","role":"customer","exp":1}`): problem.ErrTokenExpired,
		"x.y.z":                   problem.ErrTokenMalformed,
		strings.Repeat("a", 9000): problem.ErrTokenMalformed,
		signedText(t, header, good[:len(good)-1]): domain.ErrUnauthenticated,
	} {
		agrees(t, verifier, token)
		if _, err := verifier.Verify(t.Context(), token); !errors.Is(err, want) || strings.Contains(err.Error(), token) {
			t.Errorf("%.40s: got %v, want %v", token, err, want)
		}
	}
}

// agrees checks that what is explained of a token comes to what is done with it.
func agrees(t *testing.T, verifier *auth.Verifier, token string) {
	t.Helper()
	_, accepted := verifier.Verify(t.Context(), token)
	findings, _, explained := verifier.Explain(t.Context(), token)
	bad := 0
	for _, finding := range findings {
		if !finding.Good {
			bad++
		}
		if finding.Verdict == "" {
			t.Errorf("%+v says nothing", finding)
		}
	}
	if (explained == nil) != (accepted == nil) || (bad == 0) != (accepted == nil) {
		t.Errorf("Verify says %v, and Explain %+v", accepted, findings)
	}
}

func FuzzNoTokenIsReadInTwoWays(f *testing.F) {
	f.Add(`{"sub":"ann","role":"customer","exp":9999999999}`)
	f.Add(`{"sub":"ann","role":["support"],"ROLE":"x","permissions":["reveal"],"exp":9999999999}`)
	f.Add(`{"sub":"app","role":"channel","channel":"store","scope":"award","exp":1e10,"aud":null}`)
	verifier, err := auth.NewSecretVerifier(tokenSecret, auth.Settings{}, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		agrees(t, verifier, signedText(t, `{"alg":"HS256"}`, payload))
		got, err := verifier.Verify(t.Context(), signedText(t, `{"alg":"HS256"}`, payload))
		if err != nil {
			if !errors.Is(err, domain.ErrUnauthenticated) {
				t.Fatalf("%q: %v", payload, err)
			}
			return
		}
		// What was accepted is what the same claims come to when they are minted.
		token, err := auth.Mint(tokenSecret, got, time.Hour, time.Now())
		if err != nil {
			t.Fatalf("%q is %+v: %v", payload, got, err)
		}
		again, err := verifier.Verify(t.Context(), token)
		if again.Expires = got.Expires; err != nil || strings.Join(strings.Fields(again.Rights), " ") != strings.Join(strings.Fields(got.Rights), " ") || again.Subject != got.Subject || again.Role != got.Role || again.Channel != got.Channel {
			t.Fatalf("%q is %+v, and minted %+v, %v", payload, got, again, err)
		}
	})
}

// Given claims that a provider has elsewhere, under other names and in other words
// Then they are read there, and nowhere else.
func TestClaimsAreReadWhereTheyAreMapped(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	exp := fmt.Sprintf(`"exp":%d`, now.Add(time.Hour).Unix())
	settings := auth.Settings{Issuer: "https://id.example", Audiences: []string{"a", "b"}, Claims: auth.Mapping{
		Role: []string{"/realm/roles", "kind"}, Permissions: "/realm/roles", Scope: "scp", Customer: "https://x.example/id", Subject: []string{"uid", "sub"}, Audience: "client_id",
		Channel: "/a~1b/c~0d", Roles: map[string]string{"agents": "support", "staff of support": "support", "tills": "channel:store", "apps": "channel", "*": "customer:mobile"},
		Rights: map[string]string{"May Reveal": "reveal", "award!": "award"},
	}}
	verifier, err := auth.NewSecretVerifier(tokenSecret, settings, at(now))
	if err != nil {
		t.Fatal(err)
	}
	const to = `"iss":"https://id.example","client_id":"b",`
	for payload, want := range map[string]string{
		`{` + to + `"sub":"s|1","realm":{"roles":["agents","May Reveal","reveal"]},` + exp + `}`:                       "support s|1, with the rights reveal",
		`{` + to + `"sub":"s|1","uid":"u@1","realm":{"roles":["agents","staff of support","audit"]},` + exp + `}`:      "support u@1, with no right beyond the role's",
		`{` + to + `"sub":"s-1","kind":"tills","scp":["award!","award"],"channel":"mobile",` + exp + `}`:               "channel s-1, store, with the rights award",
		`{` + to + `"sub":"s-1","kind":"apps","a/b":{"c~d":"mobile"},"realm":{"roles":["May Reveal"]},` + exp + `}`:    "channel s-1, mobile, with no right beyond the role's",
		`{` + to + `"sub":"x:y","https://x.example/id":"ann","realm":{"roles":["others"]},"scp":"award!",` + exp + `}`: "customer ann, mobile, with no right beyond the role's",
		`{` + to + `"sub":"x:y","https://x.example/id":"ann","realm":{},` + exp + `}`:                                  "customer ann, mobile, with no right beyond the role's",
		`{` + to + `"sub":"x:y","https://x.example/id":"ann",` + exp + `}`:                                             "customer ann, mobile, with no right beyond the role's",
		`{` + to + `"sub":"x:y","https://x.example/id":"ann","role":"support","permissions":["reveal"],` + exp + `}`:   "customer ann, mobile, with no right beyond the role's",
	} {
		agrees(t, verifier, signedText(t, `{"alg":"HS256"}`, payload))
		if got, err := verifier.Verify(t.Context(), signedText(t, `{"alg":"HS256"}`, payload)); err != nil || got.Bearer() != want {
			t.Errorf("%s is %q, %v; want %q", payload, got.Bearer(), err, want)
		}
	}
	for payload, because := range map[string]string{
		`{"iss":"https://id.example","client_id":"c","sub":"s-1","kind":"tills",` + exp + `}`:         "client_id: the token is for another system",
		`{"iss":"https://id.example","aud":"a","sub":"s-1","kind":"tills",` + exp + `}`:               "a claim is missing",
		`{"iss":"https://elsewhere.example","client_id":"a","sub":"s-1","kind":"tills",` + exp + `}`:  "iss: ",
		`{` + to + `"sub":"ann",` + exp + `}`:                                                         "https://x.example/id (id_missing)",
		`{` + to + `"sub":"s-1","kind":"agents","realm":{"roles":["tills"]},` + exp + `}`:             "/realm/roles, kind: the list has several",
		`{` + to + `"sub":"s-1","kind":"agents","realm":{"roles":[5]},` + exp + `}`:                   "/realm/roles, kind: it is neither",
		`{` + to + `"sub":"s-1","kind":"agents","realm":{"roles":[],"Roles":["agents"]},` + exp + `}`: `within "realm": "Roles"`,
		`{` + to + `"sub":"s-1","kind":"agents","realm":"agents",` + exp + `}`:                        `within "realm"`,
		`{` + to + `"sub":"s-1","kind":"apps",` + exp + `}`:                                           "/a~1b/c~0d",
		`{` + to + `"sub":"|s-1","kind":"tills",` + exp + `}`:                                         "sub (id_malformed): the name of who acts does not begin with",
		`{` + to + `"sub":"s-1","uid":"a b","kind":"tills",` + exp + `}`:                              "uid (id_malformed): who acts may be named",
	} {
		agrees(t, verifier, signedText(t, `{"alg":"HS256"}`, payload))
		var refused *auth.RefusedError
		if got, err := verifier.Verify(t.Context(), signedText(t, `{"alg":"HS256"}`, payload)); !errors.As(err, &refused) || !strings.Contains(refused.Because, because) {
			t.Errorf("%s is %q, %v; want a refusal for %q", payload, got.Bearer(), err, because)
		}
	}
	for name, mapping := range map[string]auth.Mapping{
		"a role that is none": {Roles: map[string]string{"a": "admin"}}, "a channel that is none": {Roles: map[string]string{"a": "channel:shop"}},
		"a channel of staff": {Roles: map[string]string{"a": "support:store"}}, "no channel": {Roles: map[string]string{"a": "channel:"}},
		"everybody in support": {Roles: map[string]string{"*": "support"}}, "every machine": {Roles: map[string]string{"*": "channel:store"}}, "no word": {Roles: map[string]string{"": "support"}},
		"a right that is none": {Rights: map[string]string{"a": "everything"}}, "no word for a right": {Rights: map[string]string{"": "audit"}},
	} {
		if _, err := auth.NewSecretVerifier(tokenSecret, auth.Settings{Claims: mapping}, at(now)); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
