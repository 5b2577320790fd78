package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"loyalty/bus"
	"loyalty/domain"
)

// PoisonedEntry is a command in the poison topic.
type PoisonedEntry struct {
	// ID is its id in the topic, which Retry and Drop take.
	ID string
	bus.Poisoned
}

// poisonPage is how many entries are read at a time.
const poisonPage = 500

// Poisoned calls each with the commands in the poison topic, oldest first, until it returns false. It does not go beyond those
// that were there when it began. The error is domain.ErrUnavailable.
func (b *Broker) Poisoned(ctx context.Context, each func(PoisonedEntry) bool) error {
	return b.eachPoisoned(ctx, func(id string, m *message.Message) (bool, error) {
		return each(PoisonedEntry{ID: id, Poisoned: bus.ReadPoisoned(m)}), nil
	})
}

func (b *Broker) eachPoisoned(ctx context.Context, each func(id string, m *message.Message) (more bool, err error)) error {
	last, err := b.client.XRevRangeN(ctx, b.topics.Poison, "+", "-", 1).Result()
	if err != nil || len(last) == 0 {
		return unavailable("read the poison topic", err)
	}
	from := "-"
	for {
		page, err := b.client.XRangeN(ctx, b.topics.Poison, from, last[0].ID, poisonPage).Result()
		if err != nil {
			return unavailable("read the poison topic", err)
		}
		for _, entry := range page {
			m, err := unmarshaller{}.Unmarshal(entry.Values)
			if err != nil {
				return err
			}
			if more, err := each(entry.ID, m); err != nil || !more {
				return err
			}
			from = "(" + entry.ID
		}
		if len(page) < poisonPage {
			return nil
		}
	}
}

// Retry moves commands from the poison topic back to the commands topic. It adds before it deletes, so that a crash between doubles a
// command, which changes nothing, and loses none. An id that is not in the topic is domain.ErrNotFound, and one whose content is not kept
// domain.ErrInvalid; those before it are moved.
func (b *Broker) Retry(ctx context.Context, ids ...string) error {
	return b.each(ctx, ids, b.retry)
}

// RetryAll is Retry of all that are there now, or of those with a code. It returns how many. Those without their content stay.
func (b *Broker) RetryAll(ctx context.Context, code string) (int, error) {
	return b.all(ctx, func(p bus.Poisoned) bool { return hasCode(p, code) && !p.Discarded }, b.retry)
}

func hasCode(p bus.Poisoned, code string) bool { return code == "" || p.Code == code }

func (b *Broker) retry(ctx context.Context, id string, m *message.Message) error {
	if bus.ReadPoisoned(m).Discarded {
		return domain.Invalid("id", "command_discarded", "the content of "+id+" was not kept, because it was too large: its channel has to send it again; drop it")
	}
	return b.move(ctx, id, b.topics.Commands, bus.OriginalCommand(m))
}

// Drop deletes commands from the poison topic and publishes a result with the reason for each. An id that is not in the topic is
// domain.ErrNotFound; those before it are dropped. A reason that is missing or malformed is domain.ErrInvalid.
func (b *Broker) Drop(ctx context.Context, reason string, ids ...string) error {
	if err := checkReason(reason); err != nil {
		return err
	}
	return b.each(ctx, ids, b.dropFor(reason))
}

// DropAll is Drop of all that are there now, or of those with a code. It returns how many.
func (b *Broker) DropAll(ctx context.Context, reason, code string) (int, error) {
	if err := checkReason(reason); err != nil {
		return 0, err
	}
	return b.all(ctx, func(p bus.Poisoned) bool { return hasCode(p, code) }, b.dropFor(reason))
}

func checkReason(reason string) error {
	if reason == "" {
		return domain.Invalid("reason", "reason_missing", "say why, for the channel that sent it")
	}
	return domain.CheckText("reason", "reason", reason, domain.MaxReasonLength)
}

func (b *Broker) dropFor(reason string) func(context.Context, string, *message.Message) error {
	return func(ctx context.Context, id string, m *message.Message) error {
		result, err := bus.DroppedResult(m, reason)
		if err != nil {
			return err
		}
		return b.move(ctx, id, b.topics.Results, result)
	}
}

// move publishes what replaces a poisoned command, then deletes the command.
func (b *Broker) move(ctx context.Context, id, topic string, m *message.Message) error {
	m.SetContext(ctx)
	if err := b.publisher.Publish(topic, m); err != nil {
		return err
	}
	return unavailable("delete from the poison topic", b.client.XDel(ctx, b.topics.Poison, id).Err())
}

func (b *Broker) all(ctx context.Context, chosen func(bus.Poisoned) bool, do func(context.Context, string, *message.Message) error) (n int, err error) {
	err = b.eachPoisoned(ctx, func(id string, m *message.Message) (bool, error) {
		if !chosen(bus.ReadPoisoned(m)) {
			return true, nil
		}
		if err := do(ctx, id, m); err != nil {
			return false, err
		}
		n++
		return true, nil
	})
	return n, err
}

var entryIDForm = regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`)

func (b *Broker) each(ctx context.Context, ids []string, do func(context.Context, string, *message.Message) error) error {
	for _, id := range ids {
		if !entryIDForm.MatchString(id) {
			return domain.Invalid("id", "id_malformed", "an id is two numbers with a - between them, as the list shows")
		}
		found, err := b.client.XRangeN(ctx, b.topics.Poison, id, id, 1).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return unavailable("read the poison topic", err)
		}
		if len(found) == 0 {
			return fmt.Errorf("%s in the poison topic: %w", id, domain.ErrNotFound)
		}
		m, err := unmarshaller{}.Unmarshal(found[0].Values)
		if err == nil {
			err = do(ctx, id, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
