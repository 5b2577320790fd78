package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/internal/strictjson"
)

func TestAnErrorIsTheFirstEntryThatItIs(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{ErrTokenMissing, http.StatusUnauthorized, "token_missing"},
		{domain.ErrUnauthenticated, http.StatusUnauthorized, "token_invalid"},
		{fmt.Errorf("order o-1: %w", domain.ErrConflict), http.StatusConflict, "conflict"},
		{fmt.Errorf("%w: %w", domain.ErrUnavailable, context.Canceled), http.StatusServiceUnavailable, "unavailable"},
		{strictjson.ErrMalformed, http.StatusBadRequest, "json_malformed"},
		{errors.New("the secret is 12345"), http.StatusInternalServerError, "internal"},
	} {
		p := Of(c.err)
		if p.Status != c.status || p.Code != c.code || p.Type != "urn:problem-type:loyalty:"+c.code || p.Title == "" {
			t.Errorf("%v is %+v", c.err, p)
		}
		if (p.Detail == "") != (c.code == "internal") {
			t.Errorf("%v says %q", c.err, p.Detail)
		}
	}
}

// An entry behind one that covers it would never be found.
func TestEveryEntryOfTheTableCanBeFound(t *testing.T) {
	for _, entry := range table {
		if p := Of(entry.err); p.Code != entry.code || p.Status != entry.status || p.Detail != entry.detail {
			t.Errorf("%v is %+v", entry.err, p)
		}
	}
}

func TestAProblemOfOneFieldHasItsCode(t *testing.T) {
	one := domain.JoinInvalid(domain.Invalid("a", "a_missing", "say a"), domain.Invalid("a", "a_long", "shorter"))
	if p := Of(fmt.Errorf("read: %w", one)); p.Code != "a_missing" || p.Detail != "say a" || len(p.Errors) != 2 || p.Status != http.StatusBadRequest {
		t.Errorf("got %+v", p)
	}
	two := domain.JoinInvalid(one, domain.Invalid("b", "b_missing", "say b"))
	if p := Of(two); p.Code != "invalid_input" || len(p.Errors) != 3 || p.Errors[2] != (Fault{"b", "b_missing", "say b"}) {
		t.Errorf("got %+v", p)
	}
	many := make([]error, 500)
	for i := range many {
		many[i] = domain.Invalid(fmt.Sprint("items", i), "id_missing", "say it")
	}
	if p := Of(domain.JoinInvalid(many...)); len(p.Errors) != strictjson.MaxFaults {
		t.Errorf("%d faults are listed", len(p.Errors))
	}
}

// Whoever is told to come back is told when: by the error if it knows.
func TestAProblemThatPassesSaysWhen(t *testing.T) {
	for _, entry := range table {
		temporary := entry.status == http.StatusTooManyRequests || entry.status == http.StatusServiceUnavailable
		if p := Of(entry.err); (p.RetryAfter > 0) != temporary {
			t.Errorf("%s: after %s", p.Code, p.RetryAfter)
		}
		want := time.Duration(0)
		if temporary {
			want = 7 * time.Minute
		}
		if p := Of(fmt.Errorf("asked for too much: %w", domain.Later(entry.err, 7*time.Minute))); p.RetryAfter != want || p.Code != entry.code {
			t.Errorf("%s: after %s, want %s", p.Code, p.RetryAfter, want)
		}
	}
}
