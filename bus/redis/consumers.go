package redis

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// consumers tells which consumers of the group live. Each says so in a key that expires; what one holds that does not say so
// any more may be taken from it. Idle time alone would not do: a command that waits for a store would go from one consumer
// to the next, and in the end take up every place there is.
type consumers struct {
	client redis.UniversalClient
	prefix string
	own    string
	// lasting is for how long one that has said so is held to live.
	lasting time.Duration

	mu    sync.Mutex
	known map[string]liveness
}

type liveness struct {
	lives bool
	asked time.Time
}

func newConsumers(client redis.UniversalClient, prefix string, lasting time.Duration) *consumers {
	return &consumers{client: client, prefix: prefix + "consumer.", own: uuid.NewString(), lasting: lasting, known: make(map[string]liveness)}
}

// live says that this consumer lives.
func (c *consumers) live(ctx context.Context) error {
	return c.client.Set(ctx, c.prefix+c.own, "", c.lasting).Err()
}

// mayClaim tells whether a command may be taken from who holds it. While Redis doesn't say, nothing is.
func (c *consumers) mayClaim(p redis.XPendingExt) bool {
	if p.Consumer == c.own {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if known, asked := c.known[p.Consumer]; asked && now.Sub(known.asked) < c.lasting/6 {
		return !known.lives
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.lasting)
	defer cancel()
	n, err := c.client.Exists(ctx, c.prefix+p.Consumer).Result()
	for name, old := range c.known {
		if now.Sub(old.asked) > c.lasting {
			delete(c.known, name)
		}
	}
	c.known[p.Consumer] = liveness{lives: n > 0 || err != nil, asked: now}
	return n == 0 && err == nil
}

// Keep has this consumer keep what it holds, and deletes from the commands stream what every consumer group has
// acknowledged, until ctx ends: Redis would keep it. So the stream is as long as what waits, and never loses a command for
// being long. It runs beside whoever subscribes.
func (b *Broker) Keep(ctx context.Context, log *slog.Logger) {
	living, trimming := time.NewTicker(b.claimAfter/3), time.NewTicker(trimEvery)
	defer living.Stop()
	defer trimming.Stop()
	for {
		if err := b.consumers.live(ctx); err != nil && ctx.Err() == nil {
			log.Debug("Redis is not told that this consumer lives", "error", err)
		}
		select {
		case <-living.C:
		case <-trimming.C:
			if _, err := b.trim(ctx); err != nil && ctx.Err() == nil {
				log.Debug("the commands stream is not trimmed", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
