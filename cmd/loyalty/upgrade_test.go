package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loyalty/eventstore/storetest"
	"loyalty/internal/cli"
)

// newerProgram builds the program as a newer version of it might be: one that stores adjustments as points-adjusted.v2, and reads those of before.
func newerProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replaced := map[string]string{}
	for file, changes := range map[string][]string{
		"../../domain/account/events.go": {`"points-adjusted.v1"`, `"points-adjusted.v2"`},
		"../../eventstore/types.go": {
			"}, nil)", `}, []Upcaster{{From: "points-adjusted.v1", To: account.TypePointsAdjusted, Up: func(old json.RawMessage) (json.RawMessage, error) { return old, nil }}})`,
			"import (", "import (\n\t\"encoding/json\"",
		},
	} {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		newer := string(text)
		for i := 0; i < len(changes); i += 2 {
			if strings.Count(newer, changes[i]) != 1 {
				t.Fatalf("%s has %q %d times", file, changes[i], strings.Count(newer, changes[i]))
			}
			newer = strings.Replace(newer, changes[i], changes[i+1], 1)
		}
		replaced[path] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(replaced[path], []byte(newer), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "loyalty")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := buildProgram(binary, "-overlay", list); err != nil {
		t.Fatal(err)
	}
	return binary
}

// Given processes of this version of the program, and one that takes commands of a newer version, which stores an event in a form that the others don't know
// When points are adjusted by the newer one
// Then those that project stop and say that they must be upgraded, dashboards go on, and once a newer one projects, no points are missing.
func TestTwoVersionsSideBySideLoseNoPoints(t *testing.T) {
	s, newer := openSite(t), newerProgram(t)
	serve := func(roles string) *process {
		return launchBinary(t, newer, s.settings, "serve", "--roles", roles, "--addr", "127.0.0.1:0")
	}
	projecting, screen := s.role("project"), s.client(s.role("query"))
	older, taking := s.client(s.role("command")), s.client(serve("command"))
	var placed placedAnswer
	adjust := func(points int) map[string]any {
		return map[string]any{"loyalty-points": points, "reason": "late parcel"}
	}
	older.must(http.StatusCreated, &placed, supportClaims, http.MethodPost, "/loyalty/ann", adjust(1), "Idempotency-Key: gift-1")
	screen.must(http.StatusOK, nil, customer("ann"), http.MethodGet, "/loyalty/ann", nil, "Loyalty-Min-Position: "+placed.Position)
	taking.must(http.StatusCreated, nil, supportClaims, http.MethodPost, "/loyalty/ann", adjust(20), "Idempotency-Key: gift-2")
	older.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/o-1", orderBody("ann", "3000.00"))

	storetest.WaitFor(t, "the older one stops", func() bool {
		status, body := projecting.operators("/readyz?role=project")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "a newer version of the program wrote this: upgrade")
	})
	var dashboard struct{ You struct{ Points int } }
	if screen.must(http.StatusOK, &dashboard, customer("ann"), http.MethodGet, "/loyalty/ann", nil); dashboard.You.Points != 1 {
		t.Errorf("ann is shown %d points meanwhile", dashboard.You.Points)
	}
	if status := projecting.stop(os.Interrupt); status != cli.ExitOK {
		t.Errorf("it exits with %d", status)
	}
	serve("project")
	storetest.WaitFor(t, "all points are shown", func() bool {
		screen.must(http.StatusOK, &dashboard, customer("ann"), http.MethodGet, "/loyalty/ann", nil)
		return dashboard.You.Points == 321
	})
}
