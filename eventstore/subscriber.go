package eventstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/domain"
)

// Topic is what a Subscriber offers under a name: the events of some types, from a checkpoint on.
type Topic struct {
	Types []string
	// From reads the checkpoint to start after, when a subscription begins.
	From func(context.Context) (domain.Position, error)
}

// Subscriber is a Watermill message.Subscriber over the log. Messages come in the order of the log, on one channel.
//
// Two things are particular. Up to a window of messages is delivered before the first is acknowledged, so that they can
// be committed in batches. And a Nack ends the subscription, since going on without that message would lose the order:
// subscribing again starts at the checkpoint, which moved only with what was committed.
type Subscriber struct {
	store  *Store
	topics map[string]Topic
	window int
	logger *slog.Logger

	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
}

var _ message.Subscriber = (*Subscriber)(nil)

// NewSubscriber offers the topics of a store. The window, at least 1, bounds the messages delivered and not yet
// acknowledged, per subscription.
func NewSubscriber(store *Store, window int, logger *slog.Logger, topics map[string]Topic) *Subscriber {
	ctx, stop := context.WithCancel(context.Background())
	return &Subscriber{store: store, topics: topics, window: max(window, 1), logger: logger, ctx: ctx, stop: stop}
}

type itemKey struct{}

// ItemOf is what a message of a Subscriber tells. Messages with an empty payload tell something other than an event, and
// are to be acknowledged like any other.
func ItemOf(m *message.Message) Item {
	item, _ := m.Context().Value(itemKey{}).(Item)
	return item
}

// Subscribe begins to deliver a topic. The channel is closed when ctx ends, after Close, after a Nack, or at an event
// that can't be decoded, whose error is logged and is also in the last message, as Item.Lost.
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
	unhook := context.AfterFunc(s.ctx, cancel)
	d := &delivery{ctx: ctx, out: make(chan *message.Message), pending: make(chan *message.Message, s.window-1)}
	s.all.Go(func() {
		defer unhook()
		defer cancel()
		d.follow(s.store, from, t.Types, topic, s.logger)
	})
	s.all.Go(func() {
		defer cancel()
		d.settle()
	})
	return d.out, nil
}

// Close ends all subscriptions and waits for them.
func (s *Subscriber) Close() error {
	s.stop()
	s.all.Wait()
	return nil
}

// delivery is one subscription under way.
type delivery struct {
	ctx context.Context
	out chan *message.Message
	// pending holds the messages that were delivered and are not acknowledged, oldest first.
	pending chan *message.Message
}

func (d *delivery) follow(store *Store, from domain.Position, types []string, topic string, logger *slog.Logger) {
	defer close(d.out)
	defer close(d.pending)
	err := store.Follow(d.ctx, from, types, d.deliver)
	if d.ctx.Err() != nil {
		return
	}
	logger.Error("a subscription has stopped", "topic", topic, "error", err)
	if err := d.deliver(Item{Lost: err}); err != nil && !errors.Is(err, context.Canceled) {
		logger.Error("nobody heard why a subscription stopped", "topic", topic, "error", err)
	}
}

func (d *delivery) deliver(item Item) error {
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

// settle frees the window in order, as messages are acknowledged, and returns at the first that is not.
func (d *delivery) settle() {
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

func newMessage(ctx context.Context, item Item) *message.Message {
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
