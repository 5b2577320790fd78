package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/internal/app"
	"loyalty/internal/cli"
	"loyalty/queries/view"
)

// desk is a shop whose support works from a terminal, on the data folder of a running process.
type desk struct {
	*client
	process *process
	data    string
}

// openDesk has a shop in which alice bought for £129.99 in the web shop and sent £40.00 of it back, was given 25 points, and bought
// for £50.00 at a till; bob bought for €23.00.
func openDesk(t *testing.T) *desk {
	t.Helper()
	data := t.TempDir()
	p := startDev(t, data)
	d := &desk{newClient(t, p, data), p, data}
	till := webshop
	till.Subject, till.Channel = "till-7", "store"
	d.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/o-1", orderBody("alice", "129.99"))
	d.must(http.StatusCreated, nil, webshop, http.MethodPost, "/order/o-1/returns/r-1", map[string]any{"amount": "40.00", "reason": "=HYPERLINK(\"x\")"})
	d.must(http.StatusCreated, nil, supportClaims, http.MethodPost, "/loyalty/alice", map[string]any{"loyalty-points": 25, "reason": "late parcel"}, "Idempotency-Key: gift-1")
	d.must(http.StatusCreated, nil, till, http.MethodPost, "/order/o-2", orderBody("alice", "50.00"))
	var last placedAnswer
	euros := orderBody("bob", "23.00")
	euros["paymentDetails"].(map[string]any)["currency"] = "EUR"
	d.must(http.StatusCreated, &last, webshop, http.MethodPost, "/order/o-3", euros)
	// The ledger and the leaderboard have it all.
	d.client.trail("bob", last.Position)
	d.must(http.StatusOK, nil, customer("bob"), http.MethodGet, "/loyalty/bob", nil, "Loyalty-Min-Position: "+last.Position)
	return d
}

// tool runs a command on the desk's folder and returns what it prints.
func (d *desk) tool(status int, args ...string) (stdout, stderr string) {
	d.t.Helper()
	stdout, stderr, got := runProgram(d.t, append(args, "--data", d.data)...)
	if got != status {
		d.t.Fatalf("%v exits with %d, want %d:\n%s%s", args, got, status, stdout, stderr)
	}
	return stdout, stderr
}

// lines runs a command with --json and reads each line it prints.
func lines[L any](d *desk, args ...string) (all []L) {
	d.t.Helper()
	stdout, _ := d.tool(cli.ExitOK, append(args, "--json")...)
	for text := range strings.Lines(stdout) {
		var line L
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			d.t.Fatalf("%v prints %q: %v", args, text, err)
		}
		all = append(all, line)
	}
	return all
}

func TestTrailIsATableNewestFirstWithTheTotalOfEachEntry(t *testing.T) {
	d := openDesk(t)
	got, _ := d.tool(cli.ExitOK, "trail", "alice")
	rows := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(rows) != 7 || !strings.HasPrefix(rows[0], "alice has 39 points by 4 entries, as of position ") {
		t.Fatalf("it prints\n%s", got)
	}
	for i, want := range [][]string{
		{"TIME", "KIND", "CHANNEL", "ORDER", "AMOUNT", "POINTS", "TOTAL", "REASON", "ENTRY"},
		{"award", "store", "store.o-2", "50.00 GBP", "+5", "39"},
		{"adjustment", "-", "+25", "34", "late parcel"},
		{"reversal", "website", "website.o-1", "40.00 GBP", "-4", "9", "=HYPERLINK"},
		{"award", "website", "website.o-1", "129.99 GBP", "+13", "13"},
	} {
		row, rest := rows[i+2], rows[i+2]
		for _, cell := range want {
			_, after, found := strings.Cut(rest, cell)
			if !found {
				t.Errorf("%q is not where it should be in %q", cell, row)
			}
			rest = after
		}
	}

	t.Run("nobody has heard of them", func(t *testing.T) {
		for format, want := range map[string]string{"": "nobody has no entries, as of position ", "--json": "", "--csv": strings.Join(view.TrailColumns(), ",") + "\n"} {
			args := []string{"trail", "nobody"}
			if format != "" {
				args = append(args, format)
			}
			if got, _ := d.tool(cli.ExitOK, args...); got != want && (want == "" || !strings.HasPrefix(got, want)) {
				t.Errorf("%v prints %q", args, got)
			}
		}
	})
	t.Run("JSON has what the API says of each", func(t *testing.T) {
		got := lines[view.Entry](d, "trail", "alice")
		var page struct{ Entries []view.Entry }
		d.must(http.StatusOK, &page, supportClaims, http.MethodGet, "/loyalty/alice/trail", nil)
		if diff := cmp.Diff(page.Entries, got); diff != "" || len(got) != 4 {
			t.Fatalf("the API's entries (-), and those that it prints (+):\n%s", diff)
		}
		first := got[3]
		if first.Amount == nil || *first.Amount != (view.Money{Amount: "129.99", Currency: "GBP"}) || *got[0].Amount != (view.Money{Amount: "50.00", Currency: "GBP"}) {
			t.Errorf("the amounts are %+v and %+v", first.Amount, got[0].Amount)
		}
		if first.Actor != "shop-1" || first.Stream != "order-website.o-1" || first.Revision != 1 || first.Position.Commit == 0 || first.Correlation == "" {
			t.Errorf("the evidence is %+v", first)
		}
	})
	t.Run("CSV is what the API gives as a file", func(t *testing.T) {
		got, _ := d.tool(cli.ExitOK, "trail", "alice", "--csv")
		want := d.must(http.StatusOK, nil, supportClaims, http.MethodGet, "/loyalty/alice/trail", nil, "Accept: text/csv")
		if got != string(want.body) {
			t.Errorf("it prints\n%s\nthe API answers\n%s", got, want.body)
		}
		rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
		if err != nil || len(rows) != 5 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		if reason := rows[3][slices.Index(rows[0], "reason")]; reason != `'=HYPERLINK("x")` {
			t.Errorf("the reason is %q, which a spreadsheet would compute", reason)
		}
		if points := rows[3][slices.Index(rows[0], "points")]; points != "-4" {
			t.Errorf("the points are %q, which is no number", points)
		}
	})
	t.Run("filters leave entries out, never totals", func(t *testing.T) {
		all := lines[view.Entry](d, "trail", "alice")
		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Format(time.DateOnly)
		for args, want := range map[string][]int{
			"--kind award":                 {0, 3},
			"--kind award --kind reversal": {0, 2, 3},
			"--channel store":              {0},
			"--order o-1":                  {2, 3},
			"--from " + all[1].OccurredAt.Format(time.RFC3339Nano):  {0, 1},
			"--until " + all[1].OccurredAt.Format(time.RFC3339Nano): {2, 3},
			"--until " + midnight:    {0, 1, 2, 3},
			"--from " + midnight:     {},
			"--limit 3":              {0, 1, 2},
			"--limit 9":              {0, 1, 2, 3},
			"--kind award --limit 1": {0},
		} {
			got := lines[view.Entry](d, append([]string{"trail", "alice"}, strings.Fields(args)...)...)
			expected := []view.Entry{}
			for _, i := range want {
				expected = append(expected, all[i])
			}
			if fmt.Sprintf("%+v", summaries(got)) != fmt.Sprintf("%+v", summaries(expected)) {
				t.Errorf("%s gives %+v", args, summaries(got))
			}
		}
		if got, _ := d.tool(cli.ExitOK, "trail", "bob", "--kind", "reversal"); !strings.HasPrefix(got, "bob has no entries like that, of 1, as of position ") {
			t.Errorf("it prints %q", got)
		}
	})
	t.Run("used wrongly", func(t *testing.T) {
		for _, args := range []string{"", "al/ice", "alice --kind gift", "alice --channel fax", "alice --order o/1", "alice --limit -1", "alice --from soon", "alice --json --csv"} {
			if _, stderr := d.tool(cli.ExitUsage, append([]string{"trail"}, strings.Fields(args)...)...); stderr == "" {
				t.Errorf("%q: it does not say why", args)
			}
		}
		if _, stderr, status := runIn(t, []string{"LOYALTY_EVENTSTORE=", "LOYALTY_LEDGER=", "LOYALTY_LEADERBOARD="}, "trail", "alice"); status != cli.ExitUsage || !strings.Contains(stderr, "--data") {
			t.Errorf("without a system it exits with %d and says %q", status, stderr)
		}
	})
}

func summaries(entries []view.Entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.EntryID+" "+strconv.Itoa(int(e.Total)))
	}
	return all
}

func TestTrailReadsAllPagesAlsoOfAFolderWhoseProcessWasKilled(t *testing.T) {
	d := openDesk(t)
	const more = 2*200 + 1 // entries in two full pages and a third
	all := make([]*purchase, more)
	for i := range all {
		all[i] = &purchase{id: fmt.Sprintf("more-%d", i), customer: "alice", pence: 1000}
	}
	if open := d.postAll(all, nil); len(open) > 0 {
		t.Fatalf("%d orders were not acknowledged", len(open))
	}
	d.process.kill()
	// What was acknowledged is in the trail, though the ledger may not have come to it.
	if err := os.Remove(app.Folder(d.data).LedgerFile()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(app.Folder(d.data).LedgerFile() + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	got := lines[view.Entry](d, "trail", "alice")
	if len(got) != more+4 || got[0].Total != more+39 {
		t.Fatalf("it prints %d entries, the newest with a total of %d", len(got), got[0].Total)
	}
	seen := map[string]bool{}
	for i, e := range got {
		seen[e.EntryID] = true
		if i > 0 && (!e.Position.Before(got[i-1].Position) || e.Total+got[i-1].Points != got[i-1].Total) {
			t.Errorf("after %+v comes %+v", got[i-1], e)
		}
	}
	if len(seen) != len(got) {
		t.Errorf("%d entries are %d", len(got), len(seen))
	}
	if got := lines[view.Entry](d, "trail", "alice", "--limit", "250"); len(got) != 250 {
		t.Errorf("limited to 250, it prints %d", len(got))
	}
	file, _ := d.tool(cli.ExitOK, "trail", "alice", "--csv")
	if rows, err := csv.NewReader(strings.NewReader(file)).ReadAll(); err != nil || len(rows) != more+5 {
		t.Errorf("the file has %d rows, %v", len(rows), err)
	}
}
