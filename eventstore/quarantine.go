package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
)

// Quarantined is an operator's decision that an event which can't be decoded counts as if it had never been stored. It is a fact in the log, so
// that all who read the log share it: projections, comparisons, rebuilds, replays, exports and commands.
type Quarantined struct {
	Position domain.Position `json:"position"`
	EventID  uuid.UUID       `json:"eventId"`
	// Type is the name under which the event is stored.
	Type string `json:"type"`
	// Reason and Actor are why and by whom it was decided, At when.
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"`
	At     time.Time `json:"at"`
}

// Quarantines reports whether an event is quarantined.
func (l Log) Quarantines(event uuid.UUID) bool {
	return len(l.Quarantined) > 0 && slices.ContainsFunc(l.Quarantined, func(q Quarantined) bool { return q.EventID == event })
}

// Quarantine decides that the event at a position counts as if it had never been stored, and returns the decision; one that was made before
// stands. The event must be of this program and undecodable. Without an event there it is domain.ErrNotFound, for one of another
// application or one that can be decoded domain.ErrInvalid, and for one that a newer version of the program wrote domain.ErrNewerEvent.
func (s *Store) Quarantine(ctx context.Context, at domain.Position, reason, actor string, now time.Time) (Quarantined, error) {
	_, badActor := domain.ParseActor("actor", actor)
	if err := domain.JoinInvalid(domain.CheckReason("reason", reason), badActor); err != nil {
		return Quarantined{}, err
	}
	event, err := s.eventAt(ctx, at)
	if err != nil {
		return Quarantined{}, err
	}
	if event == nil {
		return Quarantined{}, fmt.Errorf("an event at position %s: %w", at, domain.ErrNotFound)
	}
	if !s.registry.allFamilies().has(event.EventType) {
		return Quarantined{}, domain.Invalid("position", "event_of_others", fmt.Sprintf("the event at position %s, a %s, is not of this program, which never reads it", at, event.EventType))
	}
	switch _, err := s.registry.decode(event); {
	case err == nil:
		return Quarantined{}, domain.Invalid("position", "event_decodable", fmt.Sprintf("the event at position %s can be decoded: it is a fact", at))
	case errors.Is(err, domain.ErrNewerEvent):
		return Quarantined{}, err
	}
	decision := Quarantined{Position: at, EventID: event.EventID, Type: event.EventType, Reason: reason, Actor: actor, At: now.UTC().Truncate(time.Microsecond)}
	data, err := json.Marshal(decision)
	if err != nil {
		return Quarantined{}, err
	}
	err = s.RetryWrongRevision(ctx, func() error {
		log, err := s.BeginLog(ctx)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(log.Quarantined, func(q Quarantined) bool { return q.EventID == event.EventID }); i >= 0 {
			decision = log.Quarantined[i]
			return nil
		}
		return s.AppendJSON(ctx, logStream, log.revision, uuid.NewSHA1(event.EventID, []byte(typeEventQuarantined)), typeEventQuarantined, data)
	})
	return decision, err
}

// isQuarantined asks the log whether an event that could not be decoded is quarantined.
func (s *Store) isQuarantined(ctx context.Context, event uuid.UUID, undecodable error) (bool, error) {
	if !errors.Is(undecodable, domain.ErrUndecodable) || errors.Is(undecodable, domain.ErrNewerEvent) {
		return false, undecodable
	}
	log, err := s.Log(ctx)
	if err != nil {
		return false, errors.Join(undecodable, err)
	}
	if !log.Quarantines(event) {
		return false, undecodable
	}
	return true, nil
}
