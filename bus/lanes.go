package bus

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// lanes divides the messages of one topic by their names, so that each kind of command can have a handler of its own on
// the Watermill router and none goes by unseen: what has another name goes into the lane "".
type lanes struct {
	subscriber message.Subscriber
	topic      string
	// readers is how many subscriptions are held at once. Each hands out one message at a time.
	readers int
	log     *slog.Logger
	each    map[string]lane
}

func newLanes(subscriber message.Subscriber, topic string, readers int, log *slog.Logger, names ...string) *lanes {
	l := &lanes{subscriber: subscriber, topic: topic, readers: max(readers, 1), log: log, each: make(map[string]lane)}
	for _, name := range append(names, "") {
		l.each[name] = make(lane)
	}
	return l
}

// lane is the message.Subscriber of one name. It hands out what run reads, until run returns.
type lane chan *message.Message

// Subscribe hands out the lane, whatever topic is asked for. There is one subscription of it.
func (l lane) Subscribe(context.Context, string) (<-chan *message.Message, error) { return l, nil }

// Close does nothing: a lane ends with those who read for it.
func (lane) Close() error { return nil }

// run reads until ctx ends, and closes the lanes.
func (l *lanes) run(ctx context.Context) {
	var readers sync.WaitGroup
	for range l.readers {
		readers.Go(func() { l.read(ctx) })
	}
	readers.Wait()
	for _, lane := range l.each {
		close(lane)
	}
}

var errSubscriptionEnded = errors.New("the subscription has ended")

// read keeps up one subscription, for as long as it takes: a broker that is away when the process starts, or forgets its
// consumer groups while it restarts, is no reason to stop.
func (l *lanes) read(ctx context.Context) {
	for attempt := 1; ; attempt++ {
		messages, err := l.subscriber.Subscribe(ctx, l.topic)
		if err == nil {
			for m := range messages {
				attempt = 0
				l.pass(ctx, m)
			}
			err = errSubscriptionEnded
		}
		if ctx.Err() != nil {
			return
		}
		l.log.Warn("the command bus subscribes again", "topic", l.topic, "error", err)
		if pause(ctx, backoff(attempt+1)) != nil {
			return
		}
	}
}

// pass hands a message to its lane. What comes after ctx has ended goes back to the broker.
func (l *lanes) pass(ctx context.Context, m *message.Message) {
	lane, known := l.each[m.Metadata.Get(MetadataName)]
	if !known {
		lane = l.each[""]
	}
	select {
	case lane <- m:
	case <-ctx.Done():
		m.Nack()
	}
}
