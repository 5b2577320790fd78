package consumer_test

import (
	"errors"
	"testing"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/consumer"
	"loyalty/eventstore/storetest"
)

func TestACheckpointIsWhatWasSavedLast(t *testing.T) {
	store := storetest.Open(t)
	at, err := consumer.Load(t.Context(), store, "mail")
	if err != nil || at.Kept() || at.Position != (domain.Position{}) {
		t.Fatalf("before the first: %+v, %v", at, err)
	}
	for i := range uint64(3) {
		if at, err = consumer.Save(t.Context(), store, "mail", at, domain.CheckpointAt(domain.Position{Commit: 10 + i, Prepare: 9 + i})); err != nil {
			t.Fatal(err)
		}
	}
	again, err := consumer.Load(t.Context(), store, "mail")
	if err != nil || again != at || !again.Kept() || again.Position != (domain.Position{Commit: 12, Prepare: 11}) {
		t.Errorf("got %+v, %v, want %+v", again, err, at)
	}
	if other, err := consumer.Load(t.Context(), store, "crm"); err != nil || other.Kept() {
		t.Errorf("another consumer's: %+v, %v", other, err)
	}
}

func TestOfTwoConcurrentMovesOfACheckpointOneFails(t *testing.T) {
	store := storetest.Open(t)
	mine, err := consumer.Load(t.Context(), store, "mail")
	if err != nil {
		t.Fatal(err)
	}
	theirs := mine
	if mine, err = consumer.Save(t.Context(), store, "mail", mine, domain.CheckpointAt(domain.Position{Commit: 5, Prepare: 5})); err != nil {
		t.Fatal(err)
	}
	if _, err := consumer.Save(t.Context(), store, "mail", theirs, domain.CheckpointAt(domain.Position{Commit: 4, Prepare: 4})); !errors.Is(err, domain.ErrCheckpointMoved) {
		t.Errorf("got %v", err)
	}
	if at, err := consumer.Load(t.Context(), store, "mail"); err != nil || at != mine {
		t.Errorf("it stands at %+v, %v", at, err)
	}
}

func TestACheckpointDoesNotDisturbSubscriptionsToEvents(t *testing.T) {
	store := storetest.Open(t)
	storetest.Add(t, store, "account-c-1", storetest.Adjusted("c-1", 1))
	at, err := consumer.Load(t.Context(), store, "mail")
	if err == nil {
		_, err = consumer.Save(t.Context(), store, "mail", at, domain.CheckpointAt(domain.Position{Commit: 1, Prepare: 1}))
	}
	if err != nil {
		t.Fatal(err)
	}
	last := storetest.Add(t, store, "account-c-2", storetest.Adjusted("c-2", 2))
	var points []domain.Points
	_, err = store.Between(t.Context(), domain.Checkpoint{}, last, []string{account.TypePointsAdjusted}, func(r eventstore.Recorded) error {
		points = append(points, r.Event.(account.PointsAdjusted).Points)
		return nil
	})
	if err != nil || len(points) != 2 {
		t.Errorf("got %v, %v", points, err)
	}
	if n, err := store.CountAfter(t.Context(), domain.Checkpoint{}, []string{account.TypePointsAdjusted}, 10); err != nil || n != 2 {
		t.Errorf("counted %d, %v", n, err)
	}
}
