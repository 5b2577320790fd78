package memory_test

import (
	"testing"

	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/memory"
)

func TestTheMemoryLeaderboardKeepsTheContract(t *testing.T) {
	leaderboardtest.Run(t, func(*testing.T) leaderboardtest.Adapter { return memory.New() })
}
