package cli

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"loyalty/api/auth"
	"loyalty/api/auth/keys/keystest"
	"loyalty/domain"
)

// issued is a token as a provider issues it, but for its times, and what it is here.
type issued struct {
	Name           string
	Header, Claims map[string]any
	// Bearer is who its bearer is; or Refused is why it is not accepted.
	Bearer, Refused string
}

// providersOfTheDocs are the providers of docs/identity.md by the names of their files, each with the settings that stand there.
func providersOfTheDocs(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(LOYALTY_.*?)```")
	found := map[string][]string{}
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		if settings := block.FindStringSubmatch(text); settings != nil {
			name := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(title, "Amazon ")), " ", "-")
			found[name] = strings.Split(strings.TrimSpace(settings[1]), "\n")
		}
	}
	return found
}

// Given the settings of each provider as docs/identity.md has them, and tokens as the provider issues them
// When loyalty serve is started with the settings
// Then each token is that of who it should be, those that are for something else are refused for the reason that is so, and loyalty token check says the same.
func TestEachProvidersTokensAreReadByItsPage(t *testing.T) {
	providers := providersOfTheDocs(t)
	files, err := filepath.Glob("testdata/identity/*.json")
	if err != nil || len(files) != len(providers) || len(files) < 6 {
		t.Fatalf("%d files of tokens for %d providers, %v", len(files), len(providers), err)
	}
	signers := signersOfAllKinds(t)
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var set jose.JSONWebKeySet
		for id, signer := range signers {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: signer.Public(), KeyID: id, Use: "sig"})
		}
		_ = json.NewEncoder(w).Encode(set)
	}))
	t.Cleanup(published.Close)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			verifier := verifierOf(t, providers[name], published.URL)
			var tokens []issued
			data, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(data, &tokens)
			}
			if err != nil {
				t.Fatal(err)
			}
			seen := map[auth.Role]bool{}
			for _, token := range tokens {
				text := token.sign(t, signers)
				claims, err := verifier.Verify(t.Context(), text)
				switch refused := new(auth.RefusedError); {
				case token.Refused == "" && (err != nil || claims.Bearer() != token.Bearer):
					t.Errorf("%s: the bearer is %q, %v; want %q", token.Name, claims.Bearer(), err, token.Bearer)
				case token.Refused != "" && (!errors.As(err, &refused) || !errors.Is(err, domain.ErrUnauthenticated) || !strings.Contains(refused.Because, token.Refused)):
					t.Errorf("%s: it is %q, %v; want a refusal for %q", token.Name, claims.Bearer(), err, token.Refused)
				}
				seen[claims.Role] = true
				findings, _, explained := verifier.Explain(t.Context(), text)
				good := true
				for _, finding := range findings {
					good = good && finding.Good
				}
				if (explained == nil) != (err == nil) || good != (err == nil) {
					t.Errorf("%s: Verify says %v, and the findings are %+v", token.Name, err, findings)
				}
			}
			for _, role := range []auth.Role{auth.RoleCustomer, auth.RoleSupport, auth.RoleAnalyst, auth.RoleChannel} {
				if !seen[role] {
					t.Errorf("there is no token of a %s", role)
				}
			}
		})
	}
}

// verifierOf is the verifier of loyalty serve with these lines in its environment, but for where the keys are.
func verifierOf(t *testing.T, settings []string, url string) *auth.Verifier {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of the pages"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range settings {
		variable, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("%q is no setting", line)
		}
		value = strings.TrimSuffix(strings.TrimPrefix(value, "'"), "'")
		if strings.HasSuffix(variable, "_FILE") {
			value = secret
		}
		t.Setenv(variable, value)
	}
	l := newLines(t)
	if _, err := l.parsed([]string{"serve"}, "addr"); err != nil {
		t.Fatal(err)
	}
	serve := &l.line.Serve
	log := slog.New(slog.DiscardHandler)
	set, err := serve.Keys(log)
	if err != nil {
		t.Fatal(err)
	}
	if provider, err := serve.Provider(set); err != nil || provider == nil {
		t.Fatalf("nobody can sign in: %v", err)
	}
	verifier, err := serve.Verifier(keystest.Start(t, url, time.Now), log)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

func signersOfAllKinds(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	one, errRSA := rsa.GenerateKey(rand.Reader, 2048)
	two, errEC := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, three, errEd := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(errRSA, errEC, errEd); err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"k-rsa": one, "k-ec": two, "k-ed": three}
}

// sign makes a token that is good for an hour.
func (i issued) sign(t *testing.T, signers map[string]crypto.Signer) string {
	t.Helper()
	claims := jwt.MapClaims{"iat": time.Now().Unix(), "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range i.Claims {
		claims[name] = value
	}
	algorithm := i.Header["alg"].(string)
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	delete(token.Header, "typ")
	for name, value := range i.Header {
		token.Header[name] = value
	}
	token.Header["kid"] = map[byte]string{'R': "k-rsa", 'P': "k-rsa", 'E': "k-ec"}[algorithm[0]]
	if algorithm == "EdDSA" {
		token.Header["kid"] = "k-ed"
	}
	text, err := token.SignedString(signers[token.Header["kid"].(string)])
	if err != nil {
		t.Fatal(err)
	}
	return text
}
