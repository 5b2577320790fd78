package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/domain"
)

// rsaKeys are two keys for all tests: to make one takes long.
var rsaKeys = sync.OnceValues(func() (one, two *rsa.PrivateKey) {
	return must(rsa.GenerateKey(rand.Reader, 2048)), must(rsa.GenerateKey(rand.Reader, 2048))
})

// jwk is a key as it is published.
type jwk map[string]any

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func rsaJWK(key *rsa.PrivateKey) jwk {
	return jwk{"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
}

func ecJWK(t testing.TB, key *ecdsa.PrivateKey) jwk {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	size := (len(point) - 1) / 2
	return jwk{"kty": "EC", "crv": key.Params().Name, "x": encode(point[1 : 1+size]), "y": encode(point[1+size:])}
}

// with is a key with some members changed; nil takes one out.
func (k jwk) with(changes jwk) jwk {
	changed := maps.Clone(k)
	maps.Copy(changed, changes)
	maps.DeleteFunc(changed, func(_ string, value any) bool { return value == nil })
	return changed
}

func publish(t testing.TB, keys ...jwk) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sign(t testing.TB, method jwt.SigningMethod, key crypto.PrivateKey, id string) *jwt.Token {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "ann"})
	if id != "" {
		token.Header["kid"] = id
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, err := jwt.NewParser().ParseUnverified(signed, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Signature, err = base64.RawURLEncoding.DecodeString(signed[strings.LastIndexByte(signed, '.')+1:]); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// verifies tells whether a set has the key of a token.
func (s *Set) verifies(t testing.TB, token *jwt.Token) bool {
	t.Helper()
	impatient, cancel := context.WithCancel(t.Context())
	cancel() // nobody reads the keys again
	key, err := s.Of(impatient, token)
	if err != nil {
		return false
	}
	return token.Method.Verify(token.Raw[:strings.LastIndexByte(token.Raw, '.')], token.Signature, key.Public()) == nil
}

// read is a set that was read once, of what is published.
func readOf(t testing.TB, data []byte) (*Set, error) {
	t.Helper()
	provider := &publisher{}
	provider.publish(data)
	set := provider.set(t)
	return set, set.read(t.Context())
}

// Given a good key, and one beside it that is odd in one way
// When the set is read
// Then tokens of the good key are verified, and those of the odd one only if nothing is wrong with it.
func TestEachKeyOfASetIsReadByItself(t *testing.T) {
	goodKey, oddKey := rsaKeys()
	short := must(rsa.GenerateKey(rand.Reader, 1024))
	point := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	strong := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, odd, ec := rsaJWK(goodKey).with(jwk{"kid": "good", "use": "sig", "alg": "RS256"}), rsaJWK(oddKey).with(jwk{"kid": "odd"}), ecJWK(t, point).with(jwk{"kid": "odd"})
	certificate := func(key crypto.Signer) string {
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		return base64.StdEncoding.EncodeToString(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)))
	}
	rs256, ps256 := sign(t, jwt.SigningMethodRS256, oddKey, "odd"), sign(t, jwt.SigningMethodPS256, oddKey, "odd")
	es256 := sign(t, jwt.SigningMethodES256, point, "odd")
	for name, c := range map[string]struct {
		odd   jwk
		token *jwt.Token
		taken bool
	}{
		"nothing but a name":                      {odd, rs256, true},
		"of no algorithm, for PSS":                {odd, ps256, true},
		"for PSS":                                 {odd.with(jwk{"alg": "PS256"}), ps256, true},
		"for PSS, and signed otherwise":           {odd.with(jwk{"alg": "PS256"}), rs256, false},
		"for checking":                            {odd.with(jwk{"key_ops": []string{"verify"}}), rs256, true},
		"with its certificate":                    {odd.with(jwk{"x5c": []string{certificate(oddKey)}}), rs256, true},
		"a point":                                 {ec, es256, true},
		"a longer point":                          {ecJWK(t, strong).with(jwk{"kid": "odd"}), sign(t, jwt.SigningMethodES384, strong, "odd"), true},
		"of Edwards":                              {jwk{"kty": "OKP", "crv": "Ed25519", "x": encode(ed.Public().(ed25519.PublicKey)), "kid": "odd"}, sign(t, jwt.SigningMethodEdDSA, ed, "odd"), true},
		"with members that nobody knows":          {odd.with(jwk{"nbf": 5, "issuer": "x"}), rs256, true},
		"without a name":                          {odd.with(jwk{"kid": nil}), sign(t, jwt.SigningMethodRS256, oddKey, "odd"), true},
		"without a name, and a token without any": {odd.with(jwk{"kid": nil}), sign(t, jwt.SigningMethodRS256, oddKey, ""), true},
		"with a token without any":                {odd, sign(t, jwt.SigningMethodRS256, oddKey, ""), true},
		"of the good one's name":                  {odd.with(jwk{"kid": "good"}), sign(t, jwt.SigningMethodRS256, oddKey, "good"), true},
		"without n":                               {odd.with(jwk{"n": nil}), rs256, false},
		"without e":                               {odd.with(jwk{"e": nil}), rs256, false},
		"with an n that is no base64":             {odd.with(jwk{"n": "?"}), rs256, false},
		"too short":                               {rsaJWK(short).with(jwk{"kid": "odd"}), sign(t, jwt.SigningMethodRS256, short, "odd"), false},
		"off its curve":                           {ec.with(jwk{"y": ec["x"]}), es256, false},
		"without y":                               {ec.with(jwk{"y": nil}), es256, false},
		"for another use":                         {odd.with(jwk{"use": "enc"}), rs256, false},
		"for a use that nobody knows":             {odd.with(jwk{"use": "tls"}), rs256, false},
		"with a use that is no text":              {odd.with(jwk{"use": 5}), rs256, false},
		"for signing only":                        {odd.with(jwk{"key_ops": []string{"sign"}}), rs256, false},
		"for operations that nobody knows":        {odd.with(jwk{"key_ops": []string{"made-up"}}), rs256, false},
		"with operations that are no list":        {odd.with(jwk{"key_ops": "verify"}), rs256, false},
		"for an algorithm that nobody knows":      {odd.with(jwk{"alg": "XX512"}), rs256, false},
		"with a name that is no text":             {odd.with(jwk{"kid": 5}), rs256, false},
		"with a certificate that is none":         {odd.with(jwk{"x5c": []string{"AAAA"}}), rs256, false},
		"with the certificate of another":         {odd.with(jwk{"x5c": []string{certificate(goodKey)}}), rs256, false},
		"of a kind that nobody knows":             {odd.with(jwk{"kty": "AKP"}), rs256, false},
		"of no kind":                              {odd.with(jwk{"kty": nil}), rs256, false},
		"a secret":                                {jwk{"kty": "oct", "k": encode(make([]byte, 32)), "kid": "odd"}, rs256, false},
		"secp256k1":                               {ec.with(jwk{"crv": "secp256k1"}), es256, false},
		"private": {odd.with(jwk{
			"d": encode(oddKey.D.Bytes()), "p": encode(oddKey.Primes[0].Bytes()), "q": encode(oddKey.Primes[1].Bytes()),
		}), rs256, false},
	} {
		for _, order := range [][]jwk{{good, c.odd}, {c.odd, good}} {
			set, err := readOf(t, publish(t, order...))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if !set.verifies(t, sign(t, jwt.SigningMethodRS256, goodKey, "good")) {
				t.Errorf("%s: tokens of the good key are refused", name)
			}
			if got := set.verifies(t, c.token); got != c.taken {
				t.Errorf("%s: its tokens are taken: %t", name, got)
			}
			if got := set.Count() == 2; got != (c.taken || name == "for PSS, and signed otherwise") {
				t.Errorf("%s: there are %d keys", name, set.Count())
			}
		}
	}
	for name, data := range map[string]string{
		"nothing": "", "no JSON": "<html>", "a list": "[]", "no keys": "{}", "null": `{"keys":null}`, "keys that are no list": `{"keys":{}}`,
		"half a set": string(publish(t, good))[:200], "endless": strings.Repeat(" ", maxAnswer) + string(publish(t, good)),
	} {
		if set, err := readOf(t, []byte(data)); err == nil || set.Count() != 0 || !errors.Is(set.Ready(), domain.ErrUnavailable) {
			t.Errorf("%s is read as a set of %d, %v", name, set.Count(), err)
		}
	}
	if set, err := readOf(t, []byte(`{"keys":[null, 5, "x", [], {}]}`)); err != nil || set.Count() != 0 || set.Ready() == nil {
		t.Errorf("a set of nothing is %d keys, %v, and ready", set.Count(), err)
	}
}

func TestASetHasNoMoreKeysThanCanBeTried(t *testing.T) {
	one, _ := rsaKeys()
	key := rsaJWK(one)
	var many []jwk
	for i := range 2 * maxKeys {
		many = append(many, key.with(jwk{"kid": strings.Repeat("k", i+1)}))
	}
	if set, err := readOf(t, publish(t, many...)); err != nil || set.Count() != maxKeys {
		t.Errorf("%d keys, %v", set.Count(), err)
	}
}

func FuzzAnySetIsRead(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"a"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, leftOut, err := parse(data)
		if err != nil && (len(found) > 0 || len(leftOut) > 0) {
			t.Fatalf("%d keys beside %v", len(found), err)
		}
		for _, key := range found {
			if key.print == "" || key.public == nil {
				t.Fatalf("a key without anything to verify with: %+v", key)
			}
		}
	})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Given tokens signed by each algorithm that is taken
// Then the same set verifies them as ID tokens, and none whose payload was changed.
func TestIDTokensAreVerifiedWithTheSameKeys(t *testing.T) {
	one, _ := rsaKeys()
	signers := map[string]crypto.Signer{"RS": one, "PS": one}
	set := []jwk{rsaJWK(one).with(jwk{"kid": "RS"}), rsaJWK(one).with(jwk{"kid": "PS"})}
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key := must(ecdsa.GenerateKey(curve, rand.Reader))
		signers[name], set = key, append(set, ecJWK(t, key).with(jwk{"kid": name}))
	}
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signers["EdDSA"], set = ed, append(set, jwk{"kty": "OKP", "crv": "Ed25519", "x": encode(public), "kid": "EdDSA"})
	read, err := readOf(t, publish(t, set...))
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range Algorithms {
		name := algorithm
		if signers[name] == nil {
			name = algorithm[:2]
		}
		token := sign(t, jwt.GetSigningMethod(algorithm), signers[name], name).Raw
		if payload, err := read.VerifySignature(t.Context(), token); err != nil || string(payload) != `{"sub":"ann"}` {
			t.Errorf("%s: %s, %v", algorithm, payload, err)
		}
		parts := strings.Split(token, ".")
		parts[1] = encode([]byte(`{"sub":"bob"}`))
		if payload, err := read.VerifySignature(t.Context(), strings.Join(parts, ".")); !errors.Is(err, domain.ErrUnauthenticated) {
			t.Errorf("%s, changed: %s, %v", algorithm, payload, err)
		}
	}
}
