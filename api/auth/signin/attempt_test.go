package signin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/api/auth"
	"loyalty/domain"
)

func TestAnAttemptComesBackAsItWent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		to := auth.LocalPath("/" + rapid.StringN(-1, -1, auth.MaxPath).Draw(t, "to"))
		now := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "now"), 0)
		a := newAttempt(to, now)
		state, err := a.state()
		if err != nil || len(state) > maxState {
			t.Fatalf("the state has %d characters, %v", len(state), err)
		}
		back, err := openAttempt(a.cookie(), state, now.Add(lifetime))
		if err != nil || back.to != to || !back.began.Equal(now) || back.nonce() != a.nonce() || back.verifier() != a.verifier() {
			t.Fatalf("%+v came back as %+v, %v", a, back, err)
		}
		if a.nonce() == a.verifier() || len(a.verifier()) != 43 {
			t.Fatalf("nonce %s, verifier %s", a.nonce(), a.verifier())
		}
		for name, other := range map[string]func() (attempt, error){
			"later":          func() (attempt, error) { return openAttempt(a.cookie(), state, now.Add(lifetime+time.Second)) },
			"by another key": func() (attempt, error) { return openAttempt(newAttempt(to, now).cookie(), state, now) },
			"changed": func() (attempt, error) {
				changed := []byte(state)
				i := rapid.IntRange(0, len(changed)-1).Draw(t, "changed")
				changed[i] = map[bool]byte{true: 'B', false: 'A'}[changed[i] == 'A']
				return openAttempt(a.cookie(), string(changed), now)
			},
		} {
			if got, err := other(); !errors.Is(err, domain.ErrUnauthenticated) {
				t.Fatalf("%s it comes back as %+v, %v", name, got, err)
			}
		}
	})
}

func FuzzReturn(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	a := newAttempt("/support", now)
	f.Add(a.cookie(), must(a.state()))
	f.Add("", "")
	f.Add(a.cookie(), "AAAA")
	f.Add(strings.Repeat("A", 43), strings.Repeat("A", 100))
	f.Fuzz(func(t *testing.T, cookie, state string) {
		got, err := openAttempt(cookie, state, now)
		if err != nil && !errors.Is(err, domain.ErrUnauthenticated) {
			t.Fatal(err)
		}
		if err == nil && got.cookie() != cookie {
			t.Fatalf("%q is the key of an attempt with %q", cookie, got.cookie())
		}
	})
}
