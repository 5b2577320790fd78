package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
)

const (
	// lifetime is how long a sign-in may take.
	lifetime = 10 * time.Minute
	// maxState bounds the state: a time, the path to come back to, and what the seal adds, in base64.
	maxState = (8+auth.MaxPath+12+16)*4/3 + 1
	keySize  = 32
	// cookiePrefix and as many characters of the state are the name of an attempt's cookie.
	cookiePrefix = "loyalty_sign_in_"
	cookieSuffix = 8
)

var (
	errUnknownState = fmt.Errorf("%w: this browser began no sign-in that this would be the return of, or did so too long ago", domain.ErrUnauthenticated)
	errTooLate      = fmt.Errorf("%w: the sign-in took longer than %s", domain.ErrUnauthenticated, lifetime)
)

// attempt is the sign-in of one browser tab. Its key stays in the browser, in a cookie of its own, so that tabs don't disturb each other.
// The nonce and the verifier are derived from the key. The path to go to and the time of the beginning travel in the state, encrypted with
// the key: this keeps cookies small, and the provider learns nothing.
type attempt struct {
	key   []byte
	to    string
	began time.Time
}

func newAttempt(to string, now time.Time) attempt {
	a := attempt{key: make([]byte, keySize), to: to, began: now}
	rand.Read(a.key) // never fails
	return a
}

// derived is a key for one purpose, derived from the attempt's key.
func (a attempt) derived(purpose string) []byte {
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

func (a attempt) nonce() string    { return encode(a.derived("nonce")) }
func (a attempt) verifier() string { return encode(a.derived("verifier")) }
func (a attempt) cookie() string   { return encode(a.key) }

func (a attempt) seal() (cipher.AEAD, error) {
	block, err := aes.NewCipher(a.derived("state"))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// state begins with random bytes, the seal's nonce, so that its beginning names the attempt.
func (a attempt) state() (string, error) {
	seal, err := a.seal()
	if err != nil {
		return "", err
	}
	note := binary.BigEndian.AppendUint64(nil, uint64(a.began.Unix()))
	return encode(seal.Seal(nil, nil, append(note, a.to...), nil)), nil
}

// openAttempt puts the two halves together again. It fails, as domain.ErrUnauthenticated, if they don't belong together (the seal's
// tag is compared in constant time), or are older than lifetime.
func openAttempt(cookie, state string, now time.Time) (attempt, error) {
	key, badKey := decode(cookie)
	sealed, badState := decode(state)
	if badKey != nil || badState != nil || len(key) != keySize {
		return attempt{}, errUnknownState
	}
	a := attempt{key: key}
	seal, err := a.seal()
	if err != nil {
		return attempt{}, err
	}
	note, err := seal.Open(nil, nil, sealed, nil)
	if err != nil || len(note) < 8 {
		return attempt{}, errUnknownState
	}
	a.began, a.to = time.Unix(int64(binary.BigEndian.Uint64(note)), 0), string(note[8:])
	if now.Sub(a.began) > lifetime {
		return a, errTooLate
	}
	return a, nil
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func decode(text string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(text) }

// cookie is that of the attempt with this state. The return is a navigation from another site, which SameSite=Lax lets it go with.
func (p *Provider) cookie(state, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: cookiePrefix + state[:cookieSuffix], Value: value, Path: ReturnPath, MaxAge: int(age.Seconds()),
		HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode,
	}
}
