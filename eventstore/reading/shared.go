// Package reading reads the log once for all who follow it in one process.
package reading

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Options tune a Shared. The zero value of each field means its default.
type Options struct {
	// Heartbeat is how often those who have caught up are told that they still have (default 1 s).
	Heartbeat time.Duration
	// Keep is how many events are kept for those who are slower than others (default 4,096; 16 MiB at most).
	Keep int
	// Now is the clock (default time.Now).
	Now func() time.Time
	// Logger logs why the end of the log is not known (default: none).
	Logger *slog.Logger
}

// Shared is the log, followed by many. Each reads by itself until it has caught up. From then on all are handed the events of one subscription, which are
// decoded once and kept for a while. Who is too slow for that reads by itself again until it has caught up. The subscription has the
// types of all who share it. It begins with the first of them and ends with the last. A Shared is safe for concurrent use.
type Shared struct {
	store   *eventstore.Store
	options Options

	mu   sync.Mutex // guards what follows, and all of a tail that changes
	tail *tail      // nil while nobody shares a subscription
}

// NewShared makes a Shared of the log in store. It needs no closing: it is at rest while nobody follows.
func NewShared(store *eventstore.Store, o Options) *Shared {
	if o.Heartbeat <= 0 {
		o.Heartbeat = time.Second
	}
	if o.Keep < 1 {
		o.Keep = 4096
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Shared{store: store, options: o}
}

// Follow is eventstore.Store.Follow: every event of the given types after a checkpoint, in the order of the log, each once, with the same errors. Items
// never go back in the log. In addition every item that says CaughtUp has its AsOf, and such an item comes at every heartbeat at which
// everything was delivered. An event of other types that can't be decoded concerns nobody.
func (s *Shared) Follow(ctx context.Context, from domain.Checkpoint, types []string, deliver func(eventstore.Item) error) error {
	f := &follower{shared: s, at: from, types: types, deliver: deliver}
	for {
		end, err := f.catchUp(ctx)
		if err == nil {
			err = f.share(ctx, end)
		}
		if !errors.Is(err, errBehind) {
			return err
		}
	}
}

var (
	errCaughtUp = errors.New("it has caught up")
	errBehind   = errors.New("the shared subscription has ended, or no longer keeps what comes next")
)

// follower is one who follows.
type follower struct {
	shared  *Shared
	at      domain.Checkpoint // up to which everything was delivered
	types   []string
	deliver func(eventstore.Item) error
}

// catchUp delivers what is in the log. It returns the log's last event when it began.
func (f *follower) catchUp(ctx context.Context) (end domain.EventRef, err error) {
	asked := f.shared.options.Now()
	err = f.shared.store.Follow(ctx, f.at, f.types, func(item eventstore.Item) error {
		switch {
		case item.Lost != nil:
			asked = f.shared.options.Now() // the end of the log is read again once the connection is restored
		case item.CaughtUp:
			item.AsOf, end = asked, item.End
		}
		f.at = item.At
		if err := f.deliver(item); err != nil || !item.CaughtUp {
			return err
		}
		return errCaughtUp
	})
	if errors.Is(err, errCaughtUp) {
		err = nil
	}
	return end, err
}

// share delivers what comes next from the subscription that all share. It returns errBehind when the follower has to catch up by itself.
func (f *follower) share(ctx context.Context, end domain.EventRef) error {
	t, next, lost := f.shared.join(f.at, end, f.types)
	if t == nil {
		return errBehind
	}
	defer f.shared.leave(t)
	if lost != nil {
		if err := f.deliver(eventstore.Item{Lost: lost, At: f.at}); err != nil {
			return err
		}
	}
	for {
		items, more, err := t.from(next)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := f.hand(item); err != nil {
				return err
			}
		}
		next += uint64(len(items))
		if len(items) > 0 {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hand delivers an item of the shared subscription, unless it is an event of other types, or one that the follower has, who may be ahead. Its checkpoint
// becomes the follower's own: Last is the last event of its types.
func (f *follower) hand(item eventstore.Item) error {
	if item.Event != nil {
		if !f.at.Position.Before(item.At.Position) || !slices.Contains(f.types, item.Event.Event.EventType()) {
			return nil
		}
		f.at.Last = item.At.Last
	}
	if f.at.Position.Before(item.At.Position) {
		f.at.Position = item.At.Position
	}
	item.At = f.at
	return f.deliver(item)
}

// join finds the place behind a checkpoint in the shared subscription, which it begins if there is none of these types. The end is an event of the
// log, at or before the checkpoint. The tail is nil if it no longer keeps what follows the checkpoint. lost is why it has no connection.
func (s *Shared) join(at domain.Checkpoint, end domain.EventRef, types []string) (t *tail, next uint64, lost error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]bool{}
	if s.tail != nil {
		maps.Copy(all, s.tail.types)
	}
	had := len(all)
	for _, each := range types {
		all[each] = true
	}
	if s.tail == nil || s.tail.ended || len(all) > had {
		if s.tail != nil {
			s.tail.end()
		}
		s.tail = s.begin(domain.Checkpoint{Position: at.Position, Log: at.Log, Last: end}, all)
	}
	t = s.tail
	if at.Position.Before(t.kept) {
		return nil, 0, nil
	}
	t.followers++
	return t, t.behind(at.Position), t.lost
}

// leave ends the subscription of a tail that nobody follows any more, and waits for it.
func (s *Shared) leave(t *tail) {
	s.mu.Lock()
	t.followers--
	last := t.followers == 0
	if last {
		t.end()
		if s.tail == t {
			s.tail = nil
		}
	}
	s.mu.Unlock()
	if last {
		t.running.Wait()
	}
}
