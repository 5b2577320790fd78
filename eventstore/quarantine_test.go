package eventstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// appendRaw appends an event as another program would.
func appendRaw(t *testing.T, target, stream, name, data string) domain.Position {
	t.Helper()
	db, err := esdb.NewClient(&esdb.Configuration{Address: target, DisableTLS: true, MaxDiscoverAttempts: 1, GossipTimeout: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	result, err := db.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{}, esdb.EventData{
		EventID: uuid.New(), EventType: name, ContentType: esdb.ContentTypeJson, Data: []byte(data),
	})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Position{Commit: result.CommitPosition, Prepare: result.PreparePosition}
}

func TestAQuarantinedEventCountsForNobody(t *testing.T) {
	_, target := storetest.Start(t)
	store := storetest.Connect(t, target)
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	broken := appendRaw(t, target, "account-a", account.TypePointsAdjusted, `{"customerId":`)
	types := []string{account.TypePointsAdjusted}
	last := storetest.Add(t, store, "account-b", storetest.Adjusted("b", 2))

	read := func() (points []domain.Points, failed error) {
		_, failed = store.Between(t.Context(), domain.Checkpoint{}, last, types, func(r eventstore.Recorded) error {
			points = append(points, r.Event.(account.PointsAdjusted).Points)
			return nil
		})
		return points, failed
	}
	if points, err := read(); !errors.Is(err, domain.ErrUndecodable) || !slices.Equal(points, []domain.Points{1}) {
		t.Fatalf("before the decision: got %v, %v", points, err)
	}
	if _, _, err := store.Load(t.Context(), "account-a"); !errors.Is(err, domain.ErrUndecodable) {
		t.Fatalf("before the decision: loading answered %v", err)
	}
	now := time.Date(2026, 11, 30, 5, 0, 0, 0, time.UTC)
	decision, err := store.Quarantine(t.Context(), broken, "the till wrote half an event", "s-1", now)
	if err != nil || decision.Position != broken || decision.Type != account.TypePointsAdjusted || !decision.At.Equal(now) {
		t.Fatalf("got %+v, %v", decision, err)
	}
	if again, err := store.Quarantine(t.Context(), broken, "another reason", "s-2", now.Add(time.Hour)); err != nil || again != decision {
		t.Errorf("decided again: got %+v, %v; want %+v", again, err, decision)
	}
	if log, err := store.Log(t.Context()); err != nil || !slices.Equal(log.Quarantined, []eventstore.Quarantined{decision}) {
		t.Errorf("the log has %+v, %v", log, err)
	}
	if points, err := read(); err != nil || !slices.Equal(points, []domain.Points{1, 2}) {
		t.Errorf("got %v, %v", points, err)
	}
	var ahead int
	if err := store.ReadAhead(t.Context(), domain.Checkpoint{}, last, types, func(domain.Position) {}, func(*eventstore.Raw) error { ahead++; return nil }); err != nil || ahead != 2 {
		t.Errorf("read ahead %d events, %v", ahead, err)
	}
	if events, revision, err := store.Load(t.Context(), "account-a"); err != nil || len(events) != 1 || revision != 1 {
		t.Errorf("loaded %d events at revision %d, %v; want 1 at 1", len(events), revision, err)
	}
	if _, r, found, err := store.Extent(t.Context(), func(domain.Position, domain.Position) {}); err != nil || !found || r.Position != last {
		t.Errorf("the last event is %+v, %v", r, err)
	}
	f := storetest.Follow(t, store, domain.Position{})
	storetest.WaitFor(t, "both events", func() bool { return slices.Equal(f.Points(), []domain.Points{1, 2}) })
	if _, err := store.Append(t.Context(), "account-a", 1, uuid.New(), eventstore.Metadata{}, storetest.Adjusted("a", 3)); err != nil {
		t.Errorf("appending behind it: %v", err)
	}
}

func TestOnlyUndecodableEventsOfOursAreQuarantined(t *testing.T) {
	_, target := storetest.Start(t)
	store := storetest.Connect(t, target)
	good := storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	newer := appendRaw(t, target, "account-b", "points-adjusted.v9", "{}")
	others := appendRaw(t, target, "basket-1", "basket-filled", "{}")
	broken := appendRaw(t, target, "account-c", account.TypePointsAdjusted, "{")
	for what, c := range map[string]struct {
		at            domain.Position
		reason, actor string
		want          error
	}{
		"a fact":                     {good, "why", "s-1", domain.ErrInvalid},
		"a newer version's":          {newer, "why", "s-1", domain.ErrNewerEvent},
		"another application's":      {others, "why", "s-1", domain.ErrInvalid},
		"nothing":                    {domain.Position{Commit: 1 << 40, Prepare: 1 << 40}, "why", "s-1", domain.ErrNotFound},
		"without a reason":           {broken, "", "s-1", domain.ErrInvalid},
		"by nobody":                  {broken, "why", "", domain.ErrInvalid},
		"with a reason of two lines": {broken, "why\nnot", "s-1", domain.ErrInvalid},
	} {
		if _, err := store.Quarantine(t.Context(), c.at, c.reason, c.actor, time.Now()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", what, err, c.want)
		}
	}
	if log, err := store.Log(t.Context()); err != nil || len(log.Quarantined) != 0 {
		t.Errorf("the log has %+v, %v", log, err)
	}
	err := store.Follow(t.Context(), domain.Checkpoint{}, []string{account.TypePointsAdjusted}, func(eventstore.Item) error { return nil })
	if !errors.Is(err, domain.ErrNewerEvent) {
		t.Errorf("a subscription that meets a newer version ends with %v", err)
	}
}

func TestTwoLogsHaveTwoIDs(t *testing.T) {
	ids := map[string]bool{}
	for range 2 {
		store := storetest.Open(t)
		for range 2 {
			log, err := store.BeginLog(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			ids[log.ID] = true
		}
	}
	if len(ids) != 2 || ids[""] {
		t.Errorf("got %v", ids)
	}
}
