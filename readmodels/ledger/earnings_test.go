package ledger_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

func TestASpanIsAnHourOrADay(t *testing.T) {
	for _, text := range []string{"hour", "day"} {
		if s, err := ledger.ParseSpan("by", text); err != nil || string(s) != text {
			t.Errorf("%s: %q, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "week", "Day", "days"} {
		var refused *domain.InvalidError
		if _, err := ledger.ParseSpan("by", text); !errors.As(err, &refused) || refused.Fields[0].Field != "by" || refused.Fields[0].Code != "span_unknown" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is told is whole spans, all that was asked for, and nothing beyond the spans that the ends are in.
func TestWhatIsToldCoversWhatWasAskedFor(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		by := rapid.SampledFrom([]ledger.Span{ledger.Hour, ledger.Day}).Draw(r, "by")
		from := time.Unix(rapid.Int64Range(-1e10, 1e10).Draw(r, "from"), rapid.Int64Range(0, 999_999_999).Draw(r, "and"))
		until := from.Add(time.Duration(rapid.Int64Range(1, int64(by.MaxRange())).Draw(r, "for")))
		begin, end, err := by.Cover(from, until, time.Time{}, time.Time{})
		length := by.Length()
		if err != nil || begin.After(from) || !begin.Add(length).After(from) || end.Before(until) || !end.Add(-length).Before(until) ||
			begin.Unix()%int64(length/time.Second) != 0 || end.Unix()%int64(length/time.Second) != 0 {
			r.Fatalf("%s to %s by the %s: %s to %s, %v", from, until, by, begin, end, err)
		}
		if _, _, err := by.Cover(from, from.Add(by.MaxRange()+1), time.Time{}, time.Time{}); !errors.Is(err, domain.ErrInvalid) {
			r.Fatalf("a nanosecond more than %s: %v", by.MaxRange(), err)
		}
	})
}
