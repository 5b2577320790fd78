package ledger

import (
	"errors"
	"math"
	"testing"

	"loyalty/domain"
)

func TestACursorLeadsBackToItsPosition(t *testing.T) {
	for _, at := range []domain.Position{{}, {Commit: 1, Prepare: 1}, {Commit: 7, Prepare: 3}, {Commit: math.MaxInt64, Prepare: math.MaxInt64}} {
		got, err := DecodeCursor("anna", EncodeCursor("anna", at))
		if err != nil || got != at {
			t.Errorf("the cursor of %v leads to %v, %v", at, got, err)
		}
	}
}

func TestTheEmptyCursorIsBeforeNothing(t *testing.T) {
	got, err := DecodeCursor("anna", "")
	if err != nil || got != (domain.Position{Commit: math.MaxInt64, Prepare: math.MaxInt64}) {
		t.Errorf("the empty cursor leads to %v, %v", got, err)
	}
}

func TestACursorIsRefusedWhere(t *testing.T) {
	good := EncodeCursor("anna", domain.Position{Commit: 700, Prepare: 700})
	flipped := []byte(good)
	flipped[len(flipped)/2] ^= 1
	for name, text := range map[string]string{
		"it is another customer's":  EncodeCursor("bob", domain.Position{Commit: 700, Prepare: 700}),
		"it was cut short":          good[:len(good)-1],
		"something was added":       good + "A",
		"it was padded":             good + "==",
		"a character was changed":   string(flipped),
		"it is no base64":           "not a cursor!",
		"it is a plain position":    "700",
		"its position is no log's":  EncodeCursor("anna", domain.Position{Commit: math.MaxUint64, Prepare: math.MaxUint64}),
		"a line break was let in":   good[:4] + "\n" + good[4:],
		"it is of a later format":   "Ag" + good[2:],
		"it is written differently": good[:len(good)-1] + string(good[len(good)-1]+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeCursor("anna", text)
			var invalid *domain.InvalidError
			if !errors.As(err, &invalid) || invalid.Fields[0].Field != "cursor" || invalid.Fields[0].Code != "cursor_invalid" {
				t.Errorf("got %v, want cursor_invalid of the field cursor", err)
			}
		})
	}
}

func TestALimitIsWithinItsRange(t *testing.T) {
	for limit, fine := range map[int]bool{-1: false, 0: false, 1: true, MaxPage: true, MaxPage + 1: false} {
		if err := CheckLimit(limit); (err == nil) != fine || (err != nil && !errors.Is(err, domain.ErrInvalid)) {
			t.Errorf("the limit %d gives %v", limit, err)
		}
	}
}

// FuzzDecodeCursor feeds the decoder anything: it refuses it as cursor_invalid, or it is exactly what the encoder writes
// for that customer and position.
func FuzzDecodeCursor(f *testing.F) {
	f.Add("anna", "")
	f.Add("anna", EncodeCursor("anna", domain.Position{Commit: 700, Prepare: 699}))
	f.Add("anna", EncodeCursor("bob", domain.Position{Commit: 700, Prepare: 700}))
	f.Add("anna", "AQAAAAAAAAK8AAAAAAAAArw")
	f.Fuzz(func(t *testing.T, customer, text string) {
		at, err := DecodeCursor(domain.CustomerID(customer), text)
		switch {
		case err != nil:
			if !errors.Is(err, domain.ErrInvalid) || at != (domain.Position{}) {
				t.Errorf("%q is refused with %v and %v", text, at, err)
			}
		case text != "" && EncodeCursor(domain.CustomerID(customer), at) != text:
			t.Errorf("%q is accepted, but is not how %v is written", text, at)
		}
	})
}
