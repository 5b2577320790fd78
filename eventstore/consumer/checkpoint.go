// Package consumer keeps how far consumers have processed the log in the event store itself, for those without a store of their own.
package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Checkpoint is how far a consumer has processed the log. Load returns one that Save can move; the zero Checkpoint can't be moved.
type Checkpoint struct {
	domain.Checkpoint
	// revision is that of the consumer's stream.
	revision int64
}

// Kept tells whether the consumer has saved a checkpoint before.
func (c Checkpoint) Kept() bool { return c.revision != eventstore.NoStream }

// typeCheckpoint is the type of the events in a consumer's stream. They are not domain events: the registry does not know the type.
const typeCheckpoint = "checkpoint-moved.v1"

type checkpointMoved struct {
	Position domain.Position `json:"position"`
	Origin   string          `json:"origin,omitempty"` // of domain.Checkpoint
}

func checkpointStream(consumer string) string { return "checkpoint-" + consumer }

// Load returns the last checkpoint that a consumer saved, or one at the zero position if it never did. It reads one event.
// Errors are domain.ErrUnavailable and domain.ErrUndecodable.
func Load(ctx context.Context, s *eventstore.Store, consumer string) (Checkpoint, error) {
	at := Checkpoint{revision: eventstore.NoStream}
	event, err := s.Newest(ctx, checkpointStream(consumer))
	if err != nil {
		return at, fmt.Errorf("checkpoint of %s: %w", consumer, err)
	}
	if event == nil {
		return at, nil
	}
	var moved checkpointMoved
	if err := json.Unmarshal([]byte(event.Data), &moved); err != nil || event.Type != typeCheckpoint {
		return at, fmt.Errorf("%w: %s in the stream of a checkpoint: %w", domain.ErrUndecodable, event.Type, err)
	}
	at.revision = int64(event.Revision)
	if at.Checkpoint, err = domain.ParseCheckpoint(moved.Position, moved.Origin); err != nil {
		err = fmt.Errorf("%w: %w", domain.ErrUndecodable, err)
	}
	return at, err
}

// Save moves a consumer's checkpoint by compare-and-set from one that Load or Save returned. If another
// process has moved it since, the error is domain.ErrCheckpointMoved. Each call adds an event to the log, so a busy consumer
// does not save after every event. After domain.ErrUnavailable the checkpoint may have moved.
func Save(ctx context.Context, s *eventstore.Store, consumer string, from Checkpoint, to domain.Checkpoint) (Checkpoint, error) {
	data, err := json.Marshal(checkpointMoved{Position: to.Position, Origin: to.Origin()})
	if err != nil {
		return from, fmt.Errorf("encode the checkpoint of %s: %w", consumer, err)
	}
	stream := checkpointStream(consumer)
	id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s@%d:%s%s", stream, from.revision, to, to.Origin()))
	err = s.AppendJSON(ctx, stream, from.revision, id, typeCheckpoint, data)
	if errors.Is(err, domain.ErrWrongRevision) {
		err = fmt.Errorf("%w: %w", domain.ErrCheckpointMoved, err)
	}
	if err != nil {
		return from, fmt.Errorf("checkpoint of %s: %w", consumer, err)
	}
	return Checkpoint{Checkpoint: to, revision: from.revision + 1}, nil
}
