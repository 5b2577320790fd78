// Package bodytest checks how handlers read bodies, for their tests.
package bodytest

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"loyalty/domain"
	"loyalty/internal/problem"
	"loyalty/internal/strictjson"
)

// Invalid makes sure that err, which a body was not read for, is one that a caller can act on.
func Invalid(t testing.TB, body []byte, err error) {
	t.Helper()
	if !errors.Is(err, domain.ErrInvalid) && !errors.Is(err, strictjson.ErrMalformed) && !errors.Is(err, domain.ErrForbidden) {
		t.Fatalf("%q is not read because of %v", body, err)
	}
	if p := problem.Of(err); p.Status == 500 || len(p.Errors) > strictjson.MaxFaults {
		t.Fatalf("%q is answered with %+v", body, p)
	}
}

// ReadsAlike makes sure that a body which was read as got is read as the same when it is written plainly.
func ReadsAlike[C any](t testing.TB, got C, plain any, decode func([]byte) (C, error)) {
	t.Helper()
	body, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode(body)
	if err != nil || !reflect.DeepEqual(back, got) {
		t.Fatalf("%s is read as %+v, %v, want %+v", body, back, err, got)
	}
}

// Faults makes sure that err is an invalid body of which several fields are at fault: their names and codes, in order, as
// "amount amount_missing, reason reason_malformed".
func Faults(t testing.TB, err error, want string) {
	t.Helper()
	var got []string
	p := problem.Of(err)
	for _, f := range p.Errors {
		got = append(got, f.Field+" "+f.Code)
	}
	if p.Code != "invalid_input" || strings.Join(got, ", ") != want {
		t.Errorf("got  %s %s\nwant %s", p.Code, strings.Join(got, ", "), want)
	}
}
