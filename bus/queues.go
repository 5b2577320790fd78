package bus

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/domain"
)

// queues divides the messages of one topic by name, so that each kind of command has its own handler on the Watermill
// router. Messages of an unknown name go into the queue "".
type queues struct {
	subscriber message.Subscriber
	topic      string
	// readers is the number of subscriptions held at once. Each hands out one message at a time.
	readers int
	log     limited
	byName  map[string]queue
}

func newQueues(subscriber message.Subscriber, topic string, readers int, log limited, names ...string) *queues {
	q := &queues{subscriber: subscriber, topic: topic, readers: max(readers, 1), log: log, byName: make(map[string]queue)}
	for _, name := range append(names, "") {
		q.byName[name] = make(queue)
	}
	return q
}

// queue is the message.Subscriber of one name. It is unbuffered, and closed when run returns.
type queue chan *message.Message

// Subscribe returns the queue, whatever the topic. A queue has one subscription.
func (q queue) Subscribe(context.Context, string) (<-chan *message.Message, error) { return q, nil }

// Close does nothing: run closes the queue.
func (queue) Close() error { return nil }

// run reads the topic until ctx ends, and then closes the queues.
func (q *queues) run(ctx context.Context) {
	var readers sync.WaitGroup
	for range q.readers {
		readers.Go(func() { q.read(ctx) })
	}
	readers.Wait()
	for _, queue := range q.byName {
		close(queue)
	}
}

var errSubscriptionEnded = fmt.Errorf("%w: the subscription has ended", domain.ErrUnavailable)

// read keeps one subscription until ctx ends. It subscribes again, with growing pauses, when the broker is away, refuses our user or has lost
// its consumer groups.
func (q *queues) read(ctx context.Context) {
	for attempt := 1; ; attempt++ {
		received, err := q.subscribe(ctx)
		if ctx.Err() != nil {
			return
		}
		if received {
			attempt = 0
		}
		q.log.warn("the command bus subscribes again", q.topic, "error", err)
		if pause(ctx, backoff(attempt+1)) != nil {
			return
		}
	}
}

// subscribe reads one subscription to its end, and says whether anything came. What a failed one has left running ends with its context.
func (q *queues) subscribe(ctx context.Context) (received bool, _ error) {
	subscribed, cancel := context.WithCancel(ctx)
	defer cancel()
	messages, err := q.subscriber.Subscribe(subscribed, q.topic)
	if err != nil {
		return false, fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	for m := range messages {
		received = true
		q.pass(ctx, m)
	}
	return received, errSubscriptionEnded
}

// pass puts a message into its queue. After ctx has ended it gives the message back to the broker.
func (q *queues) pass(ctx context.Context, m *message.Message) {
	queue, known := q.byName[m.Metadata.Get(MetadataName)]
	if !known {
		queue = q.byName[""]
	}
	select {
	case queue <- m:
	case <-ctx.Done():
		m.Nack()
	}
}
