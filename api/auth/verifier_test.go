package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/api/auth"
	"loyalty/api/auth/keys/keystest"
	"loyalty/domain"
)

var tokenSecret = []byte("a secret of these tests, 32 bytes")

// The callers of these tests.
var (
	till    = auth.Claims{Subject: "till-7", Role: auth.RoleChannel, Channel: domain.Store}
	awarder = auth.Claims{Subject: "app-1", Role: auth.RoleChannel, Channel: domain.Mobile, Rights: "read award"}
	support = auth.Claims{Subject: "staff-3", Role: auth.RoleSupport}
	analyst = auth.Claims{Subject: "analyst-1", Role: auth.RoleAnalyst}
	ann     = customer("ann")
)

func customer(id string) auth.Claims {
	return auth.Claims{Subject: id, Role: auth.RoleCustomer, Channel: domain.Website}
}

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func TestAMintedTokenIsVerifiedWhileItLasts(t *testing.T) {
	issued := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	for _, c := range []auth.Claims{ann, till, awarder, support, analyst} {
		token, err := auth.Mint(tokenSecret, c, time.Hour, issued)
		if err != nil {
			t.Fatal(err)
		}
		for after, want := range map[time.Duration]error{
			0: nil, time.Hour - time.Second: nil, time.Hour + 59*time.Second: nil, time.Hour + 61*time.Second: domain.ErrUnauthenticated,
		} {
			verifier, err := auth.NewSecretVerifier(tokenSecret, auth.Settings{}, at(issued.Add(after)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := verifier.Verify(t.Context(), token)
			if !errors.Is(err, want) {
				t.Errorf("%s after %s: %v, want %v", c.Role, after, err, want)
			}
			if expected := c; want == nil {
				expected.Expires = issued.Add(time.Hour)
				got.Expires = got.Expires.UTC()
				if got != expected {
					t.Errorf("got %+v, want %+v", got, expected)
				}
			}
		}
	}
}

func TestMintMakesNoTokenThatWouldNotBeVerified(t *testing.T) {
	now := time.Now()
	for name, mint := range map[string]func() (string, error){
		"short secret":     func() (string, error) { return auth.Mint(tokenSecret[:31], ann, time.Hour, now) },
		"no time":          func() (string, error) { return auth.Mint(tokenSecret, ann, 0, now) },
		"subject is no id": func() (string, error) { return auth.Mint(tokenSecret, customer("a b"), time.Hour, now) },
		"no role":          func() (string, error) { return auth.Mint(tokenSecret, auth.Claims{Subject: "a"}, time.Hour, now) },
		"channel of no channel": func() (string, error) {
			return auth.Mint(tokenSecret, auth.Claims{Subject: "a", Role: auth.RoleChannel}, time.Hour, now)
		},
	} {
		if token, err := mint(); !errors.Is(err, domain.ErrInvalid) || token != "" {
			t.Errorf("%s: got %q, %v", name, token, err)
		}
	}
	if _, err := auth.NewSecretVerifier(tokenSecret[:31], auth.Settings{}, time.Now); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a short secret is accepted: %v", err)
	}
}

// key is a key of an issuer, and how it publishes it.
type key struct {
	id     string
	method jwt.SigningMethod
	signer crypto.Signer
}

func newKey(t *testing.T, id string, method jwt.SigningMethod) key {
	t.Helper()
	var signer crypto.Signer
	var err error
	switch method {
	case jwt.SigningMethodRS256:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case jwt.SigningMethodES256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jwt.SigningMethodEdDSA:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key{id, method, signer}
}

// anyAlgorithm is the id of a key whose issuer does not say what it is for.
const anyAlgorithm = "k-any"

// jwk is the public half as RFC 7517, RFC 7518 section 6 and RFC 8037 section 2 write it.
func (k key) jwk(t *testing.T) map[string]string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString
	jwk := map[string]string{"kid": k.id, "use": "sig"}
	if k.id != anyAlgorithm {
		jwk["alg"] = k.method.Alg()
	}
	switch public := k.signer.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", text(public.N.Bytes()), text(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", text(point[1:33]), text(point[33:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", text(public)
	}
	return jwk
}

func (k key) sign(t *testing.T, change func(*jwt.Token)) string {
	t.Helper()
	token := jwt.NewWithClaims(k.method, jwt.MapClaims{
		"sub": "ann", "role": "customer", "iss": "https://id.example", "aud": []string{"loyalty", "other"}, "exp": time.Now().Add(time.Hour).Unix(),
	})
	token.Header["kid"] = k.id
	if change != nil {
		change(token)
	}
	signed, err := token.SignedString(k.signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// issuer publishes keys, or fails to.
type issuer struct {
	*httptest.Server
	keys atomic.Pointer[[]key]
}

func newIssuer(t *testing.T, keys ...key) *issuer {
	i := new(issuer)
	i.publish(keys...)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set := map[string][]map[string]string{"keys": {}}
		for _, k := range *i.keys.Load() {
			set["keys"] = append(set["keys"], k.jwk(t))
		}
		if len(set["keys"]) == 0 {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		if err := json.NewEncoder(w).Encode(set); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...key) { i.keys.Store(&keys) }

func (i *issuer) verifier(t *testing.T, settings auth.Settings) *auth.Verifier {
	t.Helper()
	return i.verifierAt(t, settings, time.Now)
}

func (i *issuer) verifierAt(t *testing.T, settings auth.Settings, now func() time.Time) *auth.Verifier {
	t.Helper()
	verifier, err := auth.NewKeyVerifier(keystest.Start(t, i.URL, now), settings, now)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

func TestTokensOfAnIssuer(t *testing.T) {
	rsaKey, ecKey, edKey := newKey(t, "k-rsa", jwt.SigningMethodRS256), newKey(t, "k-ec", jwt.SigningMethodES256), newKey(t, "k-ed", jwt.SigningMethodEdDSA)
	strong := newKey(t, anyAlgorithm, jwt.SigningMethodRS256)
	verifier := newIssuer(t, rsaKey, ecKey, edKey, strong).verifier(t, auth.Settings{Issuer: "https://id.example", Audiences: []string{"loyalty"}})

	pss := strong
	pss.method = jwt.SigningMethodPS256
	for _, k := range []key{rsaKey, ecKey, edKey, strong, pss} {
		t.Run(k.method.Alg()+" is accepted", func(t *testing.T) {
			got, err := verifier.Verify(t.Context(), k.sign(t, nil))
			if err != nil || got.Subject != "ann" || got.Role != auth.RoleCustomer || got.Channel != domain.Website {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	t.Run("a token that does not name its key is accepted", func(t *testing.T) {
		if _, err := verifier.Verify(t.Context(), ecKey.sign(t, func(t *jwt.Token) { delete(t.Header, "kid") })); err != nil {
			t.Error(err)
		}
	})

	public, err := x509.MarshalPKIXPublicKey(rsaKey.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	hmac := func(secret []byte) string {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"sub": "ann", "role": "customer", "iss": "https://id.example", "aud": "loyalty", "exp": time.Now().Add(time.Hour).Unix(),
		})
		token.Header["kid"] = "k-rsa"
		signed, err := token.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	claim := func(name string, value any) string {
		return rsaKey.sign(t, func(t *jwt.Token) { t.Claims.(jwt.MapClaims)[name] = value })
	}
	impostor := newKey(t, "k-rsa", jwt.SigningMethodRS256)
	ofOtherAlgorithm := rsaKey
	ofOtherAlgorithm.method = jwt.SigningMethodRS512
	for name, token := range map[string]string{
		"the public key as an HMAC secret":         hmac(public),
		"the public key's PEM as an HMAC secret":   hmac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"another key under a known name":           impostor.sign(t, nil),
		"a known key under another's name":         ecKey.sign(t, func(t *jwt.Token) { t.Header["kid"] = "k-rsa" }),
		"an algorithm that is none of the key's":   ofOtherAlgorithm.sign(t, nil),
		"another issuer":                           claim("iss", "https://evil.example"),
		"another audience":                         claim("aud", "other"),
		"an extension that must be understood":     rsaKey.sign(t, func(t *jwt.Token) { t.Header["crit"] = []string{"b64"} }),
		"a payload of another token with this key": graft(claim("sub", "bob"), rsaKey.sign(t, nil)),
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if got, err := verifier.Verify(t.Context(), token); !errors.Is(err, domain.ErrUnauthenticated) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// graft puts the payload of one token between the header and the signature of another.
func graft(payload, onto string) string {
	from, to := splitToken(payload), splitToken(onto)
	return to[0] + "." + from[1] + "." + to[2]
}

func splitToken(token string) (parts [3]string) {
	n := 0
	for _, c := range token {
		if c == '.' {
			n++
			continue
		}
		parts[n] += string(c)
	}
	return parts
}

func TestANewKeyOfAnIssuerIsAcceptedAtOnce(t *testing.T) {
	old, fresh := newKey(t, "k-1", jwt.SigningMethodEdDSA), newKey(t, "k-2", jwt.SigningMethodEdDSA)
	issuer := newIssuer(t, old)
	var ahead atomic.Int64
	verifier := issuer.verifierAt(t, auth.Settings{}, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	if _, err := verifier.Verify(t.Context(), old.sign(t, nil)); err != nil {
		t.Fatal(err)
	}
	ahead.Add(int64(10 * time.Second))
	issuer.publish(fresh)
	if _, err := verifier.Verify(t.Context(), fresh.sign(t, nil)); err != nil {
		t.Errorf("the new key: %v", err)
	}
	// A name that nobody has must not make the provider busy, and a key that may be new must not be called wrong.
	var later *domain.LaterError
	if _, err := verifier.Verify(t.Context(), old.sign(t, nil)); !errors.Is(err, domain.ErrUnavailable) || !errors.As(err, &later) || later.After > 10*time.Second {
		t.Errorf("the key taken back, at once: %v", err)
	}
	ahead.Add(int64(10 * time.Second))
	if _, err := verifier.Verify(t.Context(), old.sign(t, nil)); !errors.Is(err, domain.ErrUnauthenticated) {
		t.Errorf("the key taken back: %v", err)
	}
}

func TestWithoutTheKeysOfAnIssuerNoTokenCanBeJudged(t *testing.T) {
	k := newKey(t, "k-1", jwt.SigningMethodEdDSA)
	verifier := newIssuer(t).verifier(t, auth.Settings{})
	for _, token := range []string{k.sign(t, nil), k.sign(t, func(t *jwt.Token) { delete(t.Header, "kid") })} {
		if _, err := verifier.Verify(t.Context(), token); !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrUnauthenticated) {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	verifier, err := auth.NewSecretVerifier(tokenSecret, auth.Settings{}, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	good, err := auth.Mint(tokenSecret, ann, time.Hour, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("a.b.c")
	f.Add(good + ".")
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := verifier.Verify(t.Context(), token)
		// Without the secret there is one token that can be found: the one given.
		if err == nil && (claims.Subject != ann.Subject || claims.Role != ann.Role) {
			t.Fatalf("%q is accepted as %+v", token, claims)
		}
		if err != nil && !errors.Is(err, domain.ErrUnauthenticated) {
			t.Fatalf("%q: %v", token, err)
		}
	})
}

// Given tokens that were accepted, one of which is remembered
// When the key they are signed with is withdrawn, or is too old to be trusted
// Then they are accepted no longer, neither by whoever remembers them nor by requests that are still under way.
func TestATokenEndsWithItsKey(t *testing.T) {
	old, fresh := newKey(t, "k-1", jwt.SigningMethodEdDSA), newKey(t, "k-2", jwt.SigningMethodEdDSA)
	for name, end := range map[string]func(*issuer, *atomic.Int64, *auth.Verifier) error{
		"withdrawn": func(i *issuer, ahead *atomic.Int64, v *auth.Verifier) error {
			i.publish(fresh)
			ahead.Add(int64(10 * time.Second))
			_, err := v.Verify(t.Context(), fresh.sign(t, nil)) // has the keys read
			return err
		},
		"too old": func(i *issuer, ahead *atomic.Int64, _ *auth.Verifier) error {
			i.publish()
			ahead.Add(int64(2 * time.Hour))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			issuer, ahead := newIssuer(t, old), new(atomic.Int64)
			now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			verifier := issuer.verifierAt(t, auth.Settings{}, now)
			token := old.sign(t, func(t *jwt.Token) { t.Claims.(jwt.MapClaims)["exp"] = now().Add(10 * time.Hour).Unix() })
			asked := httptest.NewRequest("GET", "/", nil)
			asked.Header.Set("Authorization", "Bearer "+token)
			authenticator := auth.NewAuthenticator(verifier, domain.Proxies{}, "")
			claims, err := authenticator.Authenticate(t.Context(), asked)
			if err != nil || !authenticator.Accepts(claims) {
				t.Fatalf("at first: %v", err)
			}
			if again, err := authenticator.Authenticate(t.Context(), asked); err != nil || again.Subject != "ann" || !authenticator.Accepts(again) {
				t.Fatalf("remembered: %+v, %v", again, err)
			}
			if err := end(issuer, ahead, verifier); err != nil {
				t.Fatal(err)
			}
			if got, err := authenticator.Authenticate(t.Context(), asked); err == nil {
				t.Errorf("it is accepted as %+v", got)
			}
			if authenticator.Accepts(claims) {
				t.Error("what is under way goes on")
			}
		})
	}
}
