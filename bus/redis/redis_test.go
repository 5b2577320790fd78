package redis_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"loyalty/bus/bustest"
	"loyalty/bus/redis"
	"loyalty/domain"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// opened is a broker with its address.
type opened struct {
	*redis.Broker
	address string
}

// open opens a broker at an address, and closes it at the end of the test.
func open(t testing.TB, address string) opened {
	t.Helper()
	b, err := redis.Open(address, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened{b, address}
}

// brokerOf is a broker as the contract wants it, whose consumers are each a process of its own.
func brokerOf(t testing.TB, b opened) bustest.Broker {
	t.Helper()
	url, _, _ := strings.Cut(b.address, "?")
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{
		Client: goredis.NewClient(o), FanOutOldestId: "0", DisableIndefiniteInitialBlock: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	})
	return bustest.Broker{Publisher: b.Publisher(), Subscriber: consumers(t, b.address), Reader: reader, Topics: b.Topics(), Concurrency: b.Concurrency()}
}

// consumers makes consumers at an address, none of which has a heartbeat.
func consumers(t testing.TB, address string) func() message.Subscriber {
	return func() message.Subscriber { return open(t, address).Subscriber() }
}

// quick are parameters for tests that don't wait half a minute for a dead consumer.
const quick = "?claim_after=200ms"

func TestTheContractHoldsOnRedisStreams(t *testing.T) {
	url := redistest.URL(t)
	bustest.Run(t, func(t testing.TB) bustest.Broker {
		address := url + quick + "&prefix=" + uuid.NewString() + "."
		return brokerOf(t, open(t, address))
	})
}

func TestAnAddressSaysHowLongReturnsWaitAndHowMuchPoisonIsKept(t *testing.T) {
	for parameters, want := range map[string]struct {
		wait time.Duration
		keep int64
	}{
		"":                                  {time.Minute, 10_000},
		"?order_timeout=2h&poison_keep=500": {2 * time.Hour, 500},
	} {
		b := open(t, "redis://127.0.0.1:1"+parameters)
		if wait, keep := b.OrderTimeout(), b.PoisonKeep(); wait != want.wait || keep != want.keep {
			t.Errorf("%s: %s, %d", parameters, wait, keep)
		}
	}
	for _, wrong := range []string{"order_timeout=0s", "order_timeout=25h", "order_timeout=60", "poison_keep=0", "poison_keep=many"} {
		if err := redis.ParseAddress("redis://127.0.0.1:1?" + wrong); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
