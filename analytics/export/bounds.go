package export

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Bound is where an export begins or ends: a day, a time or a position, or the zero Bound for the beginning or end of the log. Days
// and times are those at which the event store stored an event, in UTC. An export from a day, or to a day, includes that day. A time
// is before all events that were stored then. A position is after its event, so an export up to a position and one from it have
// each event once.
type Bound struct {
	flag     string // with which it was given, for errors
	text     string // its canonical form
	position *domain.Position
	begin    time.Time // of the day, or the time itself
	day      bool
}

// ParseBound reads a bound: 2026-10-01, 2026-10-01T09:30Z (with seconds and other offsets too), or a position. Empty is the zero
// Bound. The error names flag.
func ParseBound(flag, text string) (Bound, error) {
	if text == "" {
		return Bound{}, nil
	}
	switch at, day, ok := domain.ParseTime(text); {
	case day:
		return Bound{flag: flag, text: text, begin: at, day: true}, nil
	case ok:
		return Bound{flag: flag, text: at.Format(time.RFC3339Nano), begin: at}, nil
	}
	position, err := domain.ParsePosition(flag, text)
	if err != nil {
		return Bound{}, domain.Invalid(flag, "bound_malformed", "say a day such as 2026-10-01, a time such as 2026-10-01T09:30Z, or a position that an answer or an export gave")
	}
	return Bound{flag: flag, text: position.String(), position: &position}, nil
}

// String is the canonical form of the bound, empty for the zero Bound.
func (b Bound) String() string { return b.text }

func (b Bound) timed() bool { return !b.begin.IsZero() }

// end is the first moment after a day; a time ends where it begins.
func (b Bound) end() time.Time {
	if b.day {
		return b.begin.AddDate(0, 0, 1)
	}
	return b.begin
}

func (b Bound) invalid(code, detail string, args ...any) error {
	return domain.Invalid(b.flag, code, b.text+" "+fmt.Sprintf(detail, args...))
}

// until is the position up to which an export to the bound reads a log that ends at end. A time may end it before that.
func (b Bound) until(end domain.Position) domain.Position {
	if b.position != nil {
		return *b.position
	}
	return end
}

// extent is the first and the last event of a log, and the log's last position, which may be that of another kind of event.
type extent struct {
	first, last eventstore.Recorded
	end         domain.Position
	empty       bool
}

// errStop ends reading before the end of the log.
var errStop = errors.New("stop reading")

// extentOf reads the extent of a log.
func extentOf(ctx context.Context, store *eventstore.Store, progress func(string, uint64, uint64)) (e extent, err error) {
	if e.end, err = store.End(ctx); err != nil {
		return e, err
	}
	var found bool
	e.first, e.last, found, err = store.Extent(ctx, func(at, end domain.Position) { progress(findingEnd, at.Commit, end.Commit) })
	e.empty = !found
	return e, err
}

// check is an error if a bound is outside the log or in the middle of an append, or if from is not before to.
func (e extent) check(ctx context.Context, store *eventstore.Store, from, to Bound) error {
	for _, b := range []Bound{from, to} {
		switch {
		case b == (Bound{}):
		case e.empty:
			return b.invalid("bound_outside", "can't be found: there are no events yet")
		case b.timed() && (b.end().Before(e.first.Created) || b.day && b.end().Equal(e.first.Created)):
			return b.invalid("bound_before_first", "is before the first event, which was stored at %s", e.first.Created.Format(timeLayout))
		case b.timed() && b.begin.After(e.last.Created):
			return b.invalid("bound_after_last", "is after the last event, which was stored at %s", e.last.Created.Format(timeLayout))
		case b.position != nil && e.end.Before(*b.position):
			return b.invalid("bound_after_last", "is after the last event, which is at position %s", e.last.Position)
		}
		if b.position != nil {
			whole, err := store.AppendEnd(ctx, *b.position)
			if err != nil {
				return err
			}
			if whole != *b.position {
				return b.invalid("bound_in_append", "is in the middle of an append, whose last event is at position %s: use that", whole)
			}
		}
	}
	switch {
	case to.timed() && !e.first.Created.Before(to.end()), to.position != nil && to.position.Before(e.first.Position):
		return to.invalid("bound_before_first", "leaves nothing: the first event was stored at %s, at position %s", e.first.Created.Format(timeLayout), e.first.Position)
	case from.timed() && to.timed() && !from.begin.Before(to.end()), from.position != nil && to.position != nil && !from.position.Before(*to.position):
		return from.reversed(to)
	case from.position != nil && !from.position.Before(e.last.Position):
		return from.invalid("bound_after_last", "leaves nothing: the last event is at position %s", e.last.Position)
	case from.position == nil || !to.timed():
		return nil
	}
	err := store.ReadAhead(ctx, domain.CheckpointAt(*from.position), e.end, Types(), func(domain.Position) {}, func(r *eventstore.Raw) error {
		if !r.Created.Before(to.end()) {
			return from.reversed(to)
		}
		return errStop
	})
	return unlessStopped(err)
}

func unlessStopped(err error) error {
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func (b Bound) reversed(to Bound) error {
	return b.invalid("bounds_reversed", "is not before --to %s", to)
}

// appendBegan is when the store stored the first event of the append that an event belongs to. One command appends once.
func appendBegan(ctx context.Context, store *eventstore.Store, e *eventstore.Raw) (time.Time, error) {
	events, _, err := store.Load(ctx, e.Stream)
	began := e.Created
	if err != nil {
		return began, err
	}
	place := slices.IndexFunc(events, func(r eventstore.Recorded) bool { return r.Revision == e.Revision })
	for ; place > 0; place-- {
		before := events[place-1]
		if cause := events[place].Metadata.Causation; cause == "" || before.Metadata.Causation != cause {
			break
		}
		began = before.Created
	}
	return began, nil
}

// start is the position after which an export from the bound to another begins. An event store has no index by time, so a time is
// found by reading the log from its beginning.
func (b Bound) start(ctx context.Context, store *eventstore.Store, to Bound, end domain.Position, progress func(domain.Position)) (domain.Position, error) {
	if b.position != nil {
		return *b.position, nil
	}
	if !b.timed() {
		return domain.Position{}, nil
	}
	var last domain.Position
	err := store.ReadAhead(ctx, domain.Checkpoint{}, end, Types(), progress, func(r *eventstore.Raw) error {
		if !r.Created.Before(b.begin) {
			began, err := appendBegan(ctx, store, r)
			if err != nil {
				return err
			}
			if !began.Before(b.begin) {
				return errStop
			}
		}
		last = r.Position
		progress(last)
		return nil
	})
	if err = unlessStopped(err); err == nil && to.position != nil && !last.Before(*to.position) {
		err = b.reversed(to)
	}
	return last, err
}
