package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/domain"
)

// The metadata that a message in the poison topic has beside the command's own. Its payload and id are those of the command.
const (
	metadataPoisonCode   = "poison_code"
	metadataPoisonDetail = "poison_detail"
	metadataPoisonedAt   = "poisoned_at"
	// metadataWaitingSince is when a return was first requeued because its order did not exist.
	metadataWaitingSince = "waiting_since"
)

// Poisoned is a command in the poison topic.
type Poisoned struct {
	// CommandID and Command come from the sender unchecked: they must be escaped before they are printed.
	CommandID, Command string
	// Code and Detail are those of its Problem.
	Code, Detail string
	// At is when it was poisoned, in UTC; zero if the message does not say.
	At time.Time
}

// poisonedMessage is the message of a command for the poison topic.
func poisonedMessage(m *message.Message, p Problem, now time.Time) *message.Message {
	poisoned := m.Copy()
	poisoned.Metadata.Set(metadataPoisonCode, p.Code)
	poisoned.Metadata.Set(metadataPoisonDetail, p.Detail)
	poisoned.Metadata.Set(metadataPoisonedAt, now.UTC().Format(time.RFC3339Nano))
	return poisoned
}

// poison moves a command to the poison topic with its problem, and publishes the result.
func (in *Intake) poison(ctx context.Context, m *message.Message, about Result, why error) error {
	p := problemOf(why)
	if err := in.publish(ctx, in.Topics.Poison, poisonedMessage(m, p, in.Now())); err != nil {
		return err
	}
	about.Status, about.Problem = Failed, &p
	if errors.Is(why, domain.ErrConflict) {
		about.Status = Conflict
	}
	log := []any{"id", fmt.Sprintf("%.128q", m.UUID), "command", knownName(m.Metadata.Get(MetadataName)), "code", p.Code}
	if !permanent(why) {
		log = append(log, "error", why)
	}
	in.Logger.Warn("a command is poisoned", log...)
	return in.answer(ctx, m, about)
}

// ReadPoisoned reads a message of the poison topic.
func ReadPoisoned(m *message.Message) Poisoned {
	p := Poisoned{
		CommandID: m.UUID, Command: m.Metadata.Get(MetadataName),
		Code: m.Metadata.Get(metadataPoisonCode), Detail: m.Metadata.Get(metadataPoisonDetail),
	}
	if at, err := time.Parse(time.RFC3339Nano, m.Metadata.Get(metadataPoisonedAt)); err == nil {
		p.At = at
	}
	return p
}

// OriginalCommand is the command as it was sent, to be tried once more.
func OriginalCommand(m *message.Message) *message.Message {
	original := m.Copy()
	maps.DeleteFunc(original.Metadata, func(key, _ string) bool {
		switch key {
		case metadataPoisonCode, metadataPoisonDetail, metadataPoisonedAt, metadataWaitingSince:
			return true
		}
		return false
	})
	return original
}

// DroppedResult is the result of a poisoned command that an operator drops, for a reason.
func DroppedResult(m *message.Message, reason string) (*message.Message, error) {
	p := ReadPoisoned(m)
	return Result{
		CommandID: p.CommandID, Command: p.Command, CorrelationID: correlationOf(m), Status: Dropped, Reason: reason,
		Problem: &Problem{Code: p.Code, Detail: p.Detail},
	}.message()
}
