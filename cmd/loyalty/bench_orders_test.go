package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"loyalty/domain"
	"loyalty/internal/bench"
	"loyalty/internal/cli"
)

func TestBenchOrdersMeasuresAndAudits(t *testing.T) {
	for _, pace := range [][]string{{"--max", "--clients", "16"}, {"--rate", "200"}} {
		args := append([]string{"bench", "orders", "--seconds", "2", "--customers", "300", "--json"}, pace...)
		stdout, stderr, status := runProgram(t, args...)
		var got bench.OrderFigures
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != cli.ExitOK {
			t.Fatalf("%v: exit status %d, %q, %q: %v", pace, status, stdout, stderr, err)
		}
		if got.Lost != 0 || got.Doubled != 0 || got.Wrong != 0 || got.Refused != 0 || got.Unsure != 0 {
			t.Errorf("%v: %+v", pace, got)
		}
		if got.PerSecond <= 0 || got.P50ms <= 0 || got.P99ms < got.P50ms || got.VisibleP99ms <= 0 || got.Watched == 0 || got.CPUPerOrder <= 0 || got.Audited != got.Orders {
			t.Errorf("%v: %+v", pace, got)
		}
	}
}

func TestBenchOrdersOfAServerThatRuns(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	stdout, stderr, status := runProgram(t, "bench", "orders", "--rate", "100", "--seconds", "1", "--url", p.base, "--data", data, "--into-a-real-log")
	if status != cli.ExitOK || !strings.Contains(stdout, "0 lost") || !strings.Contains(stdout, "0 doubled") || !strings.Contains(stdout, "0 wrong") {
		t.Errorf("exit status %d, %s, %s", status, stdout, stderr)
	}
}

func TestBenchOrdersRefuses(t *testing.T) {
	for complaint, args := range map[string][]string{
		"--rate":                        {},
		"more than 0":                   {"--rate=-1"},
		"sign tokens with":              {"--max", "--into-a-real-log", "--url", "http://127.0.0.1:1"},
		"no address":                    {"--max", "--into-a-real-log", "--url", "127.0.0.1", "--token-secret", siteTokenSecret},
		"--url":                         {"--max", "--data", "somewhere"},
		"no data folder":                {"--max", "--into-a-real-log", "--url", "http://127.0.0.1:1", "--data", t.TempDir()},
		"of its own":                    {"--max", "--into-a-real-log", "--url", "http://127.0.0.1:1", "--ledger", "postgres://somewhere"},
		"stay in a log for ever":        {"--max", "--url", "http://127.0.0.1:1", "--token-secret", siteTokenSecret},
		"say so with --into-a-real-log": {"--max", "--eventstore", "esdb://127.0.0.1:1?tls=false"},
	} {
		if _, stderr, status := runProgram(t, append([]string{"bench", "orders"}, args...)...); status != cli.ExitUsage || !strings.Contains(stderr, complaint) {
			t.Errorf("%v: exit status %d, %s", args, status, stderr)
		}
	}
}

func TestBenchOrdersSaysThatItsServerDidNotStart(t *testing.T) {
	t.Parallel() // it waits more than it works
	_, stderr, status := runProgram(t, "bench", "orders", "--max", "--into-a-real-log", "--eventstore", "esdb://127.0.0.1:1?tls=false")
	if status != cli.ExitFailed || !strings.Contains(stderr, "did not start") || !strings.Contains(stderr, "the event store:") {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}

// till is a server of orders that does as it is told to its seventh order, and all else right.
type till struct {
	mu     sync.Mutex
	placed map[string]tillEntry // by order
	trails map[string][]tillEntry
	lie    func(t *till, w http.ResponseWriter, e tillEntry) (lied bool)
	// shown is added to everybody's points on the dashboard.
	shown int64
	// after is called once so many orders were placed.
	after func(n int)
}

type tillEntry struct {
	Kind     string `json:"kind"`
	OrderID  string `json:"orderId"`
	Points   int64  `json:"points"`
	Total    int64  `json:"total"`
	customer string
}

func (t *till) add(e tillEntry) {
	if trail := t.trails[e.customer]; len(trail) > 0 {
		e.Total = trail[0].Total
	}
	e.Total += e.Points
	t.trails[e.customer] = append([]tillEntry{e}, t.trails[e.customer]...)
}

func (t *till) answer(w http.ResponseWriter, status int, e tillEntry) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"orderId":%q,"status":"placed","points":%d,"position":"1"}`, e.OrderID, e.Points)
}

func (t *till) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	path := strings.Split(r.URL.Path, "/")
	switch {
	case path[1] == "order":
		t.order(w, r, path[2])
	case len(path) == 4: // a trail
		trail := t.trails[path[2]]
		var points int64
		if len(trail) > 0 {
			points = trail[0].Total
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"points": points, "entries": trail})
	default:
		var points int64
		if trail := t.trails[path[2]]; len(trail) > 0 {
			points = trail[0].Total
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"you": map[string]any{"points": points + t.shown}, "position": "1"})
	}
}

func (t *till) order(w http.ResponseWriter, r *http.Request, id string) {
	if known, again := t.placed[id]; again {
		w.Header().Set("Idempotent-Replayed", "true")
		t.answer(w, http.StatusOK, known)
		return
	}
	var body struct {
		PaymentDetails struct{ Amount, Currency string }
		CustomerID     string
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	minor, err := domain.ParseAmount("amount", body.PaymentDetails.Amount)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	points, err := domain.DefaultPolicy().Points(domain.Money{Minor: minor, Currency: domain.Currency(body.PaymentDetails.Currency)})
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e := tillEntry{Kind: "award", OrderID: id, Points: int64(points), customer: body.CustomerID}
	if t.lie != nil && strings.HasSuffix(id, "-7") && t.lie(t, w, e) {
		return
	}
	t.placed[id] = e
	t.add(e)
	t.answer(w, http.StatusCreated, e)
	if t.after != nil {
		t.after(len(t.placed))
	}
}

func openTill(t *testing.T, server *till) (url string) {
	t.Helper()
	server.placed, server.trails = map[string]tillEntry{}, map[string][]tillEntry{}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	return listening.URL
}

func TestTheAuditFindsWhatAServerGetsWrong(t *testing.T) {
	once := true
	for name, c := range map[string]struct {
		till                        *till
		lost, doubled, wrong        int
		refused, retried, anyWrongs bool
		complaint                   string
	}{
		"nothing": {till: &till{}},
		"a lost order": {till: &till{lie: func(t *till, w http.ResponseWriter, e tillEntry) bool {
			t.placed[e.OrderID] = e
			t.answer(w, http.StatusCreated, e)
			return true
		}}, lost: 1, complaint: "1 order lost"},
		"a doubled order": {till: &till{lie: func(t *till, _ http.ResponseWriter, e tillEntry) bool { t.add(e); return false }}, doubled: 1, complaint: "1 doubled"},
		"other points in the trail": {till: &till{lie: func(t *till, w http.ResponseWriter, e tillEntry) bool {
			t.placed[e.OrderID] = e
			t.answer(w, http.StatusCreated, e)
			e.Points++
			t.add(e)
			return true
		}}, wrong: 1, complaint: "1 wrong"},
		"an order of nobody": {till: &till{lie: func(t *till, _ http.ResponseWriter, e tillEntry) bool {
			e.OrderID = "another"
			t.add(e)
			return false
		}}, wrong: 1, complaint: "which nobody placed"},
		"another total on the dashboard": {till: &till{shown: 1}, anyWrongs: true, complaint: "the dashboard says"},
		"a refusal": {till: &till{lie: func(_ *till, w http.ResponseWriter, _ tillEntry) bool {
			w.WriteHeader(http.StatusBadRequest)
			return true
		}}, refused: true, complaint: "refused"},
		"other points in the answer": {till: &till{lie: func(t *till, w http.ResponseWriter, e tillEntry) bool {
			t.placed[e.OrderID] = e
			t.add(e)
			e.Points++
			t.answer(w, http.StatusCreated, e)
			return true
		}}, refused: true, complaint: "answered wrongly"},
		"an answer that got lost": {till: &till{lie: func(t *till, _ http.ResponseWriter, e tillEntry) bool {
			t.placed[e.OrderID] = e
			t.add(e)
			panic(http.ErrAbortHandler)
		}}, retried: true},
		"being busy": {till: &till{lie: func(_ *till, w http.ResponseWriter, _ tillEntry) bool {
			busy := once
			if once = false; busy {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return busy
		}}, retried: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Given a server that gets something wrong
			url := openTill(t, c.till)
			// When the bench sends it orders
			var stdout, stderr bytes.Buffer
			status := cli.Run(t.Context(), []string{"bench", "orders", "--max", "--clients", "2", "--seconds", "1", "--customers", "5", "--into-a-real-log", "--url", url,
				"--token-secret", siteTokenSecret, "--json"}, cli.Streams{Out: &stdout, Err: &stderr})
			// Then it says what
			var got bench.OrderFigures
			if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s%s", err, &stdout, &stderr)
			}
			if got.Lost != c.lost || got.Doubled != c.doubled || (got.Wrong != c.wrong && !c.anyWrongs) || (got.Wrong == 0 && c.anyWrongs) ||
				(got.Refused > 0) != c.refused || (got.Retried > 0) != c.retried {
				t.Errorf("%+v", got)
			}
			if want := map[bool]int{true: cli.ExitFailed, false: cli.ExitOK}[c.complaint != ""]; status != want || !strings.Contains(stderr.String(), c.complaint) {
				t.Errorf("exit status %d: %s", status, &stderr)
			}
		})
	}
}

func TestCtrlCEndsTheOrdersAndAuditsThem(t *testing.T) {
	// Given a bench that would take an hour
	enough := make(chan struct{})
	url := openTill(t, &till{after: func(n int) {
		if n == 50 {
			close(enough)
		}
	}})
	command := exec.CommandContext(t.Context(), program, "bench", "orders", "--rate", "200", "--seconds", "3600", "--into-a-real-log", "--url", url, "--json")
	command.Env = append(os.Environ(), "LOYALTY_TOKEN_SECRET="+siteTokenSecret)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	<-enough
	// When it is interrupted
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	// Then it says what it has measured so far
	if err := command.Wait(); err != nil {
		t.Errorf("%v: %s", err, &stderr)
	}
	var got bench.OrderFigures
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || got.Orders < 49 || got.Audited != got.Orders || got.Lost != 0 || got.Seconds > 600 {
		t.Errorf("%s: %v", &stdout, err)
	}
}
