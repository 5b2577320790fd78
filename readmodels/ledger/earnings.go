package ledger

import (
	"context"
	"fmt"
	"time"

	"loyalty/domain"
)

// Span is the length of time by which earnings are summed.
type Span string

// The spans. Days begin at 00:00 UTC.
const (
	Hour Span = "hour"
	Day  Span = "day"
)

// ParseSpan accepts hour and day. The error names field.
func ParseSpan(field, text string) (Span, error) {
	switch s := Span(text); s {
	case Hour, Day:
		return s, nil
	}
	return "", domain.Invalid(field, "span_unknown", "this must be hour or day")
}

// Length is the span as a duration.
func (s Span) Length() time.Duration {
	if s == Day {
		return 24 * time.Hour
	}
	return time.Hour
}

// MaxRange is the longest range that one query may cover in these spans: 31 days by the hour, and ten years by the day, three of them
// leap years.
func (s Span) MaxRange() time.Duration {
	if s == Day {
		return (10*365 + 3) * 24 * time.Hour
	}
	return 31 * 24 * time.Hour
}

// Begin is the beginning of the span that contains t, UTC.
func (s Span) Begin(t time.Time) time.Time { return t.UTC().Truncate(s.Length()) }

// end rounds t up to the beginning of a span, UTC.
func (s Span) end(t time.Time) time.Time {
	if begin := s.Begin(t); begin.Before(t) {
		return begin.Add(s.Length())
	}
	return t.UTC()
}

// Earning sums the entries of one channel that occurred in one span.
type Earning struct {
	// At is when the span begins, UTC.
	At time.Time `json:"at"`
	// Channel is empty for adjustments made by staff.
	Channel domain.Channel `json:"channel"`
	// Awards, Reversals and Adjustments count the entries, including those of 0 points.
	Awards      int64 `json:"awards"`
	Reversals   int64 `json:"reversals"`
	Adjustments int64 `json:"adjustments"`
	// Awarded (0 or more), Reversed (0 or less) and Adjusted (either) are the sums of their points.
	Awarded  domain.Points `json:"awarded"`
	Reversed domain.Points `json:"reversed"`
	Adjusted domain.Points `json:"adjusted"`
}

// Add adds an entry of any time and channel.
func (e *Earning) Add(kind Kind, points domain.Points) {
	switch kind {
	case Award:
		e.Awards, e.Awarded = e.Awards+1, e.Awarded+points
	case Reversal:
		e.Reversals, e.Reversed = e.Reversals+1, e.Reversed+points
	case Adjustment:
		e.Adjustments, e.Adjusted = e.Adjustments+1, e.Adjusted+points
	}
}

// Earnings are the sums of a range of time.
type Earnings struct {
	// From (inclusive) and Until (exclusive) bound the answer, in whole spans. A bound that was not given is zero if the ledger has no
	// entries.
	From, Until time.Time
	// Rows has one Earning for each span and channel with entries, ordered by At, then Channel.
	Rows []Earning
	State
}

// Earner reads the sums of points by time and channel. The ledger keeps them by the hour, so that reading takes time in proportion to
// the hours read, not to the entries. It is safe for concurrent use. Each answer is one snapshot. Both methods return
// domain.ErrUnavailable when the store can't be reached.
type Earner interface {
	// Earnings sums the entries from from (inclusive) until until (exclusive) by span and channel. Both bounds are widened to whole
	// spans. A zero from is the span of the first entry, a zero until the end of the span of the last. Errors are domain.ErrInvalid
	// with a code: until_before_from if until is not after from, span_too_long if they are further apart than Span.MaxRange,
	// until_too_late if the widened until is after the year 9999, the last that RFC 3339 can write, and span_unknown.
	Earnings(ctx context.Context, from, until time.Time, by Span) (Earnings, error)
	// Hours calls yield with the sums of every hour that has entries, ordered by At, then Channel, all from one snapshot, whose state
	// it returns. It stops at yield's first error and returns it.
	Hours(ctx context.Context, yield func(Earning) error) (State, error)
}

// ReadEarnings implements Earner.Earnings for an adapter: it checks and widens the bounds. read sums the hours from begin (inclusive)
// until end (exclusive), either of which is zero where it is open, and also returns the first and the last hour with entries in the
// whole ledger, zero if there are none. If begin and end, or the hours in their place, are further apart than most, it returns no rows.
func ReadEarnings(from, until time.Time, by Span,
	read func(begin, end time.Time, most time.Duration) (sums Earnings, first, last time.Time, err error)) (Earnings, error) {
	begin, end, err := by.Cover(from, until, time.Time{}, time.Time{})
	if err != nil {
		return Earnings{}, err
	}
	// Widening to whole spans adds less than two of them.
	sums, first, last, err := read(begin, end, by.MaxRange()+2*by.Length())
	if err != nil {
		return Earnings{}, err
	}
	if sums.From, sums.Until, err = by.Cover(from, until, first, last); err != nil {
		return Earnings{}, err
	}
	return sums, nil
}

// Cover widens from and until to whole spans, and fills in an open bound from first and last, the first and the last hour with
// entries; these are zero as long as they are not known, or if there are none. Its errors are those of Earner.Earnings.
func (s Span) Cover(from, until, first, last time.Time) (begin, end time.Time, _ error) {
	if _, err := ParseSpan("by", string(s)); err != nil {
		return begin, end, err
	}
	if !from.IsZero() && !until.IsZero() && !from.Before(until) {
		return begin, end, domain.Invalid("until", "until_before_from", "until must be after from")
	}
	begin, end = s.Begin(from), s.end(until)
	if end.Year() > 9999 {
		return begin, end, domain.Invalid("until", "until_too_late", "the "+string(s)+" that until is in must end before the year 10000")
	}
	known := !last.IsZero()
	if known && from.IsZero() {
		if begin = s.Begin(first); !until.IsZero() && end.Before(begin) {
			begin = end
		}
		from = begin
	}
	if known && until.IsZero() {
		if end = s.Begin(last).Add(s.Length()); end.Before(begin) {
			end = begin
		}
		until = end
	}
	if (known || !from.IsZero() && !until.IsZero()) && from.Add(s.MaxRange()).Before(until) {
		return begin, end, domain.Invalid("from", "span_too_long", fmt.Sprintf(
			"by the %s at most %d days are told at once: ask for a later from, or an earlier until", s, s.MaxRange()/(24*time.Hour)))
	}
	return begin, end, nil
}
