package domain_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"loyalty/domain"

	"github.com/google/go-cmp/cmp"
)

// refusals lists what an error says about fields, each as "field code", and nothing for any other error.
func refusals(err error) []string {
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) {
		return nil
	}
	var all []string
	for _, f := range invalid.Fields {
		all = append(all, f.Field+" "+f.Code)
	}
	return all
}

// wantRefusals checks that err is ErrInvalid about exactly these fields, each with a sentence for people; or nil for none.
func wantRefusals(t testing.TB, err error, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, refusals(err)); diff != "" {
		t.Fatalf("refused fields (-want +got):\n%s", diff)
	}
	if len(want) == 0 {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return
	}
	if !errors.Is(err, domain.ErrInvalid) {
		t.Fatalf("%v is not ErrInvalid", err)
	}
	var invalid *domain.InvalidError
	errors.As(err, &invalid)
	for _, f := range invalid.Fields {
		if f.Detail == "" {
			t.Errorf("%s (%s) has no detail", f.Field, f.Code)
		}
	}
}

func TestInvalid_is_ErrInvalid_and_names_its_field_however_it_is_wrapped(t *testing.T) {
	err := fmt.Errorf("order o-1: %w", domain.Invalid("paymentDetails.amount", "amount_negative", "must not be negative"))
	if !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("%v is not ErrInvalid", err)
	}
	if errors.Is(err, domain.ErrConflict) {
		t.Errorf("%v is ErrConflict too", err)
	}
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("%v holds no *InvalidError", err)
	}
	want := []domain.FieldError{{Field: "paymentDetails.amount", Code: "amount_negative", Detail: "must not be negative"}}
	if diff := cmp.Diff(want, invalid.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestInvalidError_reads_as_a_sentence_with_every_field(t *testing.T) {
	err := domain.JoinInvalid(
		domain.Invalid("amount", "amount_zero", "give at least 0.01"),
		domain.Invalid("reason", "reason_missing", "say why"),
	)
	const want = "invalid input: amount (amount_zero): give at least 0.01; reason (reason_missing): say why"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestJoinInvalid(t *testing.T) {
	a, b := domain.Invalid("a", "a_bad", "a"), domain.Invalid("b", "b_bad", "b")
	t.Run("of nothing wrong is nil", func(t *testing.T) {
		if err := domain.JoinInvalid(nil, nil); err != nil {
			t.Errorf("got %v", err)
		}
	})
	t.Run("keeps every field, in order, out of wrapped and joined errors too", func(t *testing.T) {
		wantRefusals(t, domain.JoinInvalid(nil, b, fmt.Errorf("wrapped: %w", domain.JoinInvalid(a, b)), nil), "b b_bad", "a a_bad", "b b_bad")
	})
	t.Run("leaves the errors it was given as they were", func(t *testing.T) {
		_ = domain.JoinInvalid(a, b)
		wantRefusals(t, a, "a a_bad")
	})
	t.Run("passes on the first error that is about no field", func(t *testing.T) {
		if err := domain.JoinInvalid(a, io.ErrUnexpectedEOF, io.EOF); err != io.ErrUnexpectedEOF {
			t.Errorf("got %v", err)
		}
	})
}
