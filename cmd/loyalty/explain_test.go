package main

import (
	"database/sql"
	"net/http"
	"os"
	"strings"
	"testing"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli"
	"loyalty/queries/view"
)

func TestExplainSaysHowPointsCameAboutAndProvesIt(t *testing.T) {
	d := openDesk(t)
	trail := lines[view.Entry](d, "trail", "alice")
	goodwill, reversal := trail[1], trail[2]

	got, _ := d.tool(cli.ExitOK, "explain", reversal.EntryID, "--customer", "alice")
	for _, want := range []string{
		"reversal of -4 for alice, ", "£129.99", "13", "policy of 2026-01", "£40.00", "£89.99", "so 4 taken back", reversal.EntryID,
		"The steps add up to 9 points, and must add up to 9.\n", "In the ledger the total went from 13 to 9.\n", "Events and ledger agree.\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "order-placed.v1") {
		t.Errorf("it prints events that nobody asked for:\n%s", got)
	}
	with, _ := d.tool(cli.ExitOK, "explain", reversal.EntryID, "--customer", "alice", "--events")
	for _, want := range []string{got, "order-placed.v1, number 0 of order-website.o-1, id ", "points-reversed.v1, number 3 of order-website.o-1, id " + reversal.EntryID,
		`    "method": "card"`, `    "actor": "shop-1"`} {
		if !strings.Contains(with, want) {
			t.Errorf("%q is not in\n%s", want, with)
		}
	}
	if byOrder, _ := d.tool(cli.ExitOK, "explain", "--order", "o-1"); byOrder != got {
		t.Errorf("by its order, the latest entry is\n%s\nand not\n%s", byOrder, got)
	}
	if byOrder, _ := d.tool(cli.ExitOK, "explain", "--order", "o-1", "--customer", "alice"); byOrder != got {
		t.Errorf("by order and customer, it prints\n%s", byOrder)
	}

	asCSV, _ := d.tool(cli.ExitOK, "explain", reversal.EntryID, "--customer", "alice", "--csv")
	if rows := strings.Split(strings.TrimSpace(asCSV), "\n"); len(rows) != 3 || rows[0] != "eventId,points,text,this" ||
		!strings.HasPrefix(rows[2], reversal.EntryID+`,-4,"£40.00 returned: `) || !strings.HasSuffix(rows[2], ",true") {
		t.Errorf("as CSV it prints\n%s", asCSV)
	}
	x := lines[view.Explanation](d, "explain", reversal.EntryID, "--customer", "alice")[0]
	if x.Entry.EntryID != reversal.EntryID || len(x.Steps) != 2 || !x.Steps[1].This || x.Steps[0].This || x.Steps[1].Points != -4 {
		t.Errorf("in JSON it is %+v", x)
	}
	if p := x.Proof; !p.Agrees || p.Sum != 9 || p.Computed != 9 || p.Before != 13 || p.After != 9 || len(p.Mismatches) != 0 {
		t.Errorf("the proof is %+v", p)
	}
	if len(x.Events) != 4 || x.Events[3].EventID != reversal.EntryID || !strings.Contains(string(x.Events[3].Data), `"netAfter"`) {
		t.Errorf("the events are %+v", x.Events)
	}
	x = lines[view.Explanation](d, "explain", goodwill.EntryID, "--customer", "alice")[0]
	if !x.Proof.Agrees || x.Proof.Before != 9 || x.Proof.After != 34 || !strings.Contains(x.Text, "late parcel") {
		t.Errorf("goodwill is explained by %+v", x)
	}

	t.Run("what is not there", func(t *testing.T) {
		for _, args := range [][]string{
			{reversal.EntryID, "--customer", "bob"}, {"nonsense", "--customer", "alice"}, {"--order", "o-9"}, {"--order", "o-1", "--customer", "bob"},
		} {
			if _, stderr := d.tool(cli.ExitFailed, append([]string{"explain"}, args...)...); !strings.Contains(stderr, "not found") {
				t.Errorf("%v: it says %q", args, stderr)
			}
		}
	})
	t.Run("used wrongly", func(t *testing.T) {
		for _, args := range [][]string{
			{}, {reversal.EntryID}, {reversal.EntryID, "--order", "o-1"}, {reversal.EntryID, "--customer", "al/ice"}, {"--order", "o/1"},
		} {
			if _, stderr := d.tool(cli.ExitUsage, append([]string{"explain"}, args...)...); stderr == "" {
				t.Errorf("%v: it does not say why", args)
			}
		}
	})
}

// Given two customers whose streams used the same order id, which a shop would not
// When it is explained by that id
// Then it asks whose it is.
func TestExplainAsksWhichOrderItIsOnlyWhereThatIsOpen(t *testing.T) {
	d := openDesk(t)
	// Given the same number in the stores
	var placed placedAnswer
	d.must(http.StatusCreated, &placed, auth.Claims{Subject: "till-7", Role: auth.RoleChannel, Channel: domain.Store}, http.MethodPost, "/order/o-1", orderBody("bob", "80.00"))
	d.client.trail("bob", placed.Position)
	d.process.stop(os.Interrupt)
	// Then the number alone means both
	_, stderr := d.tool(cli.ExitUsage, "explain", "--order", "o-1")
	for _, want := range []string{"--order", "order website.o-1 of alice (", "order store.o-1 of bob ("} {
		if !strings.Contains(stderr, want) {
			t.Errorf("it says %q, without %q", stderr, want)
		}
	}
	for _, args := range [][]string{{"website.o-1"}, {"store.o-1"}, {"o-1", "--customer", "alice"}, {"o-1", "--customer", "bob"}} {
		d.tool(cli.ExitOK, append([]string{"explain", "--order"}, args...)...)
	}
}

func TestExplainTellsWhatDoesNotAgree(t *testing.T) {
	d := openDesk(t)
	d.process.stop(os.Interrupt)
	db, err := sql.Open("sqlite", app.Folder(d.data).LedgerFile())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`UPDATE entries SET total = total + 1 WHERE order_id = 'store.o-2'`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := d.tool(cli.ExitFailed, "explain", "--order", "o-2")
	if !strings.Contains(stdout, "This does not agree: ") || strings.Contains(stdout, "Events and ledger agree.") || !strings.Contains(stderr, "loyalty verify") {
		t.Errorf("of an entry that was tampered with it says\n%s%s", stdout, stderr)
	}
}
