package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/analytics/replay"
	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// whatIfLine is a line of the answer to a what-if.
type whatIfLine struct {
	Progress *struct {
		Doing       string
		Done, Total uint64
	}
	Report *replay.Report
}

// largeLog is a store with so many orders of a pound each, of a thousand customers.
func largeLog(t testing.TB, orders int) (*eventstore.Store, domain.Proxies) {
	t.Helper()
	const perAppend = 250
	store, rule, now := storetest.Open(t), domain.DefaultPolicy(), time.Now().UTC()
	for i := 0; i < orders; i += perAppend {
		var events []domain.Event
		for j := i; j < i+perAppend; j++ {
			events = append(events, order.PointsAwarded{
				About:   domain.About{CustomerID: domain.CustomerID(fmt.Sprintf("c-%d", j%1000)), OccurredAt: now},
				OrderID: domain.OrderID(fmt.Sprintf("o-%d", j)), Points: 1, Paid: domain.Money{Minor: 1000, Currency: domain.GBP}, Policy: rule,
			})
		}
		command := uuid.New()
		m := eventstore.Metadata{Correlation: command.String(), Causation: command.String(), Actor: "till-7", Channel: domain.Store}
		if _, err := store.Append(t.Context(), fmt.Sprintf("order-%d", i), eventstore.NoStream, command, m, events...); err != nil {
			t.Fatal(err)
		}
	}
	proxies, err := domain.NewProxies([]byte("a secret for tests of what-ifs"))
	if err != nil {
		t.Fatal(err)
	}
	return store, proxies
}

func doubled(t testing.TB) *replay.Policy {
	t.Helper()
	policy, err := replay.ParsePolicy("policy", []byte("id: double\nspendPerPoint: {GBP: 500}"))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// Given a log of forty thousand events
// When an analyst asks over HTTP what would have been
// Then the answer tells how far it is before it is there; and an analyst who goes away leaves room for the next at once.
func TestAWhatIfOfALargeLogTellsHowFarItIs(t *testing.T) {
	const orders = 40_000
	store, proxies := largeLog(t, orders)
	secret := []byte("a secret of these tests, 32 bytes")
	verifier, err := auth.NewSecretVerifier(secret, auth.Settings{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server, err := api.New(api.Config{
		Replays: whatIfs{store, proxies}, Verifier: verifier, Log: slog.New(slog.DiscardHandler), Now: time.Now, NewRequestID: NewRequestIDs(),
		Ready: map[string]func(context.Context) error{"query": func(context.Context) error { return nil }}, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	public := httptest.NewServer(server)
	defer public.Close()
	token, err := auth.Mint(secret, auth.Claims{Subject: "analyst-1", Role: auth.RoleAnalyst}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context) (*http.Response, *bufio.Scanner) {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, public.URL+"/what-if", strings.NewReader(`{"policy": {"id": "double", "spendPerPoint": {"GBP": 500}}}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response, bufio.NewScanner(response.Body)
	}
	next := func(lines *bufio.Scanner) (line whatIfLine) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the answer ends: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		return line
	}
	going, leave := context.WithTimeout(t.Context(), time.Minute)
	defer leave()
	_, lines := ask(going)
	if p := next(lines).Progress; p == nil || p.Doing != "replaying" || p.Done == 0 || p.Done > p.Total {
		t.Errorf("at first %+v", p)
	}
	leave()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var response *http.Response
	for response == nil || response.StatusCode != http.StatusOK { // the one before may not have ended yet
		response, lines = ask(ctx)
	}
	var done uint64
	line := next(lines)
	for ; line.Progress != nil; line = next(lines) {
		if line.Progress.Done < done || line.Progress.Done > orders {
			t.Errorf("%d events are done after %d", line.Progress.Done, done)
		}
		done = line.Progress.Done
	}
	if r := line.Report; r == nil || done == 0 || r.Events != orders || r.Totals.Awarded != orders || r.Policy.Totals.Awarded != 2*orders || r.Ranked != 1000 || len(r.Top) != 10 {
		t.Errorf("after %d the last line is %+v", done, line)
	}
}

// Given garbage that is collected rarely, as in a process that serves
// When a replay is under way, it is collected often, and rarely again once it has ended, well or not.
func TestAReplayInAProcessThatServesCollectsOften(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Setenv("GOGC", "")
	}
	store, proxies := largeLog(t, 5000)
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	w := whatIfs{store, proxies}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var during []int
	o := replay.Options{Policy: doubled(t), Progress: func(string, uint64, uint64) { during = append(during, percent()) }}
	report, err := w.Replay(ctx, o, 10)
	if err != nil || report.Events != 5000 || len(during) == 0 || during[0] != 100 || percent() != 400 {
		t.Errorf("%d events, %v; garbage collection was at %v, then at %d", report.Events, err, during, percent())
	}
	told := 0
	o.Progress = func(string, uint64, uint64) { told++; cancel() }
	if _, err := w.Replay(ctx, o, 10); !errors.Is(err, context.Canceled) || told > 2 || percent() != 400 {
		t.Errorf("once nobody asks any more: %v after %d, garbage collection at %d", err, told, percent())
	}
}
