package reading

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

const (
	// keptBytes bounds the events that a tail keeps for those who are slower than others.
	keptBytes = 16 << 20
	// handed is how many items a follower takes at once.
	handed = 256
	// confirmTimeout bounds one look at the end of the log.
	confirmTimeout = 10 * time.Second
)

// tail is one subscription that many share, with the last of what it has delivered. It keeps each item under its number, from first to next, at
// that number modulo Options.Keep. The mutex of its Shared guards it.
type tail struct {
	shared  *Shared
	types   map[string]bool
	stop    context.CancelFunc
	running sync.WaitGroup
	// hurry has the end of the log looked at now.
	hurry chan struct{}

	followers   int
	ended       bool // followers have to catch up by themselves
	items       []eventstore.Item
	first, next uint64
	bytes       int
	// kept is the position after which everything is in items, or follows.
	kept domain.Position
	// at is up to where everything is in items, or was. Its Last is an event of the log at or before that, whosever it is.
	at domain.Checkpoint
	// live says that the subscription has caught up, lost why it has no connection.
	live bool
	lost error
	// more is closed when there is a next item, and made anew for who waits for it; nil while nobody does.
	more chan struct{}
}

// begin subscribes after a checkpoint. The caller holds the mutex.
func (s *Shared) begin(at domain.Checkpoint, types map[string]bool) *tail {
	ctx, stop := context.WithCancel(context.Background()) // it outlives who began it, and ends with the last follower
	t := &tail{shared: s, types: types, stop: stop, hurry: make(chan struct{}, 1), items: make([]eventstore.Item, s.options.Keep), kept: at.Position, at: at}
	t.running.Go(func() { t.read(ctx) })
	t.running.Go(func() { t.confirmAll(ctx) })
	return t
}

// end makes followers catch up by themselves. The caller holds the mutex.
func (t *tail) end() {
	t.ended = true
	t.wake()
	t.stop()
}

// read subscribes until ctx ends or the subscription fails for good. Why it did, each follower finds out who reads on by itself, if it
// concerns them: what can't be decoded, say, may not be of their types.
func (t *tail) read(ctx context.Context) {
	err := t.shared.store.Follow(ctx, t.at, t.allTypes(), t.take)
	t.shared.options.Logger.DebugContext(ctx, "the shared subscription to the log has ended", "error", err)
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	t.end()
}

func (t *tail) allTypes() []string { return slices.Sorted(maps.Keys(t.types)) }

func (t *tail) take(item eventstore.Item) error {
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	if t.at.Position.Before(item.At.Position) {
		t.at.Position = item.At.Position
	}
	switch {
	case item.CaughtUp:
		t.live, t.lost = true, nil
		select {
		case t.hurry <- struct{}{}:
		default:
		}
		return nil // the look at the end of the log says so, with a time
	case item.Lost != nil:
		t.live, t.lost = false, item.Lost
	default:
		t.at.Last = item.At.Last
	}
	item.At.Position = t.at.Position
	t.add(item)
	return nil
}

// add appends an item, and drops the oldest if there is no room. The caller holds the mutex.
func (t *tail) add(item eventstore.Item) {
	t.bytes += size(item)
	for t.next-t.first == uint64(len(t.items)) || t.bytes > keptBytes && t.first < t.next {
		oldest := t.place(t.first)
		t.kept = oldest.At.Position
		t.bytes -= size(*oldest)
		*oldest = eventstore.Item{}
		t.first++
	}
	*t.place(t.next) = item
	t.next++
	t.wake()
}

func (t *tail) place(number uint64) *eventstore.Item { return &t.items[number%uint64(len(t.items))] }

func size(item eventstore.Item) int {
	if item.Event == nil {
		return 0
	}
	return len(item.Event.Data) + len(item.Event.Stored)
}

func (t *tail) wake() {
	if t.more != nil {
		close(t.more)
		t.more = nil
	}
}

// behind is the number of the first item behind a position. The caller holds the mutex.
func (t *tail) behind(at domain.Position) uint64 {
	next := t.first
	for next < t.next && !at.Before(t.place(next).At.Position) {
		next++
	}
	return next
}

// from returns some of the items from a number on, or what is closed when there is one. It is errBehind if the first is not kept any more.
func (t *tail) from(next uint64) (items []eventstore.Item, more <-chan struct{}, err error) {
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	if t.ended || next < t.first {
		return nil, nil, errBehind
	}
	for ; next < t.next && len(items) < handed; next++ {
		items = append(items, *t.place(next))
	}
	if t.more == nil {
		t.more = make(chan struct{})
	}
	return items, t.more, nil
}

// confirmAll looks at the end of the log at every heartbeat, for all followers.
func (t *tail) confirmAll(ctx context.Context) {
	heartbeat := time.NewTicker(t.shared.options.Heartbeat)
	defer heartbeat.Stop()
	for {
		select {
		case <-heartbeat.C:
		case <-t.hurry:
		case <-ctx.Done():
			return
		}
		err := t.confirm(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, domain.ErrWrongLog):
			t.stop() // a scavenge may have removed the event that was the end of the log
		default:
			t.shared.options.Logger.Warn("it can't be told whether projections are complete", "error", err)
		}
	}
}

// confirm tells followers that they have everything, if that is so: the log ends where the subscription is, or has only events of other types behind
// that.
func (t *tail) confirm(ctx context.Context) error {
	at, live := t.reached()
	if !live {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	asked := t.shared.options.Now()
	end, err := t.shared.store.LastEvent(ctx)
	if err != nil {
		return err
	}
	if at, live = t.reached(); at.Position.Before(end.Position) {
		missing, err := t.shared.store.CountAfter(ctx, at, t.allTypes(), 1)
		if err != nil || missing > 0 {
			return err
		}
	}
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	if !live || !t.live {
		return nil
	}
	if t.at.Position.Before(end.Position) {
		t.at.Position, t.at.Last = end.Position, end
	}
	t.add(eventstore.Item{CaughtUp: true, AsOf: asked, At: t.at})
	return nil
}

func (t *tail) reached() (at domain.Checkpoint, live bool) {
	t.shared.mu.Lock()
	defer t.shared.mu.Unlock()
	return t.at, t.live
}
