package ledger

import (
	"context"
	"fmt"
	"time"

	"loyalty/domain"
)

// Span is how long the pieces are that earnings are told in.
type Span string

// The spans. A day is one in UTC.
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

// Length is how long the span is.
func (s Span) Length() time.Duration {
	if s == Day {
		return 24 * time.Hour
	}
	return time.Hour
}

// Most is the longest time that is told in such spans at once: 31 days by the hour, and by the day ten years, however many of
// them are leap years.
func (s Span) Most() time.Duration {
	if s == Day {
		return (10*365 + 3) * 24 * time.Hour
	}
	return 31 * 24 * time.Hour
}

// Begin is when the span begins that a time is in, UTC.
func (s Span) Begin(t time.Time) time.Time { return t.UTC().Truncate(s.Length()) }

// end is the first beginning of a span that is not before a time.
func (s Span) end(t time.Time) time.Time {
	if begin := s.Begin(t); begin.Before(t) {
		return begin.Add(s.Length())
	}
	return t.UTC()
}

// Earning is what the entries of one channel come to that occurred in one span of time.
type Earning struct {
	// At is when the span begins, UTC.
	At time.Time `json:"at"`
	// Channel is empty for what was given or taken by hand.
	Channel domain.Channel `json:"channel"`
	// Awards, Reversals and Adjustments count entries, those of zero points too.
	Awards      int64 `json:"awards"`
	Reversals   int64 `json:"reversals"`
	Adjustments int64 `json:"adjustments"`
	// Awarded, Reversed and Adjusted are the sums of their points: zero or more, zero or less, and either.
	Awarded  domain.Points `json:"awarded"`
	Reversed domain.Points `json:"reversed"`
	Adjusted domain.Points `json:"adjusted"`
}

// Add counts an entry in, whatever its time and channel.
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

// Earnings are what was earned in a stretch of time.
type Earnings struct {
	// From and Until bound what the answer covers: whole spans, From in it and Until not. Both are zero where they were not given
	// and the ledger has no entries.
	From, Until time.Time
	// Rows has one for every span and channel with entries, by At and then by Channel.
	Rows []Earning
	State
}

// Earner is the ledger as analysts see it, who ask what was earned when and through which channel. The sums are kept as the
// entries come in, and reading them takes time in proportion to the hours read, not to the entries. It may be used from many
// goroutines at once; each answer is one snapshot. Both return domain.ErrUnavailable when the store can't be reached.
type Earner interface {
	// Earnings adds up the entries that occurred at from or later, and before until, by span and channel. What is given is widened
	// to whole spans; a zero from is the beginning of the span of the first entry, and a zero until the end of the last one's.
	// Errors are domain.ErrInvalid with a code: until_before_from if until is not after from, span_too_long if there is more
	// between them than Span.Most, until_too_late if what it is widened to can't be written as RFC 3339, and span_unknown.
	Earnings(ctx context.Context, from, until time.Time, by Span) (Earnings, error)
	// Hours hands the sums of every hour with entries to yield, by At and then by Channel, all from one snapshot, whose state it
	// returns. It stops at yield's first error and returns it.
	Hours(ctx context.Context, yield func(Earning) error) (State, error)
}

// Cover is what is told of from and until by a ledger whose first and last hour with entries begin at first and last; these are
// zero as long as they are not known, or if there are none. Its errors are those of Earner.
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
	if (known || !from.IsZero() && !until.IsZero()) && from.Add(s.Most()).Before(until) {
		return begin, end, domain.Invalid("from", "span_too_long", fmt.Sprintf(
			"by the %s at most %d days are told at once: ask for a later from, or an earlier until", s, s.Most()/(24*time.Hour)))
	}
	return begin, end, nil
}
