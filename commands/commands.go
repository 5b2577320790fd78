// Package commands carries out what callers ask for: it loads the stream, lets the domain decide, and appends what it
// decided. It needs the event store and nothing else.
package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	// Issuer is whose the ids in the command are.
	Issuer domain.Issuer
	// Correlation joins everything that came of one request; empty makes the command its own.
	Correlation string
}

// errNoIssuer is a mistake of this program: ids without an issuer are those that were stored before ids had one.
var errNoIssuer = errors.New("the command has ids, and its caller has no issuer")

// Handler carries out commands. It may be used from many goroutines at once.
type Handler struct {
	store                               *eventstore.Store
	policy                              domain.Policy
	maxOrderPoints, maxAdjustmentPoints domain.Points
	now                                 func() time.Time
	newID                               func() uuid.UUID
	bareOrders                          bareOrders
}

// Options are what a Handler needs besides the event store. Policy, Now and NewID must be set.
type Options struct {
	// Policy is what orders earn by from now on.
	Policy domain.Policy
	// MaxOrderPoints and MaxAdjustmentPoints are the most points of one order and of one adjustment, 1 to MaxPointsLimit; 0 is
	// DefaultPointsLimit. What was stored under another limit stays valid.
	MaxOrderPoints, MaxAdjustmentPoints domain.Points
	Now                                 func() time.Time
	// NewID makes the id of a command, which no other command has.
	NewID func() uuid.UUID
}

const (
	// DefaultPointsLimit is the limit of the points of one order or adjustment where none is set: £100,000 spent.
	DefaultPointsLimit domain.Points = 10_000
	// MaxPointsLimit is the greatest limit that may be set.
	MaxPointsLimit domain.Points = 1<<17 - 1
)

// CheckPointsLimit returns domain.ErrInvalid, which names the setting, unless the limit is 1 to MaxPointsLimit.
func CheckPointsLimit(setting string, limit domain.Points) error {
	if limit < 1 || limit > MaxPointsLimit {
		return domain.Invalid(setting, "limit_out_of_range", fmt.Sprintf("the limit of points is 1 to %d", MaxPointsLimit))
	}
	return nil
}

// New makes a Handler that appends to store. It returns domain.ErrInvalid for a policy that can't price anything and a limit out of range.
func New(store *eventstore.Store, o Options) (*Handler, error) {
	perOrder, perAdjustment := cmp.Or(o.MaxOrderPoints, DefaultPointsLimit), cmp.Or(o.MaxAdjustmentPoints, DefaultPointsLimit)
	if err := domain.JoinInvalid(
		o.Policy.Validate(), CheckPointsLimit("MaxOrderPoints", perOrder), CheckPointsLimit("MaxAdjustmentPoints", perAdjustment),
	); err != nil {
		return nil, err
	}
	return &Handler{
		store: store, policy: o.Policy, maxOrderPoints: perOrder, maxAdjustmentPoints: perAdjustment, now: o.Now, newID: o.NewID,
		bareOrders: bareOrders{asked: make(chan struct{}, 1)},
	}, nil
}

// metadata is what the events of a command carry: the command caused them, the caller's request began it.
func (h *Handler) metadata(c Caller, command uuid.UUID) eventstore.Metadata {
	m := eventstore.Metadata{Correlation: c.Correlation, Causation: command.String(), Actor: c.Actor, Channel: c.Channel}
	if m.Correlation == "" {
		m.Correlation = m.Causation
	}
	return m
}

// errNoID refuses a command that can't be repeated safely because it has no id.
var errNoID = domain.Invalid("id", "id_missing", "an id makes it safe to repeat")

// history is a stream folded into the state of its aggregate.
type history[S any] struct {
	events   []eventstore.Recorded
	state    S
	revision int64 // where the stream stands
}

func load[S any](ctx context.Context, store *eventstore.Store, stream string, evolve func(S, domain.Event) S) (history[S], error) {
	events, revision, err := store.Load(ctx, stream)
	h := history[S]{events: events, revision: revision}
	for _, recorded := range events {
		h.state = evolve(h.state, recorded.Event)
	}
	return h, err
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
