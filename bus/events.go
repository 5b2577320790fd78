package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/consumer"
	"loyalty/projections"
)

// The names of the integration events. Other systems rely on them, so they never change; they are independent of stored names.
const (
	NamePointsAwarded  = "loyalty.points-awarded.v1"
	NamePointsReversed = "loyalty.points-reversed.v1"
	NamePointsAdjusted = "loyalty.points-adjusted.v1"
)

// IntegrationEvent is a change of a customer's points, for other systems.
type IntegrationEvent struct {
	// EventID is unique to the event, and the message's id too. A receiver that sees it twice has the same event twice.
	EventID string `json:"eventId"`
	// Type is one of the names above.
	Type       string            `json:"type"`
	CustomerID domain.CustomerID `json:"customerId"`
	// OrderID is that of an award or a reversal, ReturnID that of a reversal, LoyaltyID that of an adjustment.
	OrderID   domain.OrderID   `json:"orderId,omitempty"`
	ReturnID  domain.ReturnID  `json:"returnId,omitempty"`
	LoyaltyID domain.LoyaltyID `json:"loyaltyId,omitempty"`
	// Points awarded (0 or more), taken back (0 or more), or adjusted (either sign).
	Points     domain.Points `json:"points"`
	OccurredAt time.Time     `json:"occurredAt"`
	// Channel is empty for support.
	Channel       domain.Channel `json:"channel,omitempty"`
	CorrelationID string         `json:"correlationId,omitempty"`
	// Position is opaque. A read with it as Loyalty-Min-Position reflects the event.
	Position string `json:"position"`
}

// EventsOptions are what an Events needs. Store, Publisher and Topic must be set.
type EventsOptions struct {
	Store *eventstore.Store
	// Publisher takes the events; Publish of several must keep their order. Events does not close it.
	Publisher message.Publisher
	Topic     string
	// FromStart has the first start publish the whole history. Otherwise publishing begins with what comes after the first start.
	FromStart bool
	// SaveEvery is the least time between two checkpoints (default 1 s). Each is an event in the log.
	SaveEvery time.Duration
	// Now is the clock (default time.Now).
	Now func() time.Time
}

// Events publishes changes of points as integration events. It is a projections.Projection for one projections.Runner. Events are
// published at least once, in the order of the log and so of each customer. After a crash, events are repeated that were published
// since the checkpoint was saved, SaveEvery at most. A receiver that drops events whose id it has seen gets each once and in
// order, also when several processes publish at once.
type Events struct {
	EventsOptions
	// saved is the checkpoint in the store, savedAt when it was written. at is up to where events are published, unsaved whether
	// that is beyond the checkpoint.
	saved   consumer.Checkpoint
	savedAt time.Time
	at      domain.Checkpoint
	unsaved bool
}

var _ projections.Projection = (*Events)(nil)

// eventsName is the name of the projection, in its metrics and its checkpoint.
const eventsName = "integration-events"

// NewEvents returns the projection. Call Save before the store is closed.
func NewEvents(o EventsOptions) *Events {
	if o.SaveEvery <= 0 {
		o.SaveEvery = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Events{EventsOptions: o}
}

// Name is "integration-events".
func (*Events) Name() string { return eventsName }

// Types are the events that change points.
func (*Events) Types() []string {
	return []string{order.TypePointsAwarded, order.TypePointsReversed, account.TypePointsAdjusted}
}

// Fold is 1.
func (*Events) Fold() int { return 1 }

// Names is empty: integration events have customers' ids.
func (*Events) Names() string { return "" }

// Checkpoint is the saved checkpoint, or the position published since unless another process has moved the checkpoint beyond it.
// The first time it is the start or the end of the log, and saved at once, so that no later event is lost.
func (e *Events) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	saved, err := consumer.Load(ctx, e.Store, eventsName)
	if err != nil {
		return domain.Checkpoint{}, err
	}
	if !saved.Kept() {
		var from domain.Checkpoint
		if !e.FromStart {
			if from.Position, err = e.Store.End(ctx); err != nil {
				return from, err
			}
		}
		if saved, err = consumer.Save(ctx, e.Store, eventsName, saved, from); err != nil {
			return from, err
		}
	}
	if saved != e.saved || e.at.Position.Before(saved.Position) {
		e.saved, e.at, e.unsaved = saved, saved.Checkpoint, false
	}
	return e.at, nil
}

// Apply publishes a batch in order, then saves the checkpoint if SaveEvery is over.
func (e *Events) Apply(ctx context.Context, b projections.Batch) error {
	messages := make([]*message.Message, len(b.Events))
	for i, recorded := range b.Events {
		m, err := integrationMessage(recorded)
		if err != nil {
			return err
		}
		m.SetContext(ctx)
		messages[i] = m
	}
	if len(messages) > 0 {
		if err := e.Publisher.Publish(e.Topic, messages...); err != nil {
			return fmt.Errorf("publish %d events: %w", len(messages), err)
		}
		e.unsaved = true
	}
	e.at = b.To
	if e.Now().Sub(e.savedAt) < e.SaveEvery {
		return nil
	}
	return e.Save(ctx)
}

// Save writes the checkpoint if anything was published since the last one. It must not be called while a runner runs.
func (e *Events) Save(ctx context.Context) error {
	if !e.unsaved {
		return nil
	}
	saved, err := consumer.Save(ctx, e.Store, eventsName, e.saved, e.at)
	if err != nil {
		return err
	}
	e.saved, e.savedAt, e.unsaved = saved, e.Now(), false
	return nil
}

func integrationMessage(r eventstore.Recorded) (*message.Message, error) {
	e := IntegrationEvent{
		EventID: r.ID.String(), CustomerID: r.Event.Customer(), OccurredAt: r.Event.Occurred(), Channel: r.Metadata.Channel,
		CorrelationID: r.Metadata.Correlation, Position: r.Position.String(),
	}
	switch stored := r.Event.(type) {
	case order.PointsAwarded:
		e.Type, e.OrderID, e.Points = NamePointsAwarded, stored.OrderID, stored.Points
	case order.PointsReversed:
		e.Type, e.OrderID, e.ReturnID, e.Points = NamePointsReversed, stored.OrderID, stored.ReturnID, stored.Points
	case account.PointsAdjusted:
		e.Type, e.LoyaltyID, e.Points = NamePointsAdjusted, stored.LoyaltyID, stored.Points
	default:
		return nil, fmt.Errorf("%w: no integration event tells of %s at position %s", domain.ErrUndecodable, r.Event.EventType(), r.Position)
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Type, err)
	}
	m := newMessage(e.Type, e.CorrelationID, payload)
	m.UUID = e.EventID
	m.Metadata.Set(MetadataPartitionKey, string(e.CustomerID))
	return m, nil
}

// DecodeEvent reads a message of the events topic.
func DecodeEvent(m *message.Message) (IntegrationEvent, error) {
	var e IntegrationEvent
	if err := json.Unmarshal(m.Payload, &e); err != nil {
		return e, fmt.Errorf("decode an integration event: %w", err)
	}
	if e.EventID == "" || e.Type == "" || e.CustomerID == "" {
		return e, errors.New("decode an integration event: it names no event, type or customer")
	}
	return e, nil
}
