package ledger

import (
	"errors"
	"math"
	"testing"
	"time"

	"loyalty/domain"
)

func TestACursorLeadsBackToItsPosition(t *testing.T) {
	for _, at := range []domain.Position{{}, {Commit: 1, Prepare: 1}, {Commit: 7, Prepare: 3}, {Commit: math.MaxInt64, Prepare: math.MaxInt64}} {
		got, err := DecodeCursor("anna", Filter{}, EncodeCursor("anna", Filter{}, at))
		if err != nil || got != at {
			t.Errorf("the cursor of %v leads to %v, %v", at, got, err)
		}
	}
}

func TestTheEmptyCursorIsBeforeNothing(t *testing.T) {
	got, err := DecodeCursor("anna", Filter{}, "")
	if err != nil || got != (domain.Position{Commit: math.MaxInt64, Prepare: math.MaxInt64}) {
		t.Errorf("the empty cursor leads to %v, %v", got, err)
	}
}

func TestACursorIsRefusedWhere(t *testing.T) {
	good := EncodeCursor("anna", Filter{}, domain.Position{Commit: 700, Prepare: 700})
	flipped := []byte(good)
	flipped[len(flipped)/2] ^= 1
	for name, text := range map[string]string{
		"it is another filter's":    EncodeCursor("anna", Filter{Channel: domain.Store}, domain.Position{Commit: 700, Prepare: 700}),
		"it is another customer's":  EncodeCursor("bob", Filter{}, domain.Position{Commit: 700, Prepare: 700}),
		"it was cut short":          good[:len(good)-1],
		"something was added":       good + "A",
		"it was padded":             good + "==",
		"a character was changed":   string(flipped),
		"it is no base64":           "not a cursor!",
		"it is a plain position":    "700",
		"its position is no log's":  EncodeCursor("anna", Filter{}, domain.Position{Commit: math.MaxUint64, Prepare: math.MaxUint64}),
		"a line break was let in":   good[:4] + "\n" + good[4:],
		"it is of another format":   "AQ" + good[2:],
		"it is written differently": good[:len(good)-1] + string(good[len(good)-1]+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeCursor("anna", Filter{}, text)
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
	f.Add("anna", EncodeCursor("anna", Filter{}, domain.Position{Commit: 700, Prepare: 699}))
	f.Add("anna", EncodeCursor("bob", Filter{}, domain.Position{Commit: 700, Prepare: 700}))
	f.Add("anna", "AQAAAAAAAAK8AAAAAAAAArw")
	f.Fuzz(func(t *testing.T, customer, text string) {
		at, err := DecodeCursor(domain.CustomerID(customer), Filter{}, text)
		switch {
		case err != nil:
			if !errors.Is(err, domain.ErrInvalid) || at != (domain.Position{}) {
				t.Errorf("%q is refused with %v and %v", text, at, err)
			}
		case text != "" && EncodeCursor(domain.CustomerID(customer), Filter{}, at) != text:
			t.Errorf("%q is accepted, but is not how %v is written", text, at)
		}
	})
}

func TestACursorOfActsIsForThemAndTheirFilter(t *testing.T) {
	at, noon := domain.Position{Commit: 700, Prepare: 699}, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	filters := []AuditFilter{
		{}, {Kinds: []AuditKind{Approved}}, {Kinds: []AuditKind{Approved, Declined}}, {Customer: "anna"}, {Actor: "anna"}, {From: noon}, {Until: noon},
		{From: noon, Until: noon}, {Waiting: true}, {Customer: "anna", Waiting: true},
	}
	for i, mine := range filters {
		cursor := EncodeAuditCursor(mine, at)
		for j, filter := range filters {
			got, err := DecodeAuditCursor(filter, cursor)
			if i == j && (err != nil || got != at) || i != j && (!errors.Is(err, domain.ErrInvalid) || got != (domain.Position{})) {
				t.Errorf("the cursor of %+v leads with %+v to %v, %v", mine, filter, got, err)
			}
		}
	}
	if _, err := DecodeAuditCursor(AuditFilter{Kinds: []AuditKind{Declined, Approved, Declined}}, EncodeAuditCursor(filters[2], at)); err != nil {
		t.Errorf("the same kinds in another order: %v", err)
	}
	for name, err := range map[string]error{
		"audit log": second(DecodeAuditCursor(AuditFilter{}, EncodeCursor("", Filter{}, at))), "a trail": second(DecodeCursor("", Filter{}, EncodeAuditCursor(AuditFilter{}, at))),
	} {
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s are read with the other's cursor: %v", name, err)
		}
	}
}

func second(_ domain.Position, err error) error { return err }

func TestTheBytesOfAFilterAreItsOwn(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	filters := []Filter{
		{}, {Kinds: []Kind{Award}}, {Kinds: []Kind{Reversal}}, {Kinds: []Kind{Award, Reversal}}, {Channel: "award"}, {Channel: "a"}, {Order: "a"},
		{Channel: "a", Order: "b"}, {Channel: "ab"}, {Order: "ab"}, {From: noon}, {Until: noon}, {From: noon, Until: noon}, {From: time.Unix(0, 0)},
		{After: domain.Position{Commit: 1}}, {After: domain.Position{Prepare: 1}},
	}
	written := map[string]int{}
	for i, f := range filters {
		text := string(f.appendTo(nil))
		if other, there := written[text]; there {
			t.Errorf("%+v and %+v are written the same", f, filters[other])
		}
		written[text] = i
	}
	same := [2]Filter{{Kinds: []Kind{Award, Reversal}, From: noon}, {Kinds: []Kind{Reversal, Award, Award}, From: noon.Add(time.Nanosecond).In(time.FixedZone("", 3600))}}
	if string(same[0].appendTo(nil)) != string(same[1].appendTo(nil)) {
		t.Errorf("%+v and %+v are not written the same", same[0], same[1])
	}
}
