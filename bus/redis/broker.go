package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"loyalty/bus"
	"loyalty/domain"
	"loyalty/internal/redisurl"
)

// group is the consumer group of the processes that take commands.
const group = "loyalty"

const (
	// blockFor bounds how long a read waits for a command, and so how long it takes to notice a stop.
	blockFor = 100 * time.Millisecond
	// claimBatch bounds how many commands of other consumers are checked at a time.
	claimBatch = 5000
	// resendAfter is the pause before a message is delivered again that a handler has not acknowledged.
	resendAfter = 250 * time.Millisecond
)

// Broker is the streams of one Redis. It may be used by many goroutines at once.
type Broker struct {
	address
	// Each has its own client, because redisstream closes the client it was given.
	publisher  publisher
	subscriber *redisstream.Subscriber
	client     redis.UniversalClient
	consumers  *consumers
}

// Open reads an address: redis://host:port or rediss://, redis+cluster://host,host or redis+sentinel://host,host/master, with
// user:password@ before the hosts, and the parameters prefix (of the streams' names, "loyalty."), concurrency
// (16 commands at once), keep (about 1,000,000 results and as many events in their streams), claim_after (10s), order_timeout (1m),
// poison_keep (about 10,000 poisoned commands) and from (now, or start for the whole history of events). It does not connect: publishing and
// subscribing wait for a Redis that is away or refuses our user. The error is domain.ErrInvalid and never repeats the address.
func Open(text string, again func() (string, error), log *slog.Logger) (*Broker, error) {
	a, err := parseAddress(text)
	if err != nil {
		return nil, err
	}
	if again != nil {
		a.options.CredentialsProviderContext = redisurl.Credentials(again, ownParameters...)
	}
	logging.Disable() // errors have all that go-redis would print
	b := &Broker{address: a, client: redis.NewUniversalClient(a.options)}
	b.consumers = newConsumers(b.client, a.prefix, a.claimAfter)
	watermillLog := bus.NewLogger(log)
	b.publisher.Publisher, err = redisstream.NewPublisher(redisstream.PublisherConfig{
		Client: redis.NewUniversalClient(a.options), Maxlens: map[string]int64{a.topics.Results: a.keep, a.topics.Events: a.keep},
	}, watermillLog)
	if err != nil {
		return nil, fmt.Errorf("a publisher on Redis: %w", err)
	}
	reading := redis.NewUniversalClient(a.options)
	reading.AddHook(b.consumers.held)
	b.subscriber, err = redisstream.NewSubscriber(redisstream.SubscriberConfig{
		Client: reading, Unmarshaller: unmarshaller{}, ConsumerGroup: group, Consumer: b.consumers.own, OldestId: "0",
		BlockTime: blockFor, DisableIndefiniteInitialBlock: true, NackResendSleep: resendAfter,
		ClaimInterval: max(a.claimAfter/6, blockFor), ClaimBatchSize: claimBatch, MaxIdleTime: a.claimAfter,
		ShouldClaimPendingMessage: b.consumers.mayClaim,
		// A Redis that has lost its streams has lost the group too. Subscribing again creates it.
		ShouldStopOnReadErrors: func(err error) bool { return redis.HasErrorPrefix(err, "NOGROUP") },
	}, watermillLog)
	if err != nil {
		return nil, fmt.Errorf("a subscriber on Redis: %w", err)
	}
	return b, nil
}

// Topics are the names of the streams.
func (b *Broker) Topics() bus.Topics { return b.topics }

// Concurrency is the number of commands to be carried out at once.
func (b *Broker) Concurrency() int { return b.concurrency }

// OrderTimeout is how long a return waits for its order.
func (b *Broker) OrderTimeout() time.Duration { return b.orderTimeout }

// PoisonKeep is about how many commands the poison topic holds.
func (b *Broker) PoisonKeep() int64 { return b.poisonKeep }

// FromStart reports whether the first start publishes the whole history of events.
func (b *Broker) FromStart() bool { return b.fromStart }

// Publisher appends to streams, one message after the other. Its errors are domain.ErrUnavailable. Closing the Broker closes it.
func (b *Broker) Publisher() message.Publisher { return b.publisher }

// publisher is redisstream's, with its errors in our words.
type publisher struct{ *redisstream.Publisher }

// Publish is redisstream's.
func (p publisher) Publish(topic string, messages ...*message.Message) error {
	return unavailable("publish to "+topic, p.Publisher.Publish(topic, messages...))
}

// Subscriber reads as one consumer of the group, one message at a time for each subscription. It claims commands that another
// consumer has held for claim_after if that one is dead, and those that Redis has delivered to this one without their having arrived; Keep sends
// the heartbeat of this one. Closing the Broker closes it.
func (b *Broker) Subscriber() message.Subscriber { return b.subscriber }

// Close closes all connections. Publishing and subscribing must have ended.
func (b *Broker) Close() error {
	return errors.Join(b.subscriber.Close(), b.publisher.Close(), b.client.Close())
}

// unavailable makes an error of Redis domain.ErrUnavailable.
func unavailable(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", what, domain.ErrUnavailable, err)
}

// Depth counts the commands in the poison topic.
func (b *Broker) Depth(ctx context.Context) (int64, error) {
	n, err := b.client.XLen(ctx, b.topics.Poison).Result()
	return n, unavailable("count the poison topic", err)
}
