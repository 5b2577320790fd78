package redis_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

func TestTheRedisLeaderboardKeepsTheContract(t *testing.T) {
	address := redistest.URL(t)
	leaderboardtest.Run(t, func(t *testing.T) leaderboardtest.Adapter { return open(t, fresh(address)) })
}

func TestSeveralClientsShareALeaderboard(t *testing.T) {
	address := redistest.URL(t)
	leaderboardtest.RunClients(t, func(t *testing.T) func() leaderboardtest.Client {
		board := fresh(address)
		return func() leaderboardtest.Client { return open(t, board) }
	})
}

func TestALeaderboardIsRebuiltBesideTheLiveOne(t *testing.T) {
	address := redistest.URL(t)
	leaderboardtest.RunRebuilder(t, func(t *testing.T) leaderboardtest.Rebuildable { return open(t, fresh(address)) })
}

// The cluster's boards are spread over its three masters, so the clauses meet all of them. Each has a certificate for itself alone.
func TestARedisClusterKeepsTheContract(t *testing.T) {
	address := "rediss+cluster://" + redistest.StartTLSCluster(t).Addrs()
	leaderboardtest.RunEssentials(t, func(t *testing.T) leaderboardtest.Adapter { return open(t, fresh(address)) })
	leaderboardtest.RunRebuilder(t, func(t *testing.T) leaderboardtest.Rebuildable { return open(t, fresh(address)) })
}

// fresh names a board that nobody else uses.
func fresh(address string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + "board=test-" + rand.Text()
}

// open makes a client of a board. At the end it closes the client and removes the board.
func open(t testing.TB, address string) *redis.Board {
	t.Helper()
	b, err := redis.Open(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		redis.Remove(address)
	})
	return b
}
