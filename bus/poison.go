package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/domain"
	"loyalty/internal/strictjson"
)

// The metadata that a message in the poison topic has beside the command's own. Its payload and id are those of the command.
const (
	metadataPoisonCode   = "poison_code"
	metadataPoisonDetail = "poison_detail"
	metadataPoisonedAt   = "poisoned_at"
	// metadataPoisonSize is how many bytes a command had that is too large to be kept.
	metadataPoisonSize = "poison_size"
	// metadataWaitingSince is when a return was first requeued because its order did not exist.
	metadataWaitingSince = "waiting_since"
	// metadataFailingSince is when a command was first requeued because of an error that nobody knew.
	metadataFailingSince = "failing_since"
)

// maxMetadata bounds the names and values of a command's metadata with its id, in bytes. Its payload has the bound of a body over HTTP.
const maxMetadata = 4 << 10

// checkSize returns domain.ErrInvalid for a message that is too large. Nothing of such a message is read.
func checkSize(m *message.Message) error {
	if len(m.Payload) > strictjson.MaxBytes {
		return payloadError(strictjson.ErrTooLarge)
	}
	if metadataSize(m) > maxMetadata {
		return domain.Invalid("metadata", "metadata_too_large", fmt.Sprintf("the metadata of a command has at most %d bytes, with the names and the id", maxMetadata))
	}
	return nil
}

func metadataSize(m *message.Message) int {
	size := len(m.UUID)
	for name, value := range m.Metadata {
		if !ours(name) {
			size += len(name) + len(value)
		}
	}
	return size
}

// ours reports whether it is we who write this metadata.
func ours(name string) bool {
	switch name {
	case metadataPoisonCode, metadataPoisonDetail, metadataPoisonedAt, metadataPoisonSize, metadataWaitingSince, metadataFailingSince:
		return true
	}
	return false
}

// Poisoned is a command in the poison topic.
type Poisoned struct {
	// CommandID and Command come from the sender unchecked: they must be escaped before they are printed.
	CommandID, Command string
	// Code and Detail are those of its Problem.
	Code, Detail string
	// At is when it was poisoned, in UTC; zero if the message does not say.
	At time.Time
	// Discarded is true if the content of the command is not kept, because it is too large: it can't be retried.
	Discarded bool
}

// poisonedMessage is the message of a command for the poison topic. Of one that is too large it has the beginning of the id, a name that is known,
// and the size.
func poisonedMessage(m *message.Message, p Problem, now time.Time) *message.Message {
	poisoned := m.Copy()
	if checkSize(m) != nil {
		poisoned = message.NewMessage(m.UUID[:min(len(m.UUID), maxIDLength)], nil)
		poisoned.Metadata.Set(MetadataName, knownName(m.Metadata.Get(MetadataName)))
		poisoned.Metadata.Set(metadataPoisonSize, strconv.Itoa(len(m.Payload)+metadataSize(m)))
	}
	poisoned.Metadata.Set(metadataPoisonCode, p.Code)
	poisoned.Metadata.Set(metadataPoisonDetail, p.Detail)
	poisoned.Metadata.Set(metadataPoisonedAt, now.UTC().Format(time.RFC3339Nano))
	return poisoned
}

// poison moves a command to the poison topic with its problem, and publishes the result. Where the topic is full, there is the result alone.
func (in *Intake) poison(ctx context.Context, m *message.Message, about Result, why error) error {
	p := problemOf(why)
	room, err := in.roomForPoison(ctx)
	if err == nil && room {
		err = in.publish(ctx, in.Topics.Poison, poisonedMessage(m, p, in.Now()))
	}
	if err != nil {
		return err
	}
	about.Status, about.Problem, about.Discarded = Failed, &p, !room || checkSize(m) != nil
	if errors.Is(why, domain.ErrConflict) {
		about.Status = Conflict
	}
	log := []any{"id", fmt.Sprintf("%.128q", m.UUID), "command", knownName(m.Metadata.Get(MetadataName)), "code", p.Code, "discarded", about.Discarded}
	if errors.Is(why, errPanic) {
		log = append(log, "error", why)
	}
	in.Logger.Warn("a command is poisoned", log...)
	return in.answer(ctx, m, about)
}

// roomForPoison reports whether the poison topic is below its limit. It waits for a broker that is away.
func (in *Intake) roomForPoison(ctx context.Context) (room bool, err error) {
	if in.PoisonDepth == nil {
		return true, nil
	}
	err = retry(ctx, in.log, "count the poison topic", func(ctx context.Context) error {
		depth, err := in.PoisonDepth(ctx)
		room = depth < in.PoisonLimit
		return err
	}, never)
	return room, err
}

// ReadPoisoned reads a message of the poison topic.
func ReadPoisoned(m *message.Message) Poisoned {
	p := Poisoned{
		CommandID: m.UUID, Command: m.Metadata.Get(MetadataName),
		Code: m.Metadata.Get(metadataPoisonCode), Detail: m.Metadata.Get(metadataPoisonDetail),
		Discarded: m.Metadata.Get(metadataPoisonSize) != "",
	}
	if at, err := time.Parse(time.RFC3339Nano, m.Metadata.Get(metadataPoisonedAt)); err == nil {
		p.At = at
	}
	return p
}

// OriginalCommand is the command as it was sent, to be tried once more.
func OriginalCommand(m *message.Message) *message.Message {
	original := m.Copy()
	maps.DeleteFunc(original.Metadata, func(name, _ string) bool { return ours(name) })
	return original
}

// DroppedResult is the result of a poisoned command that an operator drops, for a reason.
func DroppedResult(m *message.Message, reason string) (*message.Message, error) {
	p := ReadPoisoned(m)
	return Result{
		CommandID: p.CommandID, Command: p.Command, CorrelationID: correlationOf(m), Status: Dropped, Reason: reason,
		Problem: &Problem{Code: p.Code, Detail: p.Detail}, Discarded: p.Discarded,
	}.message()
}
