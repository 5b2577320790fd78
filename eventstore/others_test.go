package eventstore_test

import (
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// Given a log that is shared: a few events of ours with tens of thousands of others before, between and behind them
// When the log's ends are looked for, its events are counted, or a reader goes on from any place
// Then the answers are right, and the server sends no more than what it sends of a log with 4,096 others.
func TestEventsOfOthersStayAtTheServer(t *testing.T) {
	const others, bound = 12_000, 4096 + 200
	_, target := storetest.Start(t)
	before := storetest.Connect(t, target)
	storetest.Begin(t, before)
	types := []string{account.TypePointsAdjusted}
	storetest.Others(t, target, others)
	first := storetest.Add(t, before, "account-a", storetest.Adjusted("a", 1))
	storetest.Others(t, target, others)
	between, err := before.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := storetest.Add(t, before, "account-b", storetest.Adjusted("b", 2))
	storetest.Others(t, target, others)
	end, err := before.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	front := storetest.InFrontOf(t, target)
	store, err := openAt(t, front.Target, eventstore.Options{Backoff: func(int) time.Duration { return time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	for what, ask := range map[string]func() bool{
		"the extent": func() bool {
			from, to, found, err := store.Extent(bounded(t), func(domain.Position, domain.Position) {})
			return err == nil && found && from.Position == first && to.Position == last
		},
		"the end of an append": func() bool {
			got, err := store.AppendEnd(bounded(t), last)
			return err == nil && got == last
		},
		"the end of an append of others": func() bool {
			got, err := store.AppendEnd(bounded(t), between)
			return err == nil && got == between
		},
		"a count from the beginning": func() bool {
			n, err := store.CountAfter(bounded(t), domain.Checkpoint{}, types, 10)
			return err == nil && n == 2
		},
		"a count from a place of others": func() bool {
			n, err := store.CountAfter(bounded(t), domain.CheckpointAt(between), types, 10)
			return err == nil && n == 1
		},
		"a count at the end": func() bool {
			n, err := store.CountAfter(bounded(t), domain.CheckpointAt(end), types, 10)
			return err == nil && n == 0
		},
		"reading on from a place of others": func() bool {
			var points []domain.Points
			at, err := store.Between(bounded(t), domain.CheckpointAt(between), end, types, func(r eventstore.Recorded) error {
				points = append(points, r.Event.(account.PointsAdjusted).Points)
				return nil
			})
			return err == nil && len(points) == 1 && points[0] == 2 && at.Position == end && at.Last.Position == last
		},
	} {
		t.Run(what, func(t *testing.T) {
			so := front.Passed()
			if !ask() {
				t.Error("the answer is wrong")
			}
			if sent := front.Passed() - so; sent > bound {
				t.Errorf("the server has sent %d messages", sent)
			}
		})
	}
}
