// Package bus joins the system to message brokers through Watermill. Commands come in from one topic, each acknowledged
// only after it was appended; a result for each goes out to another; what can never succeed is put aside in a poison
// topic with its problem; and changes of points go out as integration events. It takes any Watermill publisher and
// subscriber; package redis has those of Redis Streams, and docs/bus.md the format on the wire.
package bus

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
)

// Topics are the names of what a broker carries for the system.
type Topics struct {
	// Commands come in here, of every kind: one topic keeps a return behind the order it belongs to.
	Commands string
	// Results tell what became of each command.
	Results string
	// Poison holds commands that can't succeed.
	Poison string
	// Events are the integration events.
	Events string
}

// TopicsUnder names the topics with a prefix such as "loyalty.".
func TopicsUnder(prefix string) Topics {
	return Topics{Commands: prefix + "commands", Results: prefix + "results", Poison: prefix + "poison", Events: prefix + "events"}
}

// Metadata that messages carry beside Watermill's own.
const (
	// MetadataName says what a message is: "place-order.v1".
	MetadataName = "name"
	// MetadataCorrelation joins all that came of one request; a result and the events of a command keep the command's. It
	// is where Watermill's own middleware has it too.
	MetadataCorrelation = "correlation_id"
	// MetadataPartitionKey is by what a broker with partitions must divide events to keep the order of each customer.
	MetadataPartitionKey = "partition_key"
)

const (
	// attemptFor bounds one attempt at the event store or the broker.
	attemptFor = 5 * time.Second
	// backoffMost bounds the pause between attempts.
	backoffMost = 5 * time.Second
)

func backoff(attempt int) time.Duration {
	full := min(20*time.Millisecond<<min(attempt-1, 10), backoffMost)
	return full/2 + rand.N(full/2+1)
}

// insist tries again, with pauses, until it works, stop says that it never will, or ctx ends, whose error it returns then.
// What is under way when ctx ends is finished.
func insist(ctx context.Context, log *slog.Logger, what string, try func(context.Context) error, stop func(error) bool) error {
	for attempt := 1; ; attempt++ {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptFor)
		err := try(bounded)
		cancel()
		if err == nil || stop(err) {
			return err
		}
		if attempt&(attempt-1) == 0 {
			log.Warn("the command bus tries again", "what", what, "attempt", attempt, "error", err)
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
