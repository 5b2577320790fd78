package redis

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// consumers knows which consumers of the group are alive. Each has a heartbeat, a key that expires; commands of one without a key
// may be claimed by others. The idle time of a command would not be enough: one that waits for a store would be claimed by one consumer
// after the other, and in the end be under way in all of them.
type consumers struct {
	client redis.UniversalClient
	prefix string
	own    string
	// ttl is how long a heartbeat counts.
	ttl time.Duration

	mu    sync.Mutex
	known map[string]liveness
}

// liveness is whether a consumer was alive at a time.
type liveness struct {
	alive bool
	at    time.Time
}

func newConsumers(client redis.UniversalClient, prefix string, ttl time.Duration) *consumers {
	return &consumers{client: client, prefix: prefix + "consumer.", own: uuid.NewString(), ttl: ttl, known: make(map[string]liveness)}
}

// heartbeat tells the others that this consumer is alive.
func (c *consumers) heartbeat(ctx context.Context) error {
	return c.client.Set(ctx, c.prefix+c.own, "", c.ttl).Err()
}

// mayClaim reports whether a command may be claimed from the consumer that holds it. It may not while Redis doesn't answer.
func (c *consumers) mayClaim(p redis.XPendingExt) bool {
	if p.Consumer == c.own {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if known, ok := c.known[p.Consumer]; ok && now.Sub(known.at) < c.ttl/6 {
		return !known.alive
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.ttl)
	defer cancel()
	n, err := c.client.Exists(ctx, c.prefix+p.Consumer).Result()
	for name, old := range c.known {
		if now.Sub(old.at) > c.ttl {
			delete(c.known, name)
		}
	}
	c.known[p.Consumer] = liveness{alive: n > 0 || err != nil, at: now}
	return n == 0 && err == nil
}

// Keep sends the heartbeat of this consumer and trims the commands stream, until ctx ends: it deletes what every consumer group has
// acknowledged, which Redis would keep. So the stream is as long as the queue, and no command is ever dropped for its length. It
// must run while commands are taken.
func (b *Broker) Keep(ctx context.Context, log *slog.Logger) {
	heartbeat, trim := time.NewTicker(b.claimAfter/3), time.NewTicker(trimEvery)
	defer heartbeat.Stop()
	defer trim.Stop()
	for {
		if err := b.consumers.heartbeat(ctx); err != nil && ctx.Err() == nil {
			log.Debug("the heartbeat of this consumer is not sent", "error", err)
		}
		select {
		case <-heartbeat.C:
		case <-trim.C:
			if _, err := b.trim(ctx); err != nil && ctx.Err() == nil {
				log.Debug("the commands stream is not trimmed", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
