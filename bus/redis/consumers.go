package redis

import (
	"context"
	"fmt"
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
	// held are the commands that have arrived here.
	held *held
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
	return &consumers{client: client, prefix: prefix + "consumer.", own: uuid.NewString(), held: &held{ids: make(map[string]bool)}, ttl: ttl, known: make(map[string]liveness)}
}

// heartbeat tells the others that this consumer is alive.
func (c *consumers) heartbeat(ctx context.Context) error {
	return c.client.Set(ctx, c.prefix+c.own, "", c.ttl).Err()
}

// mayClaim reports whether a command may be claimed from the consumer that holds it. It may not while Redis doesn't answer. This consumer claims
// from itself what has not arrived: the answer that brought it was lost, and nobody else would ever carry it out.
func (c *consumers) mayClaim(p redis.XPendingExt) bool {
	if p.Consumer == c.own {
		return !c.held.has(p.ID)
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

// held are the ids of the commands that have arrived in this process and are not acknowledged yet. It sees them as a hook of the client that
// reads, because Watermill's messages don't have them.
type held struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (h *held) has(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ids[id]
}

func (h *held) set(is bool, ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if is {
			h.ids[id] = true
		} else {
			delete(h.ids, id)
		}
	}
}

// DialHook changes nothing.
func (*held) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook changes nothing: nothing is read in pipelines.
func (*held) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook notes what XREADGROUP and XCLAIM have brought, and what XACK has ended.
func (h *held) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := next(ctx, command)
		if err != nil {
			return err
		}
		switch c := command.(type) {
		case *redis.XStreamSliceCmd:
			for _, stream := range c.Val() {
				h.note(stream.Messages)
			}
		case *redis.XMessageSliceCmd:
			h.note(c.Val())
		case *redis.IntCmd:
			const firstID = 3 // after XACK, the stream and the group
			if args := c.Args(); c.Name() == "xack" {
				for _, id := range args[min(firstID, len(args)):] {
					h.set(false, fmt.Sprint(id))
				}
			}
		}
		return nil
	}
}

func (h *held) note(messages []redis.XMessage) {
	for _, m := range messages {
		h.set(true, m.ID)
	}
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
