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

// Checkpoint is how far a read model has followed which log, which fold wrote it, and whose names are in it. Checkpoints are compared with ==.
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
	// Names is the fingerprint of the secret that the names in the read model were made with, see Proxies. It is empty where an earlier
	// version of the program stored the checkpoint, and in what has no names.
	Names string
}

// CheckNames returns ErrOtherNames if the names in the read model were made with another secret than that of the fingerprint. Where either
// is not known, it is nil.
func (c Checkpoint) CheckNames(fingerprint string) error {
	if c.Names == "" || fingerprint == "" || c.Names == fingerprint {
		return nil
	}
	return ErrOtherNames
}

// CheckpointAt is a checkpoint that knows nothing but its position.
func CheckpointAt(p Position) Checkpoint { return Checkpoint{Position: p} }

// origin is the form of Origin.
type origin struct {
	Log   string    `json:"log,omitempty"`
	Last  *EventRef `json:"last,omitempty"`
	Fold  int       `json:"fold,omitempty"`
	Names string    `json:"names,omitempty"`
}

// Origin is the text in which a read model stores all of a checkpoint but its position: one line of JSON, empty if the checkpoint knows nothing but
// its position. Equal checkpoints have equal origins.
func (c Checkpoint) Origin() string {
	if c == CheckpointAt(c.Position) {
		return ""
	}
	stored := origin{Log: c.Log, Fold: c.Fold, Names: c.Names}
	if c.Last != (EventRef{}) {
		stored.Last = &c.Last
	}
	text, err := json.Marshal(stored)
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	return string(text)
}

// ParseCheckpoint makes a checkpoint of a position and what Origin has written.
func ParseCheckpoint(at Position, text string) (Checkpoint, error) {
	var stored origin
	if text == "" {
		return CheckpointAt(at), nil
	}
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return CheckpointAt(at), fmt.Errorf("the origin of a checkpoint: %w", err)
	}
	c := Checkpoint{Position: at, Log: stored.Log, Fold: stored.Fold, Names: stored.Names}
	if stored.Last != nil {
		c.Last = *stored.Last
	}
	return c, nil
}

// String is for messages: the position.
func (c Checkpoint) String() string { return c.Position.String() }
