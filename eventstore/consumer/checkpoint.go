package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"loyalty/domain"
)

// ConsumerCheckpoint is how far a consumer has processed the log. It is stored in the event store itself, for consumers without a store of their
// own. LoadCheckpoint returns one that SaveCheckpoint can move; the zero ConsumerCheckpoint can't be moved.
type ConsumerCheckpoint struct {
	domain.Checkpoint
	// revision is that of the consumer's stream.
	revision int64
}

// Kept tells whether the consumer has saved a checkpoint before.
func (c ConsumerCheckpoint) Kept() bool { return c.revision != NoStream }

// typeCheckpoint is the type of the events in a consumer's stream. They are not domain events: the registry does not know the type.
const typeCheckpoint = "checkpoint-moved.v1"

type checkpointMoved struct {
	Position domain.Position `json:"position"`
	Origin   string          `json:"origin,omitempty"` // of domain.Checkpoint
}

func checkpointStream(consumer string) string { return "checkpoint-" + consumer }

// LoadCheckpoint returns the last checkpoint that a consumer saved, or one at the zero position if it never did. It reads one event.
// Errors are domain.ErrUnavailable and domain.ErrUndecodable.
func (s *Store) LoadCheckpoint(ctx context.Context, consumer string) (ConsumerCheckpoint, error) {
	at := ConsumerCheckpoint{revision: NoStream}
	event, err := s.newest(ctx, "read the checkpoint of "+consumer, checkpointStream(consumer))
	if err != nil || event == nil {
		return at, err
	}
	var moved checkpointMoved
	if err := json.Unmarshal(event.Data, &moved); err != nil || event.EventType != typeCheckpoint {
		return at, fmt.Errorf("%w: %s in the stream of a checkpoint: %w", domain.ErrUndecodable, event.EventType, err)
	}
	at.revision = int64(event.EventNumber)
	if at.Checkpoint, err = domain.ParseCheckpoint(moved.Position, moved.Origin); err != nil {
		err = fmt.Errorf("%w: %w", domain.ErrUndecodable, err)
	}
	return at, err
}

// SaveCheckpoint moves a consumer's checkpoint by compare-and-set from one that LoadCheckpoint or SaveCheckpoint returned. If another
// process has moved it since, the error is domain.ErrCheckpointMoved. Each call adds an event to the log, so a busy consumer
// does not save after every event. After domain.ErrUnavailable the checkpoint may have moved.
func (s *Store) SaveCheckpoint(ctx context.Context, consumer string, from ConsumerCheckpoint, to domain.Checkpoint) (ConsumerCheckpoint, error) {
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
	return ConsumerCheckpoint{Checkpoint: to, revision: from.revision + 1}, nil
}
