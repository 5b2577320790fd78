package bench

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"sync"
	"time"

	"loyalty/api/auth"
	"loyalty/api/auth/keys"
	"loyalty/domain"
)

// The algorithms that the tokens of readers may be signed by.
const (
	hs256 = "HS256"
	rs256 = "RS256"
	es256 = "ES256"
)

// tokenKey signs the tokens of readers, and is made by the process that verifies them.
type tokenKey struct {
	Algorithm string `json:"algorithm"`
	// Secret is that of HS256, Curve the private key of ES256 (PKCS #8), and Primes are those of RS256.
	Secret []byte     `json:"secret,omitempty"`
	Curve  []byte     `json:"curve,omitempty"`
	Primes []*big.Int `json:"primes,omitempty"`
}

const (
	tokenIssuer, tokenAudience = "https://id.example", "https://loyalty.example"
	tokenKeyID                 = "bench-1"
	// rsaPrimes is how many primes an RSA key of 2048 bits has here. With eight, signing takes a tenth of the time that it takes with two, which for
	// millions of tokens is minutes; such a key is weak. Checking a signature takes the same time, because n and e are as always.
	rsaPrimes   = 8
	rsaBits     = 2048
	rsaExponent = 65537
)

func newTokenKey(algorithm string) (tokenKey, error) {
	k := tokenKey{Algorithm: algorithm}
	switch algorithm {
	case hs256:
		k.Secret = make([]byte, auth.MinTokenSecret)
		rand.Read(k.Secret) // never fails
	case es256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return k, err
		}
		if k.Curve, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return k, err
		}
	case rs256:
		e, one := big.NewInt(rsaExponent), big.NewInt(1)
		for n := big.NewInt(1); n.BitLen() != rsaBits; {
			k.Primes, n = nil, big.NewInt(1)
			for len(k.Primes) < rsaPrimes {
				p, err := rand.Prime(rand.Reader, rsaBits/rsaPrimes)
				if err != nil {
					return k, err
				}
				if new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, one)).Cmp(one) == 0 {
					k.Primes, n = append(k.Primes, p), n.Mul(n, p)
				}
			}
		}
	}
	return k, nil
}

// settings are those of a verifier of the readers' tokens.
func (tokenKey) settings() auth.Settings {
	return auth.Settings{Issuer: tokenIssuer, Audiences: []string{tokenAudience}}
}

// verifier makes the verifier of the readers' tokens. Keys are read as from an identity provider, until ctx ends; running waits for it.
func (k tokenKey) verifier(ctx context.Context, running *sync.WaitGroup) (*auth.Verifier, error) {
	settings := k.settings()
	if k.Algorithm == hs256 {
		return auth.NewSecretVerifier(k.Secret, settings, time.Now)
	}
	published, err := k.published()
	if err != nil {
		return nil, err
	}
	set, err := keys.New(keys.Options{URL: tokenIssuer + "/keys", Transport: answering(published), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return nil, err
	}
	running.Go(func() { set.Run(ctx) })
	return auth.NewKeyVerifier(set, settings, time.Now)
}

// answering answers every request with the same text.
type answering []byte

// RoundTrip is http.RoundTripper's.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a)), Request: r}, nil
}

// published is the public half, as an identity provider publishes it.
func (k tokenKey) published() ([]byte, error) {
	encode := base64.RawURLEncoding.EncodeToString
	jwk := map[string]string{"kid": tokenKeyID, "use": "sig", "alg": k.Algorithm}
	if k.Algorithm == rs256 {
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", encode(product(k.Primes).Bytes()), encode(big.NewInt(rsaExponent).Bytes())
	} else {
		key, err := k.curve()
		if err != nil {
			return nil, err
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		half := (len(point) - 1) / 2
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", encode(point[1:1+half]), encode(point[1+half:])
	}
	return json.Marshal(map[string]any{"keys": []any{jwk}})
}

func (k tokenKey) curve() (*ecdsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(k.Curve)
	if err != nil {
		return nil, err
	}
	return key.(*ecdsa.PrivateKey), nil
}

func product(primes []*big.Int) *big.Int {
	n := big.NewInt(1)
	for _, p := range primes {
		n.Mul(n, p)
	}
	return n
}

// signer makes a function that signs tokens, each with the claims that providers add, some 1.2 KiB of text where the key is a provider's. The
// function may be used from many goroutines at once.
func (k tokenKey) signer() (func(id domain.CustomerID, n int, now time.Time) (string, error), error) {
	var sign func(text string) ([]byte, error)
	switch k.Algorithm {
	case hs256:
		return func(id domain.CustomerID, _ int, now time.Time) (string, error) {
			return k.settings().Mint(k.Secret, auth.Claims{Subject: string(id), Role: auth.RoleCustomer}, 24*time.Hour, now)
		}, nil
	case es256:
		key, err := k.curve()
		if err != nil {
			return nil, err
		}
		sign = func(text string) ([]byte, error) { return signES256(key, text) }
	default:
		sign = newRSASigner(k.Primes).sign
	}
	encode := base64.RawURLEncoding.EncodeToString
	header := encode(fmt.Appendf(nil, `{"alg":%q,"typ":"at+jwt","kid":%q}`, k.Algorithm, tokenKeyID))
	return func(id domain.CustomerID, n int, now time.Time) (string, error) {
		text := header + "." + encode(fmt.Appendf(nil, providerClaims, tokenIssuer, tokenAudience, id, now.Unix(), now.Add(24*time.Hour).Unix(), n))
		signature, err := sign(text)
		return text + "." + encode(signature), err
	}, nil
}

// signES256 signs by ECDSA: both numbers, one behind the other (RFC 7518, section 3.4).
func signES256(key *ecdsa.PrivateKey, text string) ([]byte, error) {
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature, nil
}

// providerClaims are the claims of a token as a provider of the larger kind makes it.
const providerClaims = `{"iss":%q,"aud":[%q,"account"],"sub":%q,"iat":%d,"exp":%d,"jti":"onrtac:5d0b0c5e-7f1c-4f0e-8a43-%012d","typ":"Bearer",` +
	`"azp":"loyalty-pages","sid":"1e3a7a94-6f6f-4a3e-9d0c-3f6a8f0f5c11","acr":"1","role":"customer","permissions":[],` +
	`"allowed-origins":["https://loyalty.example","https://shop.example"],"realm_access":{"roles":["default-roles-shop","offline_access","uma_authorization"]},` +
	`"resource_access":{"account":{"roles":["manage-account","manage-account-links","view-profile"]}},"scope":"openid loyalty profile","auth_time":1764000000}`

// rsaSigner signs by RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2.1) with the Chinese remainder theorem over many primes.
type rsaSigner struct {
	n                       *big.Int
	primes, exponents, base []*big.Int
}

func newRSASigner(primes []*big.Int) rsaSigner {
	s := rsaSigner{n: product(primes), primes: primes}
	one, e := big.NewInt(1), big.NewInt(rsaExponent)
	for _, p := range primes {
		s.exponents = append(s.exponents, new(big.Int).ModInverse(e, new(big.Int).Sub(p, one)))
		// base is 1 modulo p and 0 modulo all others.
		others := new(big.Int).Div(s.n, p)
		s.base = append(s.base, others.Mul(others, new(big.Int).ModInverse(others, p)))
	}
	return s
}

// hashPrefix says that a SHA-256 follows (RFC 8017, section 9.2, note 1).
var hashPrefix = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

func (s rsaSigner) sign(text string) ([]byte, error) {
	hash := sha256.Sum256([]byte(text))
	padded := bytes.Repeat([]byte{0xff}, rsaBits/8)
	padded[0], padded[1] = 0, 1
	tail := padded[len(padded)-len(hash)-len(hashPrefix)-1:]
	tail[0] = 0
	copy(tail[1:], hashPrefix)
	copy(tail[1+len(hashPrefix):], hash[:])
	message, sum, part := new(big.Int).SetBytes(padded), new(big.Int), new(big.Int)
	for i, p := range s.primes {
		part.Mod(message, p)
		part.Exp(part, s.exponents[i], p)
		sum.Add(sum, part.Mul(part, s.base[i]))
	}
	return sum.Mod(sum, s.n).FillBytes(make([]byte, rsaBits/8)), nil
}
