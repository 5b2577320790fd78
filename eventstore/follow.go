package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/domain"
)

// Item is one thing a subscription tells: exactly one of its fields is set.
type Item struct {
	// Event is the same for all who follow the log through one Store, and not to be changed.
	Event *Recorded
	// Checkpoint says that there is no event of the types asked for up to it, beyond those delivered.
	Checkpoint *domain.Position
	// CaughtUp says that everything in the log was delivered, and that what follows is new.
	CaughtUp bool
	// Lost says that the connection was lost, and why. The subscription goes on where it was when it is back.
	Lost error
}

const (
	// searchWindow is how many events of other types the server looks through before it says how far it got.
	searchWindow = 1000
	// lookBack is how far End looks for the last event of some types.
	lookBack = 4096
)

// Follow delivers every event of the given types after the position from, in the order of the log, each once, until ctx
// ends or deliver returns an error, which it returns. A lost connection is taken up again, after a pause, for as long
// as it takes. An event that cannot be decoded ends it with domain.ErrUndecodable and the position.
func (s *Store) Follow(ctx context.Context, from domain.Position, types []string, deliver func(Item) error) error {
	names, err := s.registry.storedNames(types)
	if err != nil {
		return err
	}
	return s.follow(ctx, &follower{store: s, at: from, names: names, deliver: deliver})
}

func (s *Store) follow(ctx context.Context, f *follower) error {
	for attempt := 1; ; attempt++ {
		before := f.at
		err := s.follows.once(ctx, f.follow)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.failed != nil || errors.Is(err, domain.ErrUndecodable) || errors.Is(err, errClosed) {
			return errors.Join(f.failed, err)
		}
		if before.Before(f.at) {
			attempt = 1
		}
		if err := f.deliver(Item{Lost: fmt.Errorf("follow the log from %s: %w", f.at, err)}); err != nil {
			return err
		}
		if err := pause(ctx, s.follows.options.Backoff(attempt)); err != nil {
			return err
		}
	}
}

type follower struct {
	store   *Store
	at      domain.Position
	names   map[string]bool
	deliver func(Item) error
	failed  error
	// stored, if set, is what every event is delivered in, undecoded.
	stored *Recorded
}

// follow subscribes once. It returns when the subscription drops or an item could not be delivered.
func (f *follower) follow(ctx context.Context, client *esdb.Client) error {
	var prefixes []string
	for name := range f.names {
		prefixes = append(prefixes, name)
	}
	slices.Sort(prefixes)
	o := esdb.SubscribeToAllOptions{
		From: esdb.Start{}, MaxSearchWindow: searchWindow, CheckpointInterval: 1,
		Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: prefixes},
	}
	if f.at != (domain.Position{}) {
		o.From = esdb.Position{Commit: f.at.Commit, Prepare: f.at.Prepare}
	}
	subscription, err := client.SubscribeToAll(ctx, o)
	if err != nil {
		return err
	}
	defer subscription.Close()
	for {
		said := subscription.Recv()
		if said.SubscriptionDropped != nil {
			return said.SubscriptionDropped.Error
		}
		item, err := f.item(said)
		if err != nil {
			return err
		}
		if item == (Item{}) {
			continue
		}
		if f.failed = f.deliver(item); f.failed != nil {
			return nil
		}
		switch {
		case item.Event != nil:
			f.at = item.Event.Position
		case item.Checkpoint != nil:
			f.at = *item.Checkpoint
		}
	}
}

// item is empty for what does not concern the follower: an event whose type only begins like one of its own.
func (f *follower) item(said *esdb.SubscriptionEvent) (Item, error) {
	switch {
	case said.EventAppeared != nil:
		event := said.EventAppeared.OriginalEvent()
		if !f.names[event.EventType] {
			return Item{}, nil
		}
		if f.stored != nil {
			*f.stored = undecoded(event)
			return Item{Event: f.stored}, nil
		}
		recorded, err := f.store.decoded(event)
		return Item{Event: recorded}, err
	case said.CheckPointReached != nil:
		at := position(*said.CheckPointReached)
		if !f.at.Before(at) {
			return Item{}, nil
		}
		return Item{Checkpoint: &at}, nil
	}
	return Item{CaughtUp: said.CaughtUp != nil}, nil
}

// recentEvents is how many events a Store remembers decoded, each in the place that its position gives it.
const recentEvents = 1024

// decoded decodes an event, unless another follower of the store has just done so: those who follow the log of one process
// come to each event within moments of each other.
func (s *Store) decoded(e *esdb.RecordedEvent) (*Recorded, error) {
	place := &s.recent[e.Position.Commit%recentEvents]
	if known := place.Load(); known != nil && known.ID == e.EventID && known.Position == position(e.Position) {
		return known, nil
	}
	recorded, err := s.registry.decode(e)
	if err == nil {
		place.Store(&recorded)
	}
	return &recorded, err
}
