package keys

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/domain"
)

// ErrUnknown is that the identity provider publishes no key of the name that a token has.
var ErrUnknown = fmt.Errorf("%w: the identity provider publishes no such key", domain.ErrUnauthenticated)

var errAlgorithm = fmt.Errorf("%w: alg: the key of the token is for another algorithm", domain.ErrUnauthenticated)

// Of is the key that a parsed token is signed with. A key that is not known is looked up at once, at most every ten seconds. Errors are
// domain.ErrUnauthenticated if the provider publishes none that the token may be signed with, ErrUnknown if none of its name;
// domain.ErrUnavailable, with the time after which to try again, if that can't be told now.
func (s *Set) Of(ctx context.Context, token *jwt.Token) (*Key, error) {
	id, _ := token.Header["kid"].(string)
	algorithm := token.Method.Alg()
	candidates, known := s.candidates(id, algorithm)
	if len(candidates) == 0 && !known {
		unknown := s.lookUp(ctx)
		if candidates, known = s.candidates(id, algorithm); len(candidates) == 0 && !known {
			return nil, unknown
		}
	}
	if len(candidates) == 0 {
		return nil, errAlgorithm
	}
	if len(candidates) == 1 {
		return candidates[0], nil
	}
	signed := token.Raw[:strings.LastIndexByte(token.Raw, '.')]
	for _, key := range candidates {
		if token.Method.Verify(signed, token.Signature, key.public) == nil {
			return key, nil
		}
	}
	return candidates[0], nil // its signature will be found wrong
}

// Public is the key for package jwt.
func (k *Key) Public() any { return k.public }

// candidates are the trusted keys that a token may be signed with: those with its kid; or those without any, if none has it; or all, if it
// names none (RFC 7515, section 4.1.4; kid is optional on both sides). Known tells whether there is a key with its kid.
func (s *Set) candidates(id, algorithm string) (found []*Key, known bool) {
	if !s.fresh(s.options.Now()) {
		return nil, false
	}
	var nameless []*Key
	for _, key := range s.all() {
		named := id != "" && key.id == id
		known = known || named
		switch {
		case !key.signs(algorithm):
		case named || id == "":
			found = append(found, key)
		case key.id == "":
			nameless = append(nameless, key)
		}
	}
	if len(found) == 0 && !known {
		return nameless, false
	}
	return found, known
}

// lookup is a reading of the keys that a token has asked for.
type lookup struct {
	done   chan struct{}
	failed error // set before done is closed
}

// lookUp has the keys read, unless that was done for another token just now, and waits for it. What it returns is why a key that is not known
// then is not: it is not published, or that can't be told yet.
func (s *Set) lookUp(ctx context.Context) error {
	reading, ours, wait := s.askFor()
	patience := time.NewTimer(earlyWait)
	defer patience.Stop()
	select {
	case <-reading.done:
		if err := cmp.Or(reading.failed, s.Ready()); err != nil {
			return domain.Later(fmt.Errorf("%w: %w", domain.ErrUnavailable, err), retry)
		}
		if ours {
			return ErrUnknown
		}
		// It may be published since that reading began.
		return domain.Later(fmt.Errorf("%w: a token names a key that is not known, and the keys were read for such a one just now", domain.ErrUnavailable), wait)
	case <-ctx.Done():
	case <-patience.C:
	}
	return domain.Later(fmt.Errorf("%w: the keys of the identity provider are being read", domain.ErrUnavailable), retry)
}

// askFor asks Run for a reading, if there was none for a token in the last ten seconds; else it gives the one that there was, and how long
// there can't be another.
func (s *Set) askFor() (reading *lookup, ours bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	if wait := earlyEvery - now.Sub(s.askedAt); s.last != nil && wait > 0 {
		return s.last, false, wait
	}
	fresh := &lookup{done: make(chan struct{})}
	select {
	case s.asked <- fresh:
		s.last, s.askedAt = fresh, now
		return fresh, true, 0
	default: // Run is still busy with what was asked for earlier
		return s.last, false, retry
	}
}

// VerifySignature checks an ID token's signature and gives its payload, as oidc.KeySet does. Errors are those of Of.
func (s *Set) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	var failed error
	parser := jwt.NewParser(jwt.WithValidMethods(Algorithms), jwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(raw, jwt.MapClaims{}, func(token *jwt.Token) (any, error) {
		key, err := s.Of(ctx, token)
		if err != nil {
			failed = err
			return nil, err
		}
		return key.public, nil
	})
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		return nil, fmt.Errorf("%w: %w", domain.ErrUnauthenticated, err)
	}
	return base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
}
