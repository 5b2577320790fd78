package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"loyalty/internal/cli"
)

const (
	// yoursVariable names an event store to try, instead of one of the test's own.
	yoursVariable = "LOYALTY_TEST_EVENTSTORE"
	// yoursOrdersFor is for how long orders are placed, so that somebody can kill a node meanwhile, or stop it and start it again: 60s.
	yoursOrdersFor = "LOYALTY_TEST_ORDERS_FOR"
	// yoursMostOrders bounds that.
	yoursMostOrders = 10 * time.Minute
)

// TestTheProgramKeepsItsWordOnAnyEventStore runs the program on the event store that LOYALTY_TEST_EVENTSTORE names, or on an embedded one over
// TCP. It leaves behind the streams of its own orders and customers, whose names nobody else has, and loyalty-log.
func TestTheProgramKeepsItsWordOnAnyEventStore(t *testing.T) {
	target := os.Getenv(yoursVariable)
	if target == "" {
		target = "esdb://" + openEvents(t).Addr() + "?tls=false"
	}
	t.Logf("the event store is of version %s", serverVersion(t, target))
	var window time.Duration
	if text := os.Getenv(yoursOrdersFor); text != "" {
		var err error
		if window, err = time.ParseDuration(text); err != nil || window < 0 || window > yoursMostOrders {
			t.Fatalf("%s is %q: this must be a duration such as 60s, of at most %v", yoursOrdersFor, text, yoursMostOrders)
		}
		t.Logf("orders are placed for %v: kill a node now, or stop it and start it again", window)
	}
	settings := small(t, target)
	p := start(t, settings, "serve", "--addr", "127.0.0.1:0")
	c := clientWith(t, p, []byte(siteTokenSecret))

	// When orders are placed, and those that were not acknowledged are placed again until they are
	run := uuid.NewString()[:13] + "-"
	var all, open []*purchase
	began := time.Now()
	for round := uint64(0); round == 0 || time.Since(began) < window; round++ {
		batch := purchases(round)[:200]
		for _, o := range batch {
			o.id, o.customer = run+uuid.NewString()[:8]+o.id, run+o.customer
		}
		all = append(all, batch...)
		open = c.postAll(append(open, batch...), nil)
	}
	if len(open) > 0 {
		t.Logf("%d of %d orders were not acknowledged in %v, and are sent again", len(open), len(all), time.Since(began).Round(time.Second))
	}
	waitFor(t, "every order is acknowledged", func() bool {
		open = c.postAll(open, nil)
		return len(open) == 0
	})

	// Then each is in its customer's trail once, with the points that were acknowledged
	var last placedAnswer
	c.must(http.StatusCreated, &last, webshop, http.MethodPost, "/order/"+run+"last", orderBody(run+"last", "0"))
	if standings := c.checkTrails(all, last.Position); len(standings) == 0 {
		t.Error("no customer has points")
	}
	// And whoever folds the log has the same: verify, rebuild, replay, and replay of an export
	var report cli.VerifyReport
	tool(t, settings, &report, "verify")
	if len(report.Findings) != 1 || report.Findings[0].Differs() {
		t.Fatalf("verify: %+v", report)
	}
	digest := report.Findings[0].Digest.String()
	var rebuilt struct {
		Differs     bool
		NotCompared string
		Digest      string
	}
	tool(t, settings, &rebuilt, "rebuild", "ledger")
	if rebuilt.Differs || rebuilt.NotCompared != "" || rebuilt.Digest != digest {
		t.Errorf("rebuild: %+v; verify has the digest %s", rebuilt, digest)
	}
	history := filepath.Join(t.TempDir(), "history")
	var exported struct{ Events uint64 }
	tool(t, settings, &exported, "export", "--out", history)
	for name, args := range map[string][]string{"the log": nil, "the export": {"--from-export", history}} {
		if replay := replayed(t, settings, append([]string{"--digest"}, args...)...); replay.Digest.Ledger.String() != digest {
			t.Errorf("replay of %s has the digest %s, verify %s", name, replay.Digest.Ledger, digest)
		}
	}
	t.Logf("placed %d orders with their returns; verify, rebuild, export, replay of the log and of the export (%d events) are equal: digest %s", len(all), exported.Events, digest)
}

// tool runs a command with --json and reads what it prints.
func tool(t *testing.T, settings []string, result any, args ...string) {
	t.Helper()
	stdout, stderr, status := runIn(t, settings, slices.Concat(args, []string{"--json"})...)
	if err := json.Unmarshal([]byte(stdout), result); status != cli.ExitOK || err != nil {
		t.Fatalf("%v exits with %d: %q, %q", args, status, stdout, stderr)
	}
}

// serverVersion is what a server says of itself.
func serverVersion(t *testing.T, target string) string {
	t.Helper()
	config, err := esdb.ParseConnectionString(target)
	if err != nil {
		t.Fatal("the event store's address is malformed") // the error would repeat a password
	}
	config.Logger = nil
	db, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	version, err := db.GetServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d.%d.%d", version.Major, version.Minor, version.Patch)
}
