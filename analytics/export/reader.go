package export

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/eventstore"
)

// batch is events of one file as they are stored. Their payloads and metadata are in one text, which costs less than one for
// each.
type batch struct {
	events []stored
	text   []byte
	at     place
}

// stored is an event whose payload and metadata end where it says in the text of its batch, each behind the other.
type stored struct {
	id               uuid.UUID
	name, stream     string
	revision         uint64
	position         domain.Position
	created          time.Time
	payloadEnd, ends int
}

// reader turns the log into batches, and decides which file each event belongs to.
type reader struct {
	options    Options
	full, free chan *batch

	after, until domain.Position
	reached      domain.Position // how far it is when it ends without an error
	at           place           // of the event to come
	rows         int             // in the file so far
	filling      *batch
	done         uint64
}

// read reads to its end, or to that of the options.
func (r *reader) read(ctx context.Context, store *eventstore.Store) error {
	to := r.options.To
	r.reached = r.until
	total := r.until.Commit - min(r.until.Commit, r.after.Commit)
	last := r.after
	err := store.BetweenUndecoded(ctx, r.after, r.until, r.options.Types, func(e *eventstore.Recorded) error {
		if to.timed() && !e.Created.Before(to.end()) {
			begun, err := appendBegan(ctx, store, e)
			if err != nil {
				return err
			}
			if !begun.Before(to.end()) {
				r.reached = last
				return errEnough
			}
		}
		last = e.Position
		if err := r.add(ctx, e); err != nil {
			return err
		}
		if r.done++; r.done%batchRows == 0 {
			passed := e.Position.Commit - min(e.Position.Commit, r.after.Commit)
			r.options.Progress("exporting", r.done, max(r.done, uint64(float64(r.done)*float64(total)/float64(max(passed, 1)))))
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if r.filling == nil {
		return nil
	}
	return r.flush(ctx)
}

func (r *reader) add(ctx context.Context, e *eventstore.Recorded) error {
	if day := e.Created.Truncate(24 * time.Hour); day.After(r.at.day) {
		if err := r.next(ctx, place{day: day}); err != nil {
			return err
		}
	} else if r.rows == r.options.PartRows {
		if err := r.next(ctx, place{day: r.at.day, number: r.at.number + 1}); err != nil {
			return err
		}
	}
	if r.filling == nil {
		select {
		case r.filling = <-r.free:
			r.filling.events, r.filling.text, r.filling.at = r.filling.events[:0], r.filling.text[:0], r.at
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b := r.filling
	b.text = append(b.text, e.Data...)
	payloadEnd := len(b.text)
	b.text = append(b.text, e.Stored...)
	b.events = append(b.events, stored{
		id: e.ID, name: e.Type, stream: e.Stream, revision: e.Revision, position: e.Position, created: e.Created,
		payloadEnd: payloadEnd, ends: len(b.text),
	})
	r.rows++
	if len(b.events) == batchRows {
		return r.flush(ctx)
	}
	return nil
}

// next begins another file.
func (r *reader) next(ctx context.Context, at place) error {
	var err error
	if r.filling != nil {
		err = r.flush(ctx)
	}
	r.at, r.rows = at, 0
	return err
}

func (r *reader) flush(ctx context.Context) error {
	select {
	case r.full <- r.filling:
		r.filling = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
