// Package commands carries out what callers ask for: it loads the stream, lets the domain decide, and appends what it
// decided. It knows nothing of read models; the one thing it asks of them, a customer's total near its limit, it asks
// through Totals.
package commands

import (
	"context"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Caller is on whose behalf a command is carried out. It goes into the metadata of every event.
type Caller struct {
	// Actor is the subject of the caller's token.
	Actor string
	// Channel is where the caller came from; empty for support.
	Channel domain.Channel
	// Correlation joins everything that came of one request; empty makes the command its own.
	Correlation string
}

// Handler carries out commands. It may be used from many goroutines at once.
type Handler struct {
	store  *eventstore.Store
	totals *limiter
	policy domain.Policy
	now    func() time.Time
	newID  func() uuid.UUID
}

// Options are what a Handler needs besides the event store. All but Totals must be set.
type Options struct {
	// Policy is what orders earn by from now on.
	Policy domain.Policy
	// Totals guards the limit of a customer's points; nil leaves only the limit of a single order or adjustment.
	Totals Totals
	Now    func() time.Time
	// NewID makes the id of a command, which no other command has.
	NewID func() uuid.UUID
}

// New makes a Handler that appends to store. It refuses a policy that can't price anything.
func New(store *eventstore.Store, o Options) (*Handler, error) {
	if err := o.Policy.Validate(); err != nil {
		return nil, err
	}
	return &Handler{store: store, totals: newLimiter(o.Totals), policy: o.Policy, now: o.Now, newID: o.NewID}, nil
}

// metadata is what the events of a command carry: the command caused them, the caller's request began it.
func (h *Handler) metadata(c Caller, command uuid.UUID) eventstore.Metadata {
	m := eventstore.Metadata{Correlation: c.Correlation, Causation: command.String(), Actor: c.Actor, Channel: c.Channel}
	if m.Correlation == "" {
		m.Correlation = m.Causation
	}
	return m
}

// maxAttempts bounds how often a command is decided anew because another one got to its stream first.
const maxAttempts = 10

// history is a stream folded into the state of its aggregate.
type history[S any] struct {
	events []eventstore.Recorded
	state  S
}

func load[S any](ctx context.Context, store *eventstore.Store, stream string, evolve func(S, domain.Event) S) (history[S], error) {
	var h history[S]
	events, err := store.Load(ctx, stream)
	if err != nil {
		return h, err
	}
	h.events = events
	for _, recorded := range events {
		h.state = evolve(h.state, recorded.Event)
	}
	return h, nil
}

// revision is where the stream stands.
func (h history[S]) revision() int64 {
	if len(h.events) == 0 {
		return eventstore.NoStream
	}
	return int64(h.events[len(h.events)-1].Revision)
}

// find gives the first event of type E that is wanted, and its position in the log.
func find[E domain.Event](ctx context.Context, store *eventstore.Store, events []eventstore.Recorded, wanted func(E) bool) (E, domain.Position, error) {
	for _, recorded := range events {
		if event, ok := recorded.Event.(E); ok && wanted(event) {
			at, err := store.PositionOf(ctx, recorded)
			return event, at, err
		}
	}
	var none E
	return none, domain.Position{}, domain.ErrNotFound
}
