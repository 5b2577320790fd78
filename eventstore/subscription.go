package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/domain"
)

// Item is what a subscription delivers. Exactly one of its fields is set.
type Item struct {
	// Event is shared by all subscriptions of one Store, and must not be changed.
	Event *Recorded
	// Checkpoint says that all events of the types asked for up to this position were delivered.
	Checkpoint *domain.Position
	// CaughtUp says that everything in the log was delivered, and that what follows is new.
	CaughtUp bool
	// Lost is why the connection was lost. The subscription goes on from the same position when it is restored.
	Lost error
}

const (
	// searchWindow is after how many events of other types the server sends a checkpoint.
	searchWindow = 1000
	// recentEvents is how many decoded events a Store caches. Each has one place, which its position decides.
	recentEvents = 1024
)

// Follow delivers every event of the given types after the position from, in the order of the log, each once, until ctx
// ends or deliver returns an error, which it returns. A lost connection is restored after a pause, for as long as ctx lasts. An
// event that can't be decoded ends it with domain.ErrUndecodable and the position.
func (s *Store) Follow(ctx context.Context, from domain.Position, types []string, deliver func(Item) error) error {
	names, err := s.registry.storedNames(types)
	if err != nil {
		return err
	}
	return s.follow(ctx, &subscription{at: from, names: names, notice: deliver, event: func(e *esdb.RecordedEvent) error {
		recorded, err := s.decoded(e)
		if err != nil {
			return err
		}
		return deliver(Item{Event: recorded})
	}})
}

// decoded decodes an event, unless another subscription of the store has just done so: those of one process come to each event at
// about the same time.
func (s *Store) decoded(e *esdb.RecordedEvent) (*Recorded, error) {
	place := &s.recent[e.Position.Commit%recentEvents]
	if known := place.Load(); known != nil && known.ID == e.EventID && known.Position == position(e.Position) {
		return known, nil
	}
	recorded, err := s.registry.decode(e)
	if err != nil {
		return nil, err
	}
	place.Store(&recorded)
	return &recorded, nil
}

// follow keeps a subscription until ctx ends or what it delivers to returns an error.
func (s *Store) follow(ctx context.Context, f *subscription) error {
	for attempt := 1; ; attempt++ {
		before := f.at
		err := s.follows.once(ctx, f.receive)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.failed != nil || errors.Is(err, errClosed) {
			return errors.Join(f.failed, err)
		}
		if before.Before(f.at) {
			attempt = 1
		}
		if err := f.notice(Item{Lost: fmt.Errorf("follow the log from %s: %w", f.at, err)}); err != nil {
			return err
		}
		if err := pause(ctx, s.follows.options.Backoff(attempt)); err != nil {
			return err
		}
	}
}

// subscription is one reader that follows the log.
type subscription struct {
	at     domain.Position // up to which everything was delivered
	names  map[string]bool // the types as they are stored
	event  func(*esdb.RecordedEvent) error
	notice func(Item) error // for what is not an event
	failed error            // what event or notice returned
}

// receive subscribes once. It returns when the subscription drops or when delivering fails.
func (f *subscription) receive(ctx context.Context, client *esdb.Client) error {
	o := esdb.SubscribeToAllOptions{
		From: esdb.Start{}, MaxSearchWindow: searchWindow, CheckpointInterval: 1,
		Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: slices.Sorted(maps.Keys(f.names))},
	}
	if f.at != (domain.Position{}) {
		o.From = esdb.Position{Commit: f.at.Commit, Prepare: f.at.Prepare}
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
		if !f.names[event.EventType] {
			return nil // its name only begins like that of a type asked for
		}
		at = position(event.Position)
		err = f.event(event)
	case received.CheckPointReached != nil:
		if at = position(*received.CheckPointReached); !f.at.Before(at) {
			return nil
		}
		err = f.notice(Item{Checkpoint: &at})
	case received.CaughtUp != nil:
		err = f.notice(Item{CaughtUp: true})
	}
	if err == nil {
		f.at = at
	}
	return err
}
