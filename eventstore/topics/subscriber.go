// Package topics offers the log to Watermill, as a subscriber to topics that are made of types of events.
package topics

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Topic is the events of some types after a checkpoint.
type Topic struct {
	Types []string
	// From returns that checkpoint. It is called when a subscription begins.
	From func(context.Context) (domain.Checkpoint, error)
}

// Log is what a Subscriber follows; see eventstore.Store.Follow.
type Log interface {
	Follow(ctx context.Context, from domain.Checkpoint, types []string, deliver func(eventstore.Item) error) error
}

// Subscriber is a Watermill message.Subscriber over the log. Messages come in the order of the log, on one channel.
//
// It differs from other subscribers in two ways. It delivers up to a window of messages before the first is acknowledged, so that
// they can be committed in batches. And a Nack ends the subscription, because delivering further messages would break the order.
// Subscribing again starts at the checkpoint.
type Subscriber struct {
	log    Log
	topics map[string]Topic
	window int
	logger *slog.Logger

	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
}

var _ message.Subscriber = (*Subscriber)(nil)

// NewSubscriber makes a subscriber to topics of the log, by name. The window, at least 1, is how many messages of a subscription may
// be unacknowledged.
func NewSubscriber(log Log, window int, logger *slog.Logger, topics map[string]Topic) *Subscriber {
	ctx, stop := context.WithCancel(context.Background())
	return &Subscriber{log: log, topics: topics, window: max(window, 1), logger: logger, ctx: ctx, stop: stop}
}

type itemKey struct{}

// ItemOf is the item that a message of a Subscriber carries. A message with an empty payload carries an item that is not an event. It
// must be acknowledged like any other.
func ItemOf(m *message.Message) eventstore.Item {
	item, _ := m.Context().Value(itemKey{}).(eventstore.Item)
	return item
}

// Subscribe starts to deliver a topic. The channel is closed when ctx ends, after Close, after a Nack, and when Log.Follow ends
// with an error. The error is then in the last message as eventstore.Item.Lost. An unknown topic is domain.ErrInvalid.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	t, known := s.topics[topic]
	if !known {
		return nil, domain.Invalid("topic", "topic_unknown", "there is no topic "+topic)
	}
	from, err := t.From(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(s.ctx, cancel)
	d := &delivery{ctx: ctx, out: make(chan *message.Message), pending: make(chan *message.Message, s.window-1)}
	s.all.Go(func() {
		defer release()
		defer cancel()
		d.follow(s.log, from, t.Types, topic, s.logger)
	})
	s.all.Go(func() {
		defer cancel()
		d.awaitAcks()
	})
	return d.out, nil
}

// Close ends all subscriptions and waits for them.
func (s *Subscriber) Close() error {
	s.stop()
	s.all.Wait()
	return nil
}

// delivery is one subscription.
type delivery struct {
	ctx context.Context
	out chan *message.Message
	// pending holds the messages that were delivered and not acknowledged yet, oldest first.
	pending chan *message.Message
}

func (d *delivery) follow(log Log, from domain.Checkpoint, types []string, topic string, logger *slog.Logger) {
	defer close(d.out)
	defer close(d.pending)
	err := log.Follow(d.ctx, from, types, d.deliver)
	if d.ctx.Err() != nil {
		return
	}
	if err := d.deliver(eventstore.Item{Lost: err}); err != nil && !errors.Is(err, context.Canceled) {
		logger.Error("a subscription could not tell why it stopped", "topic", topic, "error", err)
	}
}

func (d *delivery) deliver(item eventstore.Item) error {
	m := newMessage(d.ctx, item)
	select {
	case d.pending <- m:
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
	select {
	case d.out <- m:
		return nil
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
}

// awaitAcks takes messages out of pending in order as they are acknowledged. It returns at the first Nack.
func (d *delivery) awaitAcks() {
	for m := range d.pending {
		select {
		case <-m.Acked():
		case <-m.Nacked():
			return
		case <-d.ctx.Done():
			return
		}
	}
}

func newMessage(ctx context.Context, item eventstore.Item) *message.Message {
	m := message.NewMessage("", nil)
	if e := item.Event; e != nil {
		m.UUID, m.Payload = e.ID.String(), e.Data
		m.Metadata.Set("type", e.Event.EventType())
		m.Metadata.Set("stream", e.Stream)
		m.Metadata.Set("position", e.Position.String())
	}
	m.SetContext(context.WithValue(ctx, itemKey{}, item))
	return m
}
