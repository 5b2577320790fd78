package bus

import (
	"maps"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// What a message in the poison topic has in its metadata beside the command's own. Its payload and id are the command's,
// untouched.
const (
	metadataPoisonCode   = "poison_code"
	metadataPoisonDetail = "poison_detail"
	metadataPoisonedAt   = "poisoned_at"
	// metadataWaitingSince is when a return was first put back because its order was not there.
	metadataWaitingSince = "waiting_since"
)

// Poisoned is a command that was put aside.
type Poisoned struct {
	// CommandID and Command are what the command's message said it is; whoever prints them must not trust them.
	CommandID, Command string
	// Code and Detail are those of its Problem.
	Code, Detail string
	// At is when it was put aside, UTC; zero if the message does not say.
	At time.Time
}

// poison makes the message that puts a command aside.
func poison(m *message.Message, p Problem, now time.Time) *message.Message {
	aside := m.Copy()
	aside.Metadata.Set(metadataPoisonCode, p.Code)
	aside.Metadata.Set(metadataPoisonDetail, p.Detail)
	aside.Metadata.Set(metadataPoisonedAt, now.UTC().Format(time.RFC3339Nano))
	return aside
}

// ReadPoisoned says what a message in the poison topic is.
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

// Cured is the command as it came in, to be tried once more.
func Cured(m *message.Message) *message.Message {
	again := m.Copy()
	maps.DeleteFunc(again.Metadata, func(key, _ string) bool {
		switch key {
		case metadataPoisonCode, metadataPoisonDetail, metadataPoisonedAt, metadataWaitingSince:
			return true
		}
		return false
	})
	return again
}

// DroppedResult tells the channel that a poisoned command was thrown away, and why.
func DroppedResult(m *message.Message, reason string) (*message.Message, error) {
	p := ReadPoisoned(m)
	return Result{
		CommandID: p.CommandID, Command: p.Command, CorrelationID: correlationOf(m), Status: Dropped, Reason: reason,
		Problem: &Problem{Code: p.Code, Detail: p.Detail},
	}.message()
}
