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
	} {
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
		if _, err := verifier.Verify(t.Context(), token); !errors.Is(err, want) || strings.Contains(err.Error(), token) {
			t.Errorf("%.40s: got %v, want %v", token, err, want)
		}
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
