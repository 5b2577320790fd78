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
	"loyalty/eventstore/reading"
	"loyalty/eventstore/topics"
)

// Options tune a Runner. The zero value of each field means its default.
type Options struct {
	// BatchSize is the most events in a batch (default 1000).
	BatchSize int
	// BatchDelay is how long a batch waits for more events after its first (default 2 ms). If commits take long, it is up to ten times as long,
	// so that commits take no more than about a tenth of the time.
	BatchDelay time.Duration
	// Reading is the log as the projections of a process share it (default: one of its own). At its heartbeats a projection that has caught up
	// moves its AsOf.
	Reading *reading.Shared
	// Backoff is the pause before attempt n (from 1) after a failure (default: doubling with jitter, up to 5 s).
	Backoff func(attempt int) time.Duration
	// Recheck is the pause before a projection that has stopped is tried again (default 5 s).
	Recheck time.Duration
	// Now is the clock (default time.Now).
	Now func() time.Time
	// Logger logs failures and catching up (default: none).
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.BatchSize < 1 {
		o.BatchSize = 1000
	}
	if o.BatchDelay <= 0 {
		o.BatchDelay = 2 * time.Millisecond
	}
	if o.Backoff == nil {
		o.Backoff = func(attempt int) time.Duration {
			full := min(20*time.Millisecond<<min(attempt-1, 10), 5*time.Second)
			return full/2 + rand.N(full/2+1)
		}
	}
	if o.Recheck <= 0 {
		o.Recheck = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Status is the progress of a projection.
type Status struct {
	Name string
	// Position is the checkpoint after the last batch.
	Position domain.Position
	// End is the end of the log as it was last seen, or Position where that is later. It is seen when a session begins, and whenever the
	// projection is told that it has caught up.
	End domain.Position
	// AsOf is the last time at which the whole log was known to be applied, zero if never. The lag is the time since.
	AsOf time.Time
	// Live is true while the projection has caught up and gets new events as they come. CaughtUp is true once it has caught up for the
	// first time: the read model can be read, even if the event store is unavailable since.
	Live, CaughtUp bool
	// Applied is the number of events applied by this runner.
	Applied uint64
	// Stopped is the permanent error that has stopped the projection, nil while it runs.
	Stopped error
}

// Runner applies the log to one projection. Run and Keep must not run at the same time.
type Runner struct {
	projection Projection
	store      *eventstore.Store
	options    Options

	// aim is the end of the log when a session began, at the time aimed; see standBy.
	aim   domain.Position
	aimed time.Time

	mu     sync.Mutex
	status Status
	at     domain.Checkpoint // up to which the log is applied
}

// NewRunner makes a runner for a projection of the log in store. Run starts it.
func NewRunner(p Projection, store *eventstore.Store, o Options) *Runner {
	o = o.withDefaults()
	if o.Reading == nil {
		o.Reading = reading.NewShared(store, reading.Options{Now: o.Now, Logger: o.Logger})
	}
	return &Runner{projection: p, store: store, options: o, status: Status{Name: p.Name()}}
}

// Status returns the current status. It is safe for concurrent use.
func (r *Runner) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := r.status
	status.Position = r.at.Position
	if status.End.Before(status.Position) {
		status.End = status.Position
	}
	return status
}

// Behind counts the events of the projection's types that are not applied yet, at most limit. If ctx ends meanwhile, it returns the number
// counted by then and ctx's error.
func (r *Runner) Behind(ctx context.Context, limit int) (int, error) {
	r.mu.Lock()
	at := r.at
	r.mu.Unlock()
	return r.store.CountAfter(ctx, at, r.projection.Types(), limit)
}

func (r *Runner) update(change func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
}

// Run applies the log until ctx ends, and then returns nil. It retries after transient failures, such as a store that is down, or another
// runner that was faster. Permanent errors stop it: domain.ErrUndecodable with the position, domain.ErrWrongLog, domain.ErrNewerFold and
// domain.ErrOtherNames. If it went on, everything after it would be wrong.
func (r *Runner) Run(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		before := r.Status().Applied
		err := r.session(ctx)
		r.update(func(s *Status) { s.Live = false })
		if ctx.Err() != nil {
			return nil
		}
		if permanent(err) {
			err = fmt.Errorf("projection %s has stopped: %w", r.projection.Name(), err)
			r.update(func(s *Status) { s.Stopped = err })
			return err
		}
		if r.Status().Applied != before {
			attempt = 1
		}
		level := slog.LevelWarn
		if errors.Is(err, domain.ErrCheckpointMoved) {
			level = slog.LevelDebug // another runner was faster, which is normal if there are two
		}
		r.options.Logger.Log(ctx, level, "a projection starts again", "projection", r.projection.Name(), "error", err)
		select {
		case <-time.After(r.options.Backoff(attempt)):
		case <-ctx.Done():
			return nil
		}
	}
}

func permanent(err error) bool {
	return errors.Is(err, domain.ErrUndecodable) || errors.Is(err, domain.ErrWrongLog) || errors.Is(err, domain.ErrNewerFold) ||
		errors.Is(err, domain.ErrOtherNames)
}

// alarmInterval is how often a stopped projection is logged as an error.
const alarmInterval = time.Minute

// Keep is Run for as long as ctx lasts. A projection that has stopped is tried again every Options.Recheck: the event may be quarantined, the
// read model rebuilt, or the log put right meanwhile. While it is stopped, it is logged as an error every minute.
func (r *Runner) Keep(ctx context.Context) {
	var logged time.Time
	for {
		err := r.Run(ctx)
		if err == nil {
			return
		}
		if now := r.options.Now(); now.Sub(logged) >= alarmInterval {
			logged = now
			r.options.Logger.Error("a projection has stopped", "projection", r.projection.Name(), "error", err)
		}
		select {
		case <-time.After(r.options.Recheck):
		case <-ctx.Done():
			return
		}
	}
}

// session subscribes and applies batches until something fails.
func (r *Runner) session(ctx context.Context) error {
	at, err := r.projection.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if newest := r.projection.Fold(); at.Fold > newest {
		return fmt.Errorf("%w: its fold is of version %d, and this program's of version %d", domain.ErrNewerFold, at.Fold, newest)
	}
	if err := at.CheckNames(r.projection.Names()); err != nil {
		return r.reloaded(ctx, err)
	}
	r.update(func(*Status) { r.at = at })
	if err := r.standBy(ctx, at.Position); err != nil {
		return err
	}
	subscriber := topics.NewSubscriber(r.options.Reading, 2*r.options.BatchSize, r.options.Logger, map[string]topics.Topic{
		r.projection.Name(): {
			Types: r.projection.Types(),
			From:  func(context.Context) (domain.Checkpoint, error) { return at, nil },
		},
	})
	defer subscriber.Close()
	messages, err := subscriber.Subscribe(ctx, r.projection.Name())
	if err != nil {
		return err
	}
	s := session{Runner: r, messages: messages, at: at}
	if err = s.run(ctx); errors.Is(err, domain.ErrWrongLog) {
		return r.reloaded(ctx, err)
	}
	return err
}

// standBy finds out whether another runner keeps the read model up to date: the checkpoint has reached what was the end of the log when an earlier
// session began. Such a runner always loses, and has caught up all the same.
func (r *Runner) standBy(ctx context.Context, at domain.Position) error {
	asked := r.options.Now()
	end, err := r.store.End(ctx)
	if err != nil {
		return err
	}
	r.update(func(s *Status) { s.End = end })
	if r.aimed.IsZero() {
		r.aim, r.aimed = end, asked
		return nil
	}
	if at.Before(r.aim) {
		return nil
	}
	r.update(func(s *Status) {
		s.CaughtUp = true
		if r.aimed.After(s.AsOf) {
			s.AsOf = r.aimed
		}
	})
	r.aim, r.aimed = end, asked
	return nil
}

// reloaded loads a read model of another log, or with the names of another secret, anew, once what it is loaded from is of this log and this secret.
// Until then, or if it can't be loaded, it returns the error that stops the projection.
func (r *Runner) reloaded(ctx context.Context, wrong error) error {
	p, can := r.projection.(Reloadable)
	if !can {
		return wrong
	}
	source, err := p.Source(ctx)
	if err == nil {
		err = r.store.CheckCheckpoint(ctx, source)
	}
	if err == nil && source.Names != r.projection.Names() && errors.Is(wrong, domain.ErrOtherNames) {
		err = errOtherSource
	}
	if err != nil {
		r.options.Logger.Debug("a read model can't be loaded anew yet", "projection", r.projection.Name(), "error", err)
		return wrong
	}
	r.options.Logger.Warn("a read model is loaded anew", "projection", r.projection.Name(), "error", wrong)
	if err := p.Load(ctx); err != nil {
		return err
	}
	return errReloaded
}

var (
	errReloaded    = errors.New("the read model was loaded anew")
	errOtherSource = errors.New("what it would be loaded from does not say that it has the names of this process")
)

// session is a running subscription.
type session struct {
	*Runner
	messages <-chan *message.Message
	// at is the checkpoint.
	at domain.Checkpoint
	// caughtUp is the state by the last messages taken; live is the same once they are committed.
	caughtUp, live bool
	// committing is how long the last commit took.
	committing time.Duration
	// taken are the messages of the last batch; the next one reuses the memory.
	taken []*message.Message
}

// maxDelayFactor bounds a batch's wait, as a multiple of Options.BatchDelay.
const maxDelayFactor = 10

func (s *session) batchDelay() time.Duration {
	return min(max(s.options.BatchDelay, maxDelayFactor*s.committing), maxDelayFactor*s.options.BatchDelay)
}

func (s *session) run(ctx context.Context) error {
	for {
		select {
		case first, open := <-s.messages:
			if !open {
				return errSubscriptionEnded
			}
			if err := s.gather(ctx, first); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errSubscriptionEnded = errors.New("the subscription has ended")

// gather takes messages for the batch delay, up to a full batch, commits them, and only then acknowledges them.
func (s *session) gather(ctx context.Context, first *message.Message) error {
	delay := time.NewTimer(s.batchDelay())
	defer delay.Stop()
	batch := Batch{From: s.at, To: s.at, Events: make([]eventstore.Recorded, 0, len(s.taken))}
	clear(s.taken) // release the messages
	taken := append(s.taken[:0], first)
	defer func() { s.taken = taken }()
	failure := s.take(&batch, first)
collect:
	for failure == nil && len(taken) < s.options.BatchSize {
		select {
		case next, open := <-s.messages:
			if !open {
				failure = errSubscriptionEnded
				break collect
			}
			taken = append(taken, next)
			failure = s.take(&batch, next)
		case <-delay.C:
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
	s.setLive(s.caughtUp)
	return failure
}

// take adds a message to the batch. It returns an error if no message can follow.
func (s *session) take(batch *Batch, m *message.Message) error {
	item := topics.ItemOf(m)
	switch {
	case item.Lost != nil:
		s.caughtUp = false
		if permanent(item.Lost) {
			return item.Lost
		}
		s.options.Logger.Warn("a projection has lost the event store", "projection", s.projection.Name(), "error", item.Lost)
		return nil
	case item.Event != nil:
		batch.Events = append(batch.Events, *item.Event)
		batch.AsOf = item.Event.Created
	case item.CaughtUp:
		s.caughtUp = true
		if item.AsOf.After(batch.AsOf) {
			batch.AsOf = item.AsOf
		}
		s.update(func(status *Status) { status.End = item.At.Position })
	}
	batch.To = item.At
	batch.To.Fold, batch.To.Names = s.projection.Fold(), s.projection.Names()
	return nil
}

// setLive sets whether the projection is live, once a batch that says so is committed.
func (s *session) setLive(live bool) {
	if s.live == live {
		return
	}
	if live {
		s.options.Logger.Info("a projection has caught up", "projection", s.projection.Name())
	}
	s.live = live
	s.update(func(status *Status) { status.Live, status.CaughtUp = live, status.CaughtUp || live })
}
