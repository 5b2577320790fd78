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
	for board, algorithm := range map[string]string{"memory:": "RS256", redistest.Start(t).URL(): "ES256"} {
		stdout, stderr, status := runProgram(t, "bench", "dashboards", "--customers", "1000", "--seconds", "1", "--rounds", "1", "--clients", "8",
			"--leaderboard", board, "--readers", "3000", "--alg", algorithm, "--json")
		var got bench.DashboardFigures
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != cli.ExitOK {
			t.Fatalf("%s: exit status %d, %q, %q: %v", board, status, stdout, stderr, err)
		}
		if got.PerSecond <= 0 || got.EmptyPerSecond <= 0 || got.Ratio <= 0 || got.P99ms <= 0 || got.CPUPerRequest <= 0 || got.Checked < 20 || got.Updates == 0 {
			t.Errorf("%s: %+v", board, got)
		}
		if got.Readers != 3000 || got.Algorithm != algorithm || got.TokenBytes < 900 || got.TokenBytes > 2048 || got.FirstPerSecond <= 0 || got.FirstCPU <= got.CPUPerRequest {
			t.Errorf("tokens by %s: %+v", algorithm, got)
		}
	}
	stdout, _, status := runProgram(t, "bench", "dashboards", "--customers", "10", "--seconds", "1", "--rounds", "1", "--clients", "2", "--updates", "100")
	if status != cli.ExitOK || !strings.Contains(stdout, "EMPTY HANDLER") || !strings.Contains(stdout, "checked, and right") {
		t.Errorf("as a table: exit status %d, %s", status, stdout)
	}
	if _, stderr, status := runProgram(t, "bench", "dashboards", "--top", "0"); status != cli.ExitUsage || !strings.Contains(stderr, "top") {
		t.Errorf("a wrong top: exit status %d, %s", status, stderr)
	}
}
