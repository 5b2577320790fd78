package memory

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
)

// The contract's histories are small enough for any store. This one splits and merges nodes all the time.
func TestALargeBoardIsThatOfAPlainSort(t *testing.T) {
	const n, rounds = 4000, 12
	board, model := New(), leaderboardtest.NewModel()
	if err := board.Load(t.Context(), spread(0)); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		batch := leaderboard.Batch{From: domain.CheckpointAt(position(uint64(round + 1))), To: domain.CheckpointAt(position(uint64(round + 2))), AsOf: time.Unix(int64(round), 0)}
		for range n {
			batch.Changes = append(batch.Changes, leaderboard.Change{
				Key:     customer(random.IntN(n)),
				Points:  domain.Points(random.IntN(7) - 2),
				Minute:  int64(round*2 + random.IntN(3)),
				Retires: random.IntN(80) == 0,
			})
		}
		if err := errors.Join(board.Apply(t.Context(), batch), model.Apply(batch.Changes...)); err != nil {
			t.Fatal(err)
		}
		check(t, board.ranking)
		ranking := model.Ranking()
		var d leaderboard.Dashboard
		for rank, s := range ranking {
			top, around := 1+random.IntN(leaderboard.MaxTop), random.IntN(leaderboard.MaxAround+1)
			if err := board.Dashboard(t.Context(), s.Key, top, around, &d); err != nil {
				t.Fatal(err)
			}
			if d.You.Rank != int64(rank)+1 || d.Customers != int64(len(ranking)) {
				t.Fatalf("round %d, %s: got rank %d of %d, want %d of %d", round, s.Key, d.You.Rank, d.Customers, rank+1, len(ranking))
			}
			for _, row := range append(d.Top, d.Around...) {
				if want := ranking[row.Rank-1]; row.Key != want.Key || row.Points != want.Points {
					t.Fatalf("round %d, rank %d: got %+v, want %+v", round, row.Rank, row, want)
				}
			}
			first := max(rank-around, 0)
			if len(d.Top) != top || d.Around[0].Rank != int64(first)+1 || len(d.Around) != min(rank+around+1, len(ranking))-first {
				t.Fatalf("round %d, rank %d, top %d, around %d: got %d rows, and %d from rank %d", round, rank+1, top, around, len(d.Top), len(d.Around), d.Around[0].Rank)
			}
		}
	}
}

func TestADashboardAllocatesNothing(t *testing.T) {
	board := New()
	if err := board.Load(t.Context(), spread(5000)); err != nil {
		t.Fatal(err)
	}
	d, ctx, who := roomy(), t.Context(), 0
	allocations := testing.AllocsPerRun(500, func() {
		if err := board.Dashboard(ctx, customer(who), 10, 2, &d); err != nil || !d.Ranked {
			t.Error(err)
		}
		who += 7
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// The bar is 64 bytes of resident memory for each customer. This counts what the structures use, when thousands of
// updates have left the nodes as full as they stay.
func TestACustomerTakesFewBytes(t *testing.T) {
	const n = 60_000
	board := New()
	if err := board.Load(t.Context(), spread(n)); err != nil {
		t.Fatal(err)
	}
	todo := newUpdates(n)
	for range 2 * n / 500 {
		if err := board.Apply(t.Context(), todo.batch(board.now.Position, 500)); err != nil {
			t.Fatal(err)
		}
	}
	check(t, board.ranking)
	tree, index := &board.ranking.tree, &board.ranking.index
	used := 1024*int(tree.leaves.used) + 2048*int(tree.inners.used) + 4096*int(index.pages.used) + 4*len(index.directory) + 4*len(index.fills)
	if bytes := float64(used) / float64(tree.count); bytes > 60 {
		t.Errorf("%.1f bytes for each customer", bytes)
	}
}

func TestACustomerLoadedTwiceIsRefused(t *testing.T) {
	for name, again := range map[string]leaderboard.Standing{
		"in the same place": {Key: customer(3), Points: 3, Minute: 0},
		"in another place":  {Key: customer(3), Points: 399, Minute: 7},
	} {
		t.Run(name, func(t *testing.T) {
			board := New()
			err := board.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
				for i := range 500 {
					if err := yield(leaderboard.Standing{Key: customer(i), Points: domain.Points(i)}); err != nil {
						return leaderboard.Snapshot{}, err
					}
				}
				return leaderboard.Snapshot{}, yield(again)
			})
			if !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("got error %v, want %v", err, domain.ErrInvalid)
			}
			if _, err := board.Checkpoint(t.Context()); !errors.Is(err, domain.ErrNotCaughtUp) {
				t.Errorf("after it, got error %v, want %v", err, domain.ErrNotCaughtUp)
			}
		})
	}
}

func TestALoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	board := New()
	err := board.Load(ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		cancel()
		_ = yield(leaderboard.Standing{Key: customer(1), Points: 1}) // and overlooks that it failed
		return leaderboard.Snapshot{}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if board.ranking != nil {
		t.Error("it was loaded all the same")
	}
}

func TestAWriterWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	board := New()
	err := board.Load(t.Context(), func(func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := board.Apply(ctx, leaderboard.Batch{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Apply: got error %v, want %v", err, context.DeadlineExceeded)
		}
		if err := board.Load(ctx, spread(0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Load: got error %v, want %v", err, context.DeadlineExceeded)
		}
		return leaderboard.Snapshot{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNobodyIsLeftWaiting(t *testing.T) {
	board := New()
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error)
	for i := range 10 {
		go func() { results <- board.Wait(ctx, position(uint64(i%2*1000))) }()
	}
	for noted := 0; noted < 10; runtime.Gosched() {
		noted = board.waiters.Len()
	}
	if err := board.Load(t.Context(), spread(10)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := <-results; err != nil {
			t.Errorf("position 0 is reached, and Wait says %v", err)
		}
	}
	cancel()
	for range 5 {
		if err := <-results; !errors.Is(err, domain.ErrNotCaughtUp) || !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v and %v", err, domain.ErrNotCaughtUp, context.Canceled)
		}
	}
	if n := board.waiters.Len(); n != 0 {
		t.Errorf("%d are still noted as waiting", n)
	}
}

func TestThereIsAnEndToTheNumberOfCustomers(t *testing.T) {
	if err := checkRoom(maxCustomers-1, 1); err != nil {
		t.Errorf("the last: %v", err)
	}
	if err := checkRoom(maxCustomers-1, 2); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("one too many: got error %v, want %v", err, domain.ErrUnavailable)
	}
}

func TestAnEntryHoldsAStandingAndItsOrder(t *testing.T) {
	standings := rapid.Custom(func(t *rapid.T) leaderboard.Standing {
		return leaderboard.Standing{
			Key:    domain.ProxyKey(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xff}), 16, 16).Draw(t, "key")),
			Points: domain.Points(rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64Range(-int64(domain.MaxRanked), int64(domain.MaxRanked))).Draw(t, "points")),
			Minute: rapid.OneOf(rapid.Int64Range(0, 2), rapid.Int64Range(0, leaderboard.MaxMinute)).Draw(t, "minute"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := standings.Draw(t, "a"), standings.Draw(t, "b")
		if rapid.Bool().Draw(t, "tied") {
			b.Points, b.Minute = a.Points, a.Minute
		}
		ea, eb := newEntry(a), newEntry(b)
		if ea.standing() != a || eb.standing() != b {
			t.Fatalf("%+v came back as %+v, %+v as %+v", a, ea.standing(), b, eb.standing())
		}
		var want int
		if a != b {
			want = 1
			if leaderboardtest.NewModel(a, b).Ranking()[0] == a {
				want = -1
			}
		}
		if a.Key != b.Key && (ea.compare(eb) != want || eb.compare(ea) != -want) {
			t.Fatalf("%+v against %+v: got %d and %d, want %d", a, b, ea.compare(eb), eb.compare(ea), want)
		}
	})
	lowest := newEntry(leaderboard.Standing{Points: -domain.MaxRanked, Minute: math.MaxInt64})
	if got := lowest.standing(); got.Points != -domain.MaxRanked || got.Minute != leaderboard.MaxMinute {
		t.Errorf("the lowest standing came back as %+v", got)
	}
}
