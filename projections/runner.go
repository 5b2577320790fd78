package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Options tune a Runner. The zero value of each field means its default.
type Options struct {
	// BatchSize is the most events committed at once (default 1000).
	BatchSize int
	// Linger is how long a batch waits for more events after its first (default 2 ms). Where committing takes long it is up
	// to ten times as long, so that no more than about a tenth of the time goes into commits.
	Linger time.Duration
	// Heartbeat is how often an idle projection makes sure that it is complete, and says so (default 1 s).
	Heartbeat time.Duration
	// Backoff gives the pause before attempt n (from 1) after a failure (default: a jittered doubling to 5 s).
	Backoff func(attempt int) time.Duration
	// Now is the clock (default time.Now).
	Now func() time.Time
	// Logger hears of failures and of catching up (default: nobody).
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.BatchSize < 1 {
		o.BatchSize = 1000
	}
	if o.Linger <= 0 {
		o.Linger = 2 * time.Millisecond
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = time.Second
	}
	if o.Backoff == nil {
		o.Backoff = func(attempt int) time.Duration {
			full := min(20*time.Millisecond<<min(attempt-1, 10), 5*time.Second)
			return full/2 + rand.N(full/2+1)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Status is how far a projection has come.
type Status struct {
	Name string
	// Position is the checkpoint after the last batch.
	Position domain.Position
	// AsOf is the last time everything in the log was known to be applied, zero if never. Now less AsOf is the lag.
	AsOf time.Time
	// Live tells that the projection has caught up and follows new events as they come; CaughtUp that it did so once, and
	// what it has can be looked at, though the event store may be away since.
	Live, CaughtUp bool
	// Applied counts the events applied since the runner began.
	Applied uint64
	// Stopped is why the projection has stopped for good, nil while it runs.
	Stopped error
}

// Runner keeps one projection up with the log.
type Runner struct {
	projection Projection
	store      *eventstore.Store
	options    Options

	mu     sync.Mutex
	status Status
}

// NewRunner makes a runner for a projection of the log in store. Run starts it.
func NewRunner(p Projection, store *eventstore.Store, o Options) *Runner {
	return &Runner{projection: p, store: store, options: o.withDefaults(), status: Status{Name: p.Name()}}
}

// Status may be called at any time.
func (r *Runner) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Behind counts the events in the log that the projection handles and has not applied, at most limit. With the error of a ctx that
// ended meanwhile comes the number counted by then.
func (r *Runner) Behind(ctx context.Context, limit int) (int, error) {
	return r.store.CountAfter(ctx, r.Status().Position, r.projection.Types(), limit)
}

func (r *Runner) update(change func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
}

// Run follows the log until ctx ends, and then returns nil. What may pass, such as a store that is down or another
// runner that was faster, it waits out. What can't pass stops it with an error: domain.ErrUndecodable and
// domain.ErrPointsLimit, with the position. Skipping that event would make everything after it wrong.
func (r *Runner) Run(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		before := r.Status().Applied
		err := r.session(ctx)
		r.update(func(s *Status) { s.Live = false })
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, domain.ErrUndecodable) || errors.Is(err, domain.ErrPointsLimit) {
			err = fmt.Errorf("projection %s has stopped: %w", r.projection.Name(), err)
			r.update(func(s *Status) { s.Stopped = err })
			r.options.Logger.Error("a projection has stopped", "projection", r.projection.Name(), "error", err)
			return err
		}
		if r.Status().Applied != before {
			attempt = 1
		}
		level := slog.LevelWarn
		if errors.Is(err, domain.ErrCheckpointMoved) {
			level = slog.LevelDebug // another runner was faster, as happens all the time where there are two
		}
		r.options.Logger.Log(ctx, level, "a projection starts again", "projection", r.projection.Name(), "error", err)
		select {
		case <-time.After(r.options.Backoff(attempt)):
		case <-ctx.Done():
			return nil
		}
	}
}

// session subscribes once and applies batches until something fails.
func (r *Runner) session(ctx context.Context) error {
	at, err := r.projection.Checkpoint(ctx)
	if err != nil {
		return err
	}
	r.update(func(s *Status) { s.Position = at })
	subscriber := eventstore.NewSubscriber(r.store, 2*r.options.BatchSize, r.options.Logger, map[string]eventstore.Topic{
		r.projection.Name(): {
			Types: r.projection.Types(),
			From:  func(context.Context) (domain.Position, error) { return at, nil },
		},
	})
	defer subscriber.Close()
	messages, err := subscriber.Subscribe(ctx, r.projection.Name())
	if err != nil {
		return err
	}
	s := session{Runner: r, messages: messages, at: at}
	return s.run(ctx)
}

// session is one subscription under way.
type session struct {
	*Runner
	messages <-chan *message.Message
	// at is the checkpoint.
	at domain.Position
	// caughtUp is what the messages taken last said; live is the same once they are committed.
	caughtUp, live bool
	// committing is how long the last batch took to be committed.
	committing time.Duration
	// taken are the messages of the last batch, whose room the next one uses.
	taken []*message.Message
}

// lingerAtMost bounds how many times as long as Options.Linger a batch waits.
const lingerAtMost = 10

func (s *session) linger() time.Duration {
	return min(max(s.options.Linger, lingerAtMost*s.committing), lingerAtMost*s.options.Linger)
}

func (s *session) run(ctx context.Context) error {
	heartbeat := time.NewTicker(s.options.Heartbeat)
	defer heartbeat.Stop()
	for {
		select {
		case first, open := <-s.messages:
			if !open {
				return errSubscriptionEnded
			}
			if err := s.gather(ctx, first); err != nil {
				return err
			}
		case <-heartbeat.C:
			if !s.live {
				continue
			}
			if err := s.confirm(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errSubscriptionEnded = errors.New("the subscription has ended")

// gather takes what comes within the linger, up to a batch, commits it, and only then acknowledges it.
func (s *session) gather(ctx context.Context, first *message.Message) error {
	linger := time.NewTimer(s.linger())
	defer linger.Stop()
	batch := Batch{From: s.at, To: s.at, Events: make([]eventstore.Recorded, 0, len(s.taken))}
	clear(s.taken) // what they hold is not needed any more
	taken := append(s.taken[:0], first)
	defer func() { s.taken = taken }()
	lost := s.take(&batch, first)
collect:
	for lost == nil && len(taken) < s.options.BatchSize {
		select {
		case next, open := <-s.messages:
			if !open {
				lost = errSubscriptionEnded
				break collect
			}
			taken = append(taken, next)
			lost = s.take(&batch, next)
		case <-linger.C:
			break collect
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	began := s.options.Now()
	if err := s.apply(ctx, batch); err != nil {
		taken[0].Nack()
		return err
	}
	s.committing = s.options.Now().Sub(began)
	for _, m := range taken {
		m.Ack()
	}
	if err := s.setLive(ctx, s.caughtUp); err != nil {
		return err
	}
	return lost
}

// take adds what a message tells to the batch. It returns an error if nothing can come after it.
func (s *session) take(batch *Batch, m *message.Message) error {
	item := eventstore.ItemOf(m)
	switch {
	case item.Event != nil:
		batch.Events = append(batch.Events, *item.Event)
		batch.To, batch.AsOf = item.Event.Position, item.Event.Created
	case item.Checkpoint != nil:
		// One from before the projection was last found to be complete tells nothing new.
		batch.To = later(batch.To, *item.Checkpoint)
	case item.CaughtUp:
		s.caughtUp = true
	case item.Lost != nil:
		s.caughtUp = false
		if errors.Is(item.Lost, domain.ErrUndecodable) {
			return item.Lost
		}
		s.options.Logger.Warn("a projection has lost the event store", "projection", s.projection.Name(), "error", item.Lost)
	}
	return nil
}

// setLive says whether the projection is live. One that has just caught up proves it first.
func (s *session) setLive(ctx context.Context, live bool) error {
	if s.live == live {
		return nil
	}
	if live {
		if err := s.confirm(ctx); err != nil {
			return err
		}
		s.options.Logger.Info("a projection has caught up", "projection", s.projection.Name())
	}
	s.live = live
	s.update(func(status *Status) { status.Live, status.CaughtUp = live, status.CaughtUp || live })
	return nil
}

func (s *session) apply(ctx context.Context, batch Batch) error {
	if len(batch.Events) == 0 && batch.To == batch.From && batch.AsOf.IsZero() {
		return nil
	}
	if err := s.projection.Apply(ctx, batch); err != nil {
		return fmt.Errorf("apply %d events from position %s to %s: %w", len(batch.Events), batch.From, batch.To, err)
	}
	s.at = batch.To
	s.update(func(status *Status) {
		status.Position = batch.To
		status.Applied += uint64(len(batch.Events))
		if batch.AsOf.After(status.AsOf) {
			status.AsOf = batch.AsOf
		}
	})
	return nil
}

// confirm asks the store what comes after the checkpoint. If that is nothing of the projection's, it was complete at the time of
// asking, up to where the log ended then: whoever waits for an event of others has what they wait for.
func (s *session) confirm(ctx context.Context) error {
	asked := s.options.Now()
	end, err := s.store.End(ctx)
	behind := 0
	if err == nil {
		behind, err = s.store.CountAfter(ctx, s.at, s.projection.Types(), 1)
	}
	if err != nil {
		s.options.Logger.Warn("a projection can't tell whether it is complete", "projection", s.projection.Name(), "error", err)
		return nil
	}
	if behind > 0 {
		return nil
	}
	return s.apply(ctx, Batch{From: s.at, To: later(s.at, end), AsOf: asked})
}

func later(a, b domain.Position) domain.Position {
	if a.Before(b) {
		return b
	}
	return a
}
