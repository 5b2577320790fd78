package replay

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Until is the moment up to which a history is folded: the zero Until is its end. A time stands for everything before the first
// event that was stored later than it, in the order of the log; a day for everything before the first that was stored after that
// day, in UTC; a position for everything up to it, its own event included.
type Until struct {
	flag, text string
	position   *domain.Position
	// begin is the first moment of the day, or the time itself, and limit the first microsecond that is later than either.
	begin, limit time.Time
}

// ParseUntil reads 2026-10-01, 2026-10-01T09:30Z (with seconds and other offsets too), or a position; empty is the zero Until. The
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

// passed tells whether an event that was stored at a moment comes after it. It is for times and days.
func (u Until) passed(stored time.Time) bool { return u.timed() && !stored.Before(u.limit) }

func (u Until) refuse(code, detail string, args ...any) error {
	return domain.Invalid(u.flag, code, u.text+" "+fmt.Sprintf(detail, args...))
}

// notBefore refuses a moment before the first event of a history, and notAfter one after its last.
func (u Until) notBefore(first place) error {
	if u.timed() && !first.stored.Before(u.limit) || u.position != nil && u.position.Before(first.position) {
		return u.refuse("until_before_first", "is before the first event, %s", first)
	}
	return nil
}

func (u Until) notAfter(last place) error {
	if u.timed() && u.begin.After(last.stored) || u.position != nil && last.position.Before(*u.position) {
		return u.refuse("until_after_last", "is after the last event, %s", last)
	}
	return nil
}

// place is where an event stands, and since when.
type place struct {
	position domain.Position
	stored   time.Time
}

func (p place) String() string {
	return fmt.Sprintf("which was stored at %s, at position %s", p.stored.UTC().Format(time.RFC3339Nano), p.position)
}

func placeOf(r eventstore.Recorded) place { return place{r.Position, r.Created} }

// check refuses a moment outside the log, and a position in the middle of an append. It returns the position up to which to
// read; a time may end it before.
func (u Until) check(ctx context.Context, store *eventstore.Store) (domain.Position, error) {
	first, some, err := store.First(ctx)
	if err != nil || !some {
		if err == nil && u != (Until{}) {
			err = u.refuse("until_empty", "can't be found: there are no events yet")
		}
		return domain.Position{}, err
	}
	last, _, err := store.Last(ctx)
	if err != nil {
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
	return u.refuse("until_in_append", "is in the middle of an append, whose last event is at position %s: use that", end)
}
