package domain

import (
	"encoding/json"
	"fmt"
)

// EventRef names one event in the log: its place, and its id in the canonical text of a UUID. The zero EventRef names none.
type EventRef struct {
	Position Position `json:"position"`
	ID       string   `json:"id"`
}

// Checkpoint is how far a read model has followed which log, and which fold wrote it. Checkpoints are compared with ==.
type Checkpoint struct {
	// Position is up to where the log was read: every event of the read model's types at or before it is applied.
	Position Position
	// Log is the id of that log. It is empty in a checkpoint that an earlier version of the program stored as a position alone, and at the
	// beginning of a log.
	Log string
	// Last is the last event applied. A subscription resumes behind it, never behind Position: the event at Position may be another
	// application's, and gone after a scavenge, and then EventStoreDB 23.10 skips the next event. Events of this program are never deleted.
	Last EventRef
	// Fold is the version of the fold that wrote the checkpoint; 0 in one that an earlier version of the program stored.
	Fold int
}

// CheckpointAt is a checkpoint that knows nothing but its position.
func CheckpointAt(p Position) Checkpoint { return Checkpoint{Position: p} }

// storedCheckpoint is the form in which String writes a Checkpoint.
type storedCheckpoint struct {
	Position Position  `json:"position"`
	Log      string    `json:"log,omitempty"`
	Last     *EventRef `json:"last,omitempty"`
	Fold     int       `json:"fold,omitempty"`
}

// String is the text in which read models store a checkpoint: one line of JSON. Equal checkpoints have equal texts.
func (c Checkpoint) String() string {
	stored := storedCheckpoint{Position: c.Position, Log: c.Log, Fold: c.Fold}
	if c.Last != (EventRef{}) {
		stored.Last = &c.Last
	}
	text, err := json.Marshal(stored)
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	return string(text)
}

// ParseCheckpoint reads what String wrote.
func ParseCheckpoint(text string) (Checkpoint, error) {
	var stored storedCheckpoint
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return Checkpoint{}, fmt.Errorf("a stored checkpoint: %w", err)
	}
	c := Checkpoint{Position: stored.Position, Log: stored.Log, Fold: stored.Fold}
	if stored.Last != nil {
		c.Last = *stored.Last
	}
	return c, nil
}
