package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/domain"
)

// Item is what a subscription delivers. At most one of Event, CaughtUp and Lost is set; an item with none of them only moves At.
type Item struct {
	// Event may be shared with others who follow the log, and must not be changed.
	Event *Recorded
	// CaughtUp says that everything in the log up to At was delivered, which was its end when the subscription began, and that what follows
	// is new.
	CaughtUp bool
	// AsOf is a time at which everything in the log was delivered, of an item that has CaughtUp. Only package reading knows it.
	AsOf time.Time
	// End is the log's last event when the subscription began, whosever it is, of an item that has CaughtUp.
	End domain.EventRef
	// Lost is why the connection was lost. The subscription goes on from the same place when it is restored.
	Lost error
	// At is the checkpoint behind the item. Its Fold is that of the checkpoint that the subscription began with.
	At domain.Checkpoint
}

// searchWindow is how many events of other types a server looks through before it sends a checkpoint.
const searchWindow = 1000

// Follow delivers every event of the given types after a checkpoint, in the order of the log, each once, until ctx ends or deliver returns
// an error, which it returns. A lost connection is restored after a pause, for as long as ctx lasts. At the beginning, and whenever a connection
// is restored, the checkpoint is compared with the log: domain.ErrWrongLog ends it. So does an event that can't be decoded, as
// domain.ErrUndecodable with the position; a quarantined event is not delivered.
func (s *Store) Follow(ctx context.Context, from domain.Checkpoint, types []string, deliver func(Item) error) error {
	wanted, err := s.registry.familiesOf(types)
	if err != nil {
		return err
	}
	return s.follow(ctx, &subscription{at: from, families: wanted, begins: true, notice: deliver, event: func(e *esdb.RecordedEvent, at domain.Checkpoint) error {
		recorded, err := s.registry.decode(e)
		if err != nil {
			return err
		}
		return deliver(Item{Event: &recorded, At: at})
	}})
}

// follow keeps a subscription until ctx ends, what it delivers to returns an error, or the checkpoint is of another log.
func (s *Store) follow(ctx context.Context, f *subscription) error {
	for attempt := 1; ; attempt++ {
		before := f.at.Position
		err := s.subscribe(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.failed != nil || errors.Is(err, errClosed) || errors.Is(err, domain.ErrWrongLog) || errors.Is(err, domain.ErrUndecodable) {
			return errors.Join(f.failed, err)
		}
		if before.Before(f.at.Position) {
			attempt = 1
		}
		if err := f.notice(Item{Lost: fmt.Errorf("follow the log from %s: %w", f.at.Position, err), At: f.at}); err != nil {
			return err
		}
		if err := pause(ctx, s.follows.options.Backoff(attempt)); err != nil {
			return err
		}
	}
}

// subscription is one reader that follows the log.
type subscription struct {
	at       domain.Checkpoint // up to which everything was delivered
	families families
	begins   bool // gives the log an id if it has none
	event    func(*esdb.RecordedEvent, domain.Checkpoint) error
	notice   func(Item) error // for what is not an event
	// looked is told how far the server has looked for events, about; nil if nobody wants to know. It is right for progress only: some versions
	// send none, or positions beyond the end.
	looked func(domain.Position)
	failed error // what event or notice returned

	// log is what the log said of itself when the connection was made, aim its end then, and end the end as the connected node has it, which may
	// be behind its leader.
	log Log
	aim domain.Position
	end domain.EventRef
}

// subscribe compares the checkpoint with the log and subscribes once. It returns when the subscription drops or when delivering fails.
func (s *Store) subscribe(ctx context.Context, f *subscription) (err error) {
	if f.at, f.log, f.aim, err = s.check(ctx, f.at, f.families, f.begins); err != nil {
		return err
	}
	return s.follows.once(ctx, f.readEnd, func(ctx context.Context, client *esdb.Client) error {
		s.subscriptions.Add(1)
		defer s.subscriptions.Add(-1)
		return f.receive(ctx, client)
	})
}

// readEnd reads the end of the log before the subscription begins, on the same connection. What a server says of its progress during a
// subscription differs from version to version; that everything up to this end was delivered when it has caught up holds for all.
func (f *subscription) readEnd(ctx context.Context, client *esdb.Client) error {
	return readAll(ctx, client, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1, func(e *esdb.RecordedEvent) (bool, error) {
		f.end = refOf(e)
		return false, nil
	})
}

func (f *subscription) receive(ctx context.Context, client *esdb.Client) error {
	o := esdb.SubscribeToAllOptions{
		From: esdb.Start{}, MaxSearchWindow: searchWindow, CheckpointInterval: 1,
		Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: f.families.prefixes()},
	}
	if last := f.at.Last.Position; last != (domain.Position{}) {
		o.From = esdb.Position{Commit: last.Commit, Prepare: last.Prepare}
	}
	stream, err := client.SubscribeToAll(ctx, o)
	if err != nil {
		return err
	}
	defer stream.Close()
	for f.failed == nil {
		received := stream.Recv()
		if received.SubscriptionDropped != nil {
			return received.SubscriptionDropped.Error
		}
		if received.CaughtUp != nil && f.end.Position.Before(f.aim) {
			return fmt.Errorf("%w: the node is behind its leader, at position %s and not at %s", domain.ErrUnavailable, f.end.Position, f.aim)
		}
		f.failed = f.deliver(received)
	}
	return nil
}

func (f *subscription) deliver(received *esdb.SubscriptionEvent) error {
	at := f.at
	var err error
	switch {
	case received.EventAppeared != nil:
		event := received.EventAppeared.OriginalEvent()
		if at.Last = refOf(event); !f.at.Position.Before(at.Last.Position) {
			f.at.Last = at.Last
			return nil // delivered before
		}
		at.Position = at.Last.Position
		if f.log.Quarantines(event.EventID) {
			err = f.notice(Item{At: at})
		} else {
			err = f.event(event, at)
		}
	case received.CheckPointReached != nil && f.looked != nil:
		f.looked(position(*received.CheckPointReached))
	case received.CaughtUp != nil:
		if at.Position.Before(f.end.Position) {
			at.Position = f.end.Position
		}
		err = f.notice(Item{CaughtUp: true, End: f.end, At: at})
	}
	if err == nil {
		f.at = at
	}
	return err
}
