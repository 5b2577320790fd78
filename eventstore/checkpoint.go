package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/domain"
)

// Checkpoint is how far a consumer has followed the log, kept in the event store itself: for a consumer that has no
// store of its own. The zero Checkpoint is nobody's; LoadCheckpoint gives one that can be moved.
type Checkpoint struct {
	// Position is what the consumer has dealt with.
	Position domain.Position
	// revision is where the consumer's stream stands.
	revision int64
}

// Kept tells whether the consumer has ever saved a checkpoint.
func (c Checkpoint) Kept() bool { return c.revision != NoStream }

// typeCheckpoint is stored under a consumer's stream. It is no domain event: no projection asks for it, and the registry
// does not know it.
const typeCheckpoint = "checkpoint-moved.v1"

type checkpointMoved struct {
	Position domain.Position `json:"position"`
}

func checkpointStream(consumer string) string { return "checkpoint-" + consumer }

// LoadCheckpoint reads the last checkpoint that a consumer saved, reading one event. One that never did gets the zero
// position. Errors are domain.ErrUnavailable and domain.ErrUndecodable.
func (s *Store) LoadCheckpoint(ctx context.Context, consumer string) (Checkpoint, error) {
	var at Checkpoint
	err := s.reads.do(ctx, "read the checkpoint of "+consumer, func(ctx context.Context, client *esdb.Client) error {
		at = Checkpoint{revision: NoStream}
		o := esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}
		read, err := client.ReadStream(ctx, checkpointStream(consumer), o, 1)
		if err != nil {
			return err
		}
		defer read.Close()
		resolved, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		event := resolved.OriginalEvent()
		var moved checkpointMoved
		if err := json.Unmarshal(event.Data, &moved); err != nil || event.EventType != typeCheckpoint {
			return fmt.Errorf("%w: %s in the stream of a checkpoint: %w", domain.ErrUndecodable, event.EventType, err)
		}
		at = Checkpoint{Position: moved.Position, revision: int64(event.EventNumber)}
		return nil
	})
	if errors.Is(err, domain.ErrNotFound) {
		return Checkpoint{revision: NoStream}, nil
	}
	return at, err
}

// SaveCheckpoint moves a consumer's checkpoint from one that LoadCheckpoint or SaveCheckpoint gave, by compare-and-set:
// domain.ErrCheckpointMoved says that somebody else has moved it since. Each call adds an event to the log, so a busy
// consumer saves now and then. After domain.ErrUnavailable it may have moved.
func (s *Store) SaveCheckpoint(ctx context.Context, consumer string, from Checkpoint, to domain.Position) (Checkpoint, error) {
	data, err := json.Marshal(checkpointMoved{Position: to})
	if err != nil {
		return from, fmt.Errorf("encode the checkpoint of %s: %w", consumer, err)
	}
	stream := checkpointStream(consumer)
	_, err = s.append(ctx, stream, from.revision, []esdb.EventData{{
		EventID:   uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s@%d:%s", stream, from.revision, to)),
		EventType: typeCheckpoint, ContentType: esdb.ContentTypeJson, Data: data,
	}})
	if errors.Is(err, domain.ErrWrongRevision) {
		return from, fmt.Errorf("checkpoint of %s: %w: %w", consumer, domain.ErrCheckpointMoved, err)
	}
	if err != nil {
		return from, fmt.Errorf("checkpoint of %s: %w", consumer, err)
	}
	return Checkpoint{Position: to, revision: from.revision + 1}, nil
}
