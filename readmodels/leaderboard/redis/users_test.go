package redis_test

import (
	"strings"
	"testing"

	"loyalty/domain/season"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// documented makes the user of docs/operations.md on servers, for boards of tests in place of the board main.
func documented(t *testing.T, servers ...*redistest.Server) []string {
	t.Helper()
	return redistest.DocumentedUser(t, servers, "../../../docs/operations.md", "loyalty-leaderboard", "PASSWORD", "secret", "{main", "{test-*")
}

// Given the user that docs/operations.md lists, and nothing that others may do
// Then a leaderboard keeps its contract, is rebuilt, and has seasons, which are removed; Redis denies nothing, and no right is one too many.
func TestTheDocumentedUserIsAllThatALeaderboardNeeds(t *testing.T) {
	server := redistest.Start(t)
	rights := documented(t, server)
	address := "redis://loyalty-leaderboard:secret@" + server.Addr()
	server.Do("CONFIG", "RESETSTAT")
	leaderboardtest.RunEssentials(t, func(t *testing.T) leaderboardtest.Adapter { return open(t, fresh(address)) })
	leaderboardtest.RunRebuilder(t, func(t *testing.T) leaderboardtest.Rebuildable { return open(t, fresh(address)) })
	of := open(t, fresh(address)).Season(season.Season{ID: "2026-11", From: start, Until: start.AddDate(0, 1, 0)})
	loads(t, of)
	has(t, of, 10, at(100))
	if err := of.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if denied := server.Do("ACL", "LOG"); denied != "[]" {
		t.Errorf("Redis has denied %s", denied)
	}
	used := server.Do("INFO", "commandstats")
	for _, right := range rights {
		switch right {
		case "cluster|slots", "command", "asking": // those of a cluster
		default:
			if !strings.Contains(used, "cmdstat_"+right+":") {
				t.Errorf("nobody needs %s", right)
			}
		}
	}
}

func TestTheDocumentedUserIsAllThatALeaderboardOnAClusterNeeds(t *testing.T) {
	cluster := redistest.StartCluster(t)
	documented(t, cluster.Servers...)
	address := "redis+cluster://loyalty-leaderboard:secret@" + cluster.Addrs()
	for range 8 { // on all nodes, as good as
		b := open(t, fresh(address))
		loads(t, b)
		if err := b.Apply(t.Context(), batch()); err != nil {
			t.Fatal(err)
		}
		has(t, b, 11, at(110))
	}
	for _, server := range cluster.Servers {
		if denied := server.Do("ACL", "LOG"); denied != "[]" {
			t.Errorf("Redis has denied %s", denied)
		}
	}
}
