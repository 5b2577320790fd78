package memory_test

import (
	"context"
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
)

// A board is loaded once, follows the log batch by batch, and is read all the while.
func Example() {
	ctx := context.Background()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	otter, heron := domain.ProxyKey{1}, domain.ProxyKey{2}

	board := memory.New()
	err := board.Load(ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		loaded := leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(domain.Position{Commit: 100, Prepare: 100}), AsOf: noon}
		return loaded, yield(leaderboard.Standing{Key: otter, Points: 40, Minute: leaderboard.Minute(noon)})
	})
	if err != nil {
		fmt.Println(err)
	}

	err = board.Apply(ctx, leaderboard.Batch{
		From:    domain.CheckpointAt(domain.Position{Commit: 100, Prepare: 100}),
		To:      domain.CheckpointAt(domain.Position{Commit: 250, Prepare: 250}),
		AsOf:    noon.Add(time.Minute),
		Changes: []leaderboard.Change{{Key: heron, Points: 55, Minute: leaderboard.Minute(noon)}},
	})
	if err != nil {
		fmt.Println(err)
	}

	var d leaderboard.Dashboard
	if err := board.Dashboard(ctx, otter, 10, 2, &d); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("rank %d of %d with %d points, at position %s\n", d.You.Rank, d.Customers, d.You.Points, d.Position)
	fmt.Printf("the best has %d points\n", d.Top[0].Points)
	// Output:
	// rank 2 of 2 with 40 points, at position 250
	// the best has 55 points
}
