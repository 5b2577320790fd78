// Package bus connects the system to message brokers through Watermill. It takes commands from one topic and acknowledges each
// only after it was appended. It publishes a result of each command, puts commands that can never succeed into a poison topic with
// their problem, and publishes changes of points as integration events. It works with any Watermill publisher and subscriber;
// package redis has those of Redis Streams, and docs/bus.md the format on the wire.
package bus

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
)

// Topics are the names of the topics.
type Topics struct {
	// Commands has the commands of every kind. One topic keeps a return behind its order.
	Commands string
	// Results has the result of each command.
	Results string
	// Poison has the commands that can't succeed.
	Poison string
	// Events has the integration events.
	Events string
}

// TopicsUnder returns the topics' names with a prefix, such as "loyalty.".
func TopicsUnder(prefix string) Topics {
	return Topics{Commands: prefix + "commands", Results: prefix + "results", Poison: prefix + "poison", Events: prefix + "events"}
}

// Metadata that messages carry beside Watermill's own.
const (
	// MetadataName says what a message is: "place-order.v1".
	MetadataName = "name"
	// MetadataCorrelation is the correlation id. A result and the events of a command keep the command's. Watermill's own
	// middleware uses the same name.
	MetadataCorrelation = "correlation_id"
	// MetadataPartitionKey is the key by which a broker with partitions must divide events to keep each customer's in order.
	MetadataPartitionKey = "partition_key"
)

const (
	// attemptTimeout bounds one attempt at the event store or the broker.
	attemptTimeout = 5 * time.Second
	// maxBackoff bounds the pause between attempts.
	maxBackoff = 5 * time.Second
)

func backoff(attempt int) time.Duration {
	full := min(20*time.Millisecond<<min(attempt-1, 10), maxBackoff)
	return full/2 + rand.N(full/2+1)
}

// retry calls try, with growing pauses, until it succeeds, giveUp returns true for its error, or ctx ends. It returns nil, the
// error given up on, or the error of ctx. An attempt that has begun when ctx ends is finished. What is tried is one of a few.
func retry(ctx context.Context, log limited, what string, try func(context.Context) error, giveUp func(error) bool) error {
	for attempt := 1; ; attempt++ {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
		err := try(bounded)
		cancel()
		if err == nil || giveUp(err) {
			return err
		}
		if attempt&(attempt-1) == 0 {
			log.warn("the command bus tries again", what, "attempt", attempt, "error", err)
		}
		if pause(ctx, backoff(attempt)) != nil {
			return ctx.Err()
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newMessage(name, correlation string, payload []byte) *message.Message {
	m := message.NewMessage(uuid.NewString(), payload)
	m.Metadata.Set(MetadataName, name)
	if correlation != "" {
		m.Metadata.Set(MetadataCorrelation, correlation)
	}
	return m
}
