// Package secret reads the secrets that a process is given as text, and refuses those that somebody could find by trying.
package secret

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// minBytes is the least length of a secret's key, as for HS256 (RFC 7518, section 3.2).
	minBytes = 32
	// minBase64 is how long minBytes are in base64.
	minBase64 = (minBytes*8 + 5) / 6
	// minAsText is the shortest key after AsText, in bytes: what earlier versions of the program took.
	minAsText = 16

	// AsText before a secret says that what follows is the key byte by byte, however weak it looks. It is for systems whose names were
	// made so by an earlier version of the program.
	AsText = "text:"
)

const (
	hexDigits = "0123456789abcdefABCDEF"
	alphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// errWeak ends with what to do.
func errWeak(why string) error {
	return fmt.Errorf("it %s, so that it could be found by trying: make one of 32 random bytes with openssl rand -hex 32", why)
}

// Key is the key that a text stands for: an even number of at least 64 hexadecimal digits is decoded; base64 or base64url of at least
// 32 bytes is the key as it stands, not decoded. After AsText comes a key as it stands, of at least 16 bytes. Anything else is an error,
// which never shows the text.
func Key(text string) ([]byte, error) {
	if key, asText := strings.CutPrefix(text, AsText); asText {
		if len(key) < minAsText {
			return nil, fmt.Errorf("%s must be followed by at least %d bytes", AsText, minAsText)
		}
		return []byte(key), nil
	}
	switch {
	case consistsOf(text, hexDigits):
		if len(text) < 2*minBytes || len(text)%2 != 0 {
			return nil, fmt.Errorf("it is of %d hexadecimal digits, and must be of at least %d and an even number: make one with openssl rand -hex 32", len(text), 2*minBytes)
		}
	case !isBase64(text):
		return nil, errors.New("it must be of at least 64 hexadecimal digits, or of at least 32 bytes in base64: make one with openssl rand -hex 32. " +
			"A system that began with this text, under an earlier version, is given it with " + AsText + " before it")
	case len(strings.TrimRight(text, "=")) < minBase64:
		return nil, errWeak(fmt.Sprintf("is of less than %d characters", minBase64))
	}
	if err := guessed(text); err != nil {
		return nil, fmt.Errorf("%w. A system that began with this text, under an earlier version, is given it with %s before it", err, AsText)
	}
	if consistsOf(text, hexDigits) {
		return hex.DecodeString(text)
	}
	return []byte(text), nil
}

// Token is the key that a token secret stands for: the text itself, as those who issue tokens take it. It has at least 64 characters if all are
// hexadecimal digits, 43 if it is base64 or base64url, and 32 bytes otherwise. What looks like words, or repeats itself, is an error,
// which never shows the text.
func Token(text string) ([]byte, error) {
	least := minBytes
	switch {
	case consistsOf(text, hexDigits):
		least = 2 * minBytes
	case isBase64(text):
		least = minBase64
	}
	if len(text) < least {
		return nil, errWeak(fmt.Sprintf("needs at least %d bytes of such characters", least))
	}
	if err := guessed(text); err != nil {
		return nil, err
	}
	return []byte(text), nil
}

func consistsOf(text, characters string) bool { return strings.Trim(text, characters) == "" }

// isBase64 tells whether a text may be base64 or base64url, with padding or without.
func isBase64(text string) bool {
	text = strings.TrimRight(text, "=")
	return consistsOf(text, alphabet+"+/") || consistsOf(text, alphabet+"-_")
}
