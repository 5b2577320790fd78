// Package keys reads the keys that an identity provider signs its tokens with (RFC 7517), and says which of them a token may be signed
// with. One Set serves all that verifies tokens in a process, so that no part of it trusts a key that another part does not.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms are those that tokens may be signed by, all by key pairs (RFC 7518, section 3.1; RFC 8037).
var Algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

const (
	// maxKeys is the most keys used of a set. Every one may have to be tried for a token that names none.
	maxKeys = 64
	// minRSA is the least size of an RSA key, in bits (RFC 7518, section 3.3).
	minRSA = 2048
)

// Key is a key that an identity provider publishes. It may be used from many goroutines at once.
type Key struct {
	// id and algorithm are those that the set has for it, or empty. print is the thumbprint of the key itself (RFC 7638).
	id, algorithm, print string
	public               crypto.PublicKey
	set                  *Set
	// withdrawn is set once the provider no longer publishes the key.
	withdrawn atomic.Bool
}

// Trusted tells whether tokens signed with the key are to be accepted at a moment: the provider published it when it was last read, which was
// not too long ago. A nil key, which is a shared secret, always is.
func (k *Key) Trusted(now time.Time) bool {
	return k == nil || !k.withdrawn.Load() && k.set.fresh(now)
}

// signs tells whether tokens of an algorithm may be signed with the key.
func (k *Key) signs(algorithm string) bool {
	if k.algorithm != "" && k.algorithm != algorithm {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return algorithm == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[public.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// parse reads the keys of a set, each by itself, and says which it left out and why. It is an error if there is no set at all.
func parse(data []byte) (found []*Key, leftOut []string, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, nil, errors.New("what is there is no JSON object with a list of keys")
	}
	if set.Keys == nil {
		return nil, nil, errors.New("what is there has no list of keys")
	}
	for i, raw := range set.Keys {
		key, err := parseKey(raw)
		switch {
		case err != nil:
			leftOut = append(leftOut, fmt.Sprintf("key %d: %v", i+1, err))
		case len(found) == maxKeys:
			leftOut = append(leftOut, fmt.Sprintf("key %d: more than %d keys", i+1, maxKeys))
		case !slices.ContainsFunc(found, key.equal):
			found = append(found, key)
		}
	}
	return found, leftOut, nil
}

func (k *Key) equal(other *Key) bool {
	return k.id == other.id && k.algorithm == other.algorithm && k.print == other.print
}

// parseKey reads a public key that signatures can be checked with. What is wrong with another is the error.
func parseKey(raw []byte) (*Key, error) {
	var about struct {
		Use        string   `json:"use"`
		Operations []string `json:"key_ops"`
	}
	if err := json.Unmarshal(raw, &about); err != nil {
		return nil, errors.New("use or key_ops is not of the type that it has")
	}
	if about.Use != "" && about.Use != "sig" || about.Operations != nil && !slices.Contains(about.Operations, "verify") {
		return nil, errors.New("it is not for checking signatures")
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(raw); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "go-jose/go-jose: "))
	}
	if key.Algorithm != "" && !slices.Contains(Algorithms, key.Algorithm) {
		return nil, fmt.Errorf("alg %.20q is none that is taken", key.Algorithm)
	}
	if !key.IsPublic() {
		return nil, errors.New("it is not public: whoever reads it can sign tokens")
	}
	if public, is := key.Key.(*rsa.PublicKey); is && public.N.BitLen() < minRSA {
		return nil, fmt.Errorf("an RSA key has at least %d bits", minRSA)
	}
	print, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return &Key{id: key.KeyID, algorithm: key.Algorithm, print: base64.RawURLEncoding.EncodeToString(print), public: key.Key}, nil
}
