package eventstore_test

import (
	"slices"
	"testing"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// Given a client that is connected to a follower which is behind its leader
// When it follows the log or reads it up to its end
// Then it says that it has caught up once the node has got there, and not before, and delivers each event once.
func TestANodeBehindItsLeaderIsNotTakenForTheEndOfTheLog(t *testing.T) {
	server := storetest.Imitate(t)
	leader := storetest.Connect(t, server.Leader)
	first := storetest.Add(t, leader, "account-a", storetest.Adjusted("a", 1))
	storetest.Add(t, leader, "account-a", storetest.Adjusted("a", 2))
	last := storetest.Add(t, leader, "account-a", storetest.Adjusted("a", 3))
	storetest.Begin(t, leader)
	server.Lag(first.Commit)
	store := storetest.Connect(t, server.Follower+"&nodePreference=follower")
	types, all := []string{account.TypePointsAdjusted}, []domain.Points{1, 2, 3}

	end, err := store.End(t.Context(), types...)
	if err != nil || end != last {
		t.Fatalf("the end of the log is %s, %v; the leader has %s", end, err, last)
	}
	f := storetest.Follow(t, store, domain.Position{})
	storetest.WaitFor(t, "it is told that the node is behind", func() bool { return f.Has(func(i eventstore.Item) bool { return i.Lost != nil }) })
	if f.Has(func(i eventstore.Item) bool { return i.CaughtUp }) {
		t.Error("it says that it has caught up")
	}
	type result struct {
		points  []domain.Points
		reached domain.Checkpoint
		err     error
	}
	read := make(chan result, 1)
	begun := make(chan struct{}, len(all))
	go func() {
		var r result
		r.reached, r.err = store.Between(t.Context(), domain.Checkpoint{}, end, types, func(e eventstore.Recorded) error {
			r.points = append(r.points, e.Event.(account.PointsAdjusted).Points)
			begun <- struct{}{}
			return nil
		})
		read <- r
	}()
	<-begun
	server.CatchUp()
	if r := <-read; r.err != nil || !slices.Equal(r.points, all) || r.reached.Position != end {
		t.Errorf("read %v up to %s, %v", r.points, r.reached, r.err)
	}
	storetest.WaitFor(t, "caught up", func() bool {
		return f.Has(func(i eventstore.Item) bool { return i.CaughtUp && !i.At.Position.Before(last) })
	})
	if got := f.Points(); !slices.Equal(got, all) {
		t.Errorf("followed %v", got)
	}
}

func TestAClientOfOneNodeGoesOverToTheLeader(t *testing.T) {
	server := storetest.Imitate(t)
	server.Lag(0)
	store := storetest.Connect(t, server.Follower)
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	f := storetest.Follow(t, store, domain.Position{})
	storetest.WaitFor(t, "the event", func() bool { return slices.Equal(f.Points(), []domain.Points{1}) })
}
