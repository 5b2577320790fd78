package replay

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Until is the moment up to which a history is folded. The zero Until is the end of the log. With a time, folding ends before the
// first event, in the order of the log, that was stored later than that time. With a day, it ends before the first event that was stored
// after that day, in UTC. With a position, it ends after the event at that position.
type Until struct {
	flag, text string
	position   *domain.Position
	// begin is the beginning of the day, or the time itself. limit is the first microsecond after the day or time.
	begin, limit time.Time
}

// ParseUntil parses 2026-10-01, 2026-10-01T09:30Z (with seconds and other offsets too), or a position; empty is the zero Until. The
// error is domain.ErrInvalid and names flag.
func ParseUntil(flag, text string) (Until, error) {
	u := Until{flag: flag, text: text}
	if text == "" {
		return Until{}, nil
	}
	switch at, day, ok := domain.ParseTime(text); {
	case day:
		u.begin, u.limit = at, at.AddDate(0, 0, 1)
		return u, nil
	case ok:
		u.begin, u.limit = at, at.Truncate(time.Microsecond).Add(time.Microsecond)
		return u, nil
	}
	at, err := domain.ParsePosition(flag, text)
	if err != nil {
		return Until{}, domain.Invalid(flag, "until_malformed", "say a day such as 2026-10-01, a time such as 2026-10-01T09:30Z, or a position that an answer or an export gave")
	}
	u.position = &at
	return u, nil
}

func (u Until) timed() bool { return !u.limit.IsZero() }

// passed tells whether an event stored at a time comes after a time or day. It is false for positions.
func (u Until) passed(stored time.Time) bool { return u.timed() && !stored.Before(u.limit) }

func (u Until) invalid(code, detail string, args ...any) error {
	return domain.Invalid(u.flag, code, u.text+" "+fmt.Sprintf(detail, args...))
}

// notBefore is an error if the moment is before the first event of a history. notAfter is an error if it is after the last.
func (u Until) notBefore(first place) error {
	if u.timed() && !first.stored.Before(u.limit) || u.position != nil && u.position.Before(first.position) {
		return u.invalid("until_before_first", "is before the first event, %s", first)
	}
	return nil
}

func (u Until) notAfter(last place) error {
	if u.timed() && u.begin.After(last.stored) || u.position != nil && last.position.Before(*u.position) {
		return u.invalid("until_after_last", "is after the last event, %s", last)
	}
	return nil
}

// place is the position of an event and when it was stored.
type place struct {
	position domain.Position
	stored   time.Time
}

func (p place) String() string {
	return fmt.Sprintf("which was stored at %s, at position %s", p.stored.UTC().Format(time.RFC3339Nano), p.position)
}

func placeOf(r eventstore.Recorded) place { return place{r.Position, r.Created} }

// check returns the position up to which to read; a time may end reading before it. A moment outside the log, and a position in the
// middle of an append, are errors.
func (u Until) check(ctx context.Context, store *eventstore.Store, looked func(at, end domain.Position)) (domain.Position, error) {
	first, last, some, err := store.Extent(ctx, looked)
	if err != nil || !some {
		if err == nil && u != (Until{}) {
			err = u.invalid("until_empty", "can't be found: there are no events yet")
		}
		return domain.Position{}, err
	}
	if err := cmp.Or(u.notBefore(placeOf(first)), u.notAfter(placeOf(last))); err != nil {
		return domain.Position{}, err
	}
	if u.position == nil {
		return last.Position, nil
	}
	end, err := store.AppendEnd(ctx, *u.position)
	if err == nil && end != *u.position {
		err = u.inAppend(end)
	}
	return end, err
}

func (u Until) inAppend(end domain.Position) error {
	return u.invalid("until_in_append", "is in the middle of an append, whose last event is at position %s: use that", end)
}
