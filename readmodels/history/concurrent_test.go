package history_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
)

// TestReadersGoOnWhileItGrows has readers ask beside a writer: every answer adds up, and one about a position that was applied is the
// same whenever it is asked.
func TestReadersGoOnWhileItGrows(t *testing.T) {
	const readers, batches, crowd = 4, 150, 40
	h := open(t, t.TempDir(), history.Options{SnapshotEvery: 64})
	defer shut(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var reading sync.WaitGroup
	answers := make([]int, readers)
	for reader := range readers {
		reading.Go(func() {
			random := rand.New(rand.NewPCG(uint64(reader), 1))
			known := map[domain.Position]leaderboard.Dashboard{}
			for ctx.Err() == nil {
				end, err := h.Checkpoint(ctx)
				if err != nil || end.Position.Commit == 0 {
					continue
				}
				at := position(1 + random.Uint64N(end.Position.Commit))
				if random.IntN(2) == 0 {
					at = position(min(uint64(1+random.IntN(100)), end.Position.Commit))
				}
				var d leaderboard.Dashboard
				err = h.AsOf(ctx, "asOf", history.Moment{Position: at}, keyAmong(3), 1, 0, &d)
				if err == nil && d.Position != at {
					t.Errorf("asked as of %s, it answers as of %s", at, d.Position)
				}
				if before, ok := known[at]; err == nil && ok && (before.You != d.You || before.Customers != d.Customers || before.Top[0] != d.Top[0]) {
					t.Errorf("as of %s it was %+v and is %+v", at, before, d)
				}
				known[at] = d
				c, changesErr := h.Changes(ctx, "since", history.Moment{Position: at}, keyAmong(3))
				if c.Then.Ranked && c.Now.Ranked && c.Now.Rank != c.Then.Rank+c.Overtaken-c.Overtook-c.Left {
					t.Errorf("since %s: it doesn't add up: %+v", at, c)
				}
				if err := errors.Join(err, changesErr); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				answers[reader]++
			}
		})
	}
	s := newShop(10)
	for range batches {
		b := s.next()
		for i := range b.Changes {
			b.Changes[i].Key = keyAmong(s.random.Uint64N(crowd))
		}
		if err := h.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	reading.Wait()
	for reader, n := range answers {
		if n == 0 {
			t.Errorf("reader %d had no answer", reader)
		}
	}
}
