package request_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"loyalty/api/request"
	"loyalty/domain"
)

func TestAnIdempotencyKeyIsTheSameQuotedOrBare(t *testing.T) {
	long := strings.Repeat("k", 64)
	for _, c := range []struct {
		given    []string
		optional bool
		want     domain.LoyaltyID
		code     string
	}{
		{given: []string{"k-1"}, want: "k-1"},
		{given: []string{`"k-1"`}, want: "k-1"},
		{given: []string{`"` + long + `"`}, want: domain.LoyaltyID(long)},
		{given: []string{`"k-1"`}, optional: true, want: "k-1"},
		{optional: true},
		{code: "idempotency_key_missing"},
		{given: []string{""}, code: "idempotency_key_missing"},
		{given: []string{`""`}, optional: true, code: "idempotency_key_missing"},
		{given: []string{"k-1", "k-1"}, code: "idempotency_key_repeated"},
		{given: []string{"k-1", "k-2"}, optional: true, code: "idempotency_key_repeated"},
		{given: []string{`"`}, code: "id_malformed"},
		{given: []string{`"k-1`}, code: "id_malformed"},
		{given: []string{`k-1"`}, code: "id_malformed"},
		{given: []string{`""k-1""`}, code: "id_malformed"},
		{given: []string{`"k-1";retry=2`}, code: "id_malformed"},
		{given: []string{"store.k-1"}, code: "id_malformed"},
		{given: []string{"k-1, k-2"}, code: "id_malformed"},
		{given: []string{long + "k"}, code: "id_too_long"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Idempotency-Key"] = c.given
		got, err := request.IdempotencyKey[domain.LoyaltyID](echo.New().NewContext(r, httptest.NewRecorder()), c.optional)
		var invalid *domain.InvalidError
		code := ""
		if errors.As(err, &invalid) {
			code = invalid.Fields[0].Code
			if invalid.Fields[0].Field != "Idempotency-Key" {
				t.Errorf("%q: the field is %s", c.given, invalid.Fields[0].Field)
			}
		}
		if got != c.want || code != c.code {
			t.Errorf("%q, optional %t: got %q, %v", c.given, c.optional, got, err)
		}
	}
}
