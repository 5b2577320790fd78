package main

import (
	"encoding/json"
	"strings"
	"testing"

	"loyalty/internal/bench"
	"loyalty/internal/cli"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

func TestBenchDashboardsMeasuresAndChecks(t *testing.T) {
	for _, board := range []string{"memory:", redistest.Start(t).URL()} {
		stdout, stderr, status := runProgram(t, "bench", "dashboards", "--customers", "1000", "--seconds", "1", "--rounds", "1", "--clients", "8", "--leaderboard", board, "--json")
		var got bench.DashboardFigures
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != cli.ExitOK {
			t.Fatalf("%s: exit status %d, %q, %q: %v", board, status, stdout, stderr, err)
		}
		if got.PerSecond <= 0 || got.EmptyPerSecond <= 0 || got.Ratio <= 0 || got.P99ms <= 0 || got.CPUPerRequest <= 0 || got.Checked < 20 || got.Updates == 0 {
			t.Errorf("%s: %+v", board, got)
		}
	}
	stdout, _, status := runProgram(t, "bench", "dashboards", "--customers", "10", "--seconds", "1", "--rounds", "1", "--clients", "2", "--updates", "100")
	if status != cli.ExitOK || !strings.Contains(stdout, "EMPTY HANDLER") || !strings.Contains(stdout, "checked, and right") {
		t.Errorf("as a table: exit status %d, %s", status, stdout)
	}
	for _, algorithm := range []string{"RS256", "ES256"} {
		stdout, stderr, status := runProgram(t, "bench", "dashboards", "--customers", "1000", "--seconds", "1", "--rounds", "1", "--clients", "8", "--readers", "5000", "--alg", algorithm, "--json")
		var got bench.DashboardFigures
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != cli.ExitOK {
			t.Fatalf("%s: exit status %d, %q, %q: %v", algorithm, status, stdout, stderr, err)
		}
		if got.Readers != 5000 || got.Algorithm != algorithm || got.TokenBytes < 900 || got.TokenBytes > 2048 || got.FirstPerSecond <= 0 || got.FirstCPU <= got.CPUPerRequest || got.Ratio <= 0 || got.Checked < 20 {
			t.Errorf("%s: %+v", algorithm, got)
		}
	}
	if _, stderr, status := runProgram(t, "bench", "dashboards", "--top", "0"); status != cli.ExitUsage || !strings.Contains(stderr, "top") {
		t.Errorf("a wrong top: exit status %d, %s", status, stderr)
	}
}
