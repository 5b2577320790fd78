package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"loyalty/domain/account"
	"loyalty/internal/app"
	"loyalty/internal/cli"
	"loyalty/internal/cli/support"
	"loyalty/queries/view"
)

// forget runs "loyalty customer forget" on a folder.
func (d *desk) forget(status int, id string, args ...string) (stdout, stderr string) {
	d.t.Helper()
	return d.tool(status, append([]string{"customer", "forget", "--id", id, "--reason", "asked to, ticket 7", "--actor", "agent-1", "--yes"}, args...)...)
}

// types names the events in a stream.
func types(t *testing.T, data, name string) (all []string) {
	t.Helper()
	for _, recorded := range stream(t, data, name) {
		all = append(all, recorded.Event.EventType())
	}
	return all
}

// wantCertified checks what forget printed as JSON.
func wantCertified(t *testing.T, stdout string, before bool) support.Forgotten {
	t.Helper()
	var f support.Forgotten
	if err := json.Unmarshal([]byte(stdout), &f); err != nil {
		t.Fatalf("it prints %q: %v", stdout, err)
	}
	if f.Before != before || f.Certificate == nil || f.Certificate.Before != before || f.Certificate.Actor != "agent-1" || f.Certificate.Position.Before(f.Position) {
		t.Errorf("it says %s", stdout)
	}
	var models []string
	for _, check := range f.Checks {
		models = append(models, check.Model)
		if !check.Clean || check.Position.Before(f.Position) {
			t.Errorf("the check is %+v", check)
		}
	}
	if !slices.Equal(models, []string{"ledger", "leaderboard"}) {
		t.Errorf("it looked into %v", models)
	}
	return f
}

func TestForgettingACustomerTakesThemOffTheLeaderboardAndLeavesTotalsThatAddUp(t *testing.T) {
	d := openDesk(t)
	name := d.proxyName("alice")
	dashboard := func(id string) (got dashboardAnswer) {
		d.must(http.StatusOK, &got, supportClaims, http.MethodGet, "/loyalty/"+id, nil)
		return got
	}
	if got := dashboard("bob"); got.You == nil || got.You.Rank != 2 || got.Customers != 2 {
		t.Fatalf("before, bob sees %+v", got)
	}

	stdout, _ := d.forget(cli.ExitOK, "alice", "--json")
	f := wantCertified(t, stdout, false)
	if f.CustomerID != "alice" || f.Since.IsZero() {
		t.Errorf("it says %s", stdout)
	}
	waitFor(t, "alice to leave the dashboard of a process that has its own leaderboard", func() bool { return dashboard("bob").Customers == 1 })
	if got := dashboard("bob"); got.You == nil || got.You.Rank != 1 || len(got.Top) != 1 || len(got.Around) != 1 {
		t.Errorf("bob sees %+v", got)
	}
	if got := dashboard("alice"); got.You != nil || len(got.Around) != 0 {
		t.Errorf("of alice, support sees %+v", got)
	}
	// Their entries stay, and add up.
	trail := lines[view.Entry](d, "trail", "alice")
	if len(trail) != 4 || trail[0].Total != 39 {
		t.Errorf("the trail is %+v", trail)
	}
	if got, _ := d.tool(cli.ExitOK, "trail", "alice"); !strings.HasPrefix(got, "alice has 39 points by 4 entries, is forgotten, as of position ") {
		t.Errorf("the trail begins\n%s", got)
	}
	if got, _ := d.tool(cli.ExitOK, "search", name); got != "Nobody has this proxy name.\n" {
		t.Errorf("the proxy name leads to %q", got)
	}
	if got, _ := d.tool(cli.ExitOK, "verify"); !strings.Contains(got, "ledger") {
		t.Errorf("verify prints\n%s", got)
	}
	want := []string{account.TypePointsAdjusted, account.TypeCustomerForgotten, account.TypeErasureCertified}
	if got := types(t, d.data, account.Stream("alice")); !slices.Equal(got, want) {
		t.Errorf("the log has %v", got)
	}
	recorded := stream(t, d.data, account.Stream("alice"))
	if event := recorded[1].Event.(account.CustomerForgotten); event.Reason != "asked to, ticket 7" || event.Actor != "agent-1" || recorded[1].Metadata.Actor != "agent-1" {
		t.Errorf("it was forgotten by %+v", event)
	}
	if event := recorded[2].Event.(account.ErasureCertified); len(event.Checks) != 2 || event.Checks[0] != f.Checks[0].Check || event.Checks[1] != f.Checks[1].Check {
		t.Errorf("certified is %+v", event)
	}

	// Nothing comes of it a second time.
	stdout, _ = d.forget(cli.ExitOK, "alice", "--json")
	if again := wantCertified(t, stdout, true); again.Position != f.Position || again.Since != f.Since || again.Certificate.Position != f.Certificate.Position {
		t.Errorf("the first time it said\n%+v\nthe second time\n%+v", f, again)
	}
	if table, _ := d.forget(cli.ExitOK, "alice"); !strings.Contains(table, "alice is forgotten already, since ") || !strings.Contains(table, "The certificate is there already: by agent-1, ") {
		t.Errorf("it prints\n%s", table)
	}
	if got := types(t, d.data, account.Stream("alice")); !slices.Equal(got, want) {
		t.Errorf("the log has %v", got)
	}
	// What comes late is theirs still, and brings them back nowhere.
	var late placedAnswer
	d.must(http.StatusCreated, &late, webshop, http.MethodPost, "/order/late", orderBody("alice", "1000.00"))
	var got dashboardAnswer
	d.must(http.StatusOK, &got, supportClaims, http.MethodGet, "/loyalty/bob", nil, "Loyalty-Min-Position: "+late.Position)
	if got.Customers != 1 || got.You.Rank != 1 {
		t.Errorf("after a late order, bob sees %+v", got)
	}
	stdout, _ = d.forget(cli.ExitOK, "alice", "--json")
	wantCertified(t, stdout, true)
}

func TestForgettingOnAFolderWhereNothingRunsBringsTheLedgerUpToDate(t *testing.T) {
	d := openDesk(t)
	d.process.stop(os.Interrupt)
	table, _ := d.forget(cli.ExitOK, "bob")
	for _, want := range []string{"bob is forgotten now, since ", "READ MODEL", "it knows that they are forgotten", "2 points are the sum of 1 entry", "their key is retired", "dashboards of the past don't name them", "The certificate is appended: by agent-1, "} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	// A leaderboard that the certificate is not about takes a new one, once.
	year := time.Now().UTC().Format("2006")
	var certified []string
	for range 2 {
		stdout, _ := d.forget(cli.ExitOK, "bob", "--seasons", "year", "--json")
		var f support.Forgotten
		if err := json.Unmarshal([]byte(stdout), &f); err != nil || len(f.Checks) != 4 || f.Checks[2].Model != "history" || !f.Checks[2].Clean || f.Checks[3].Model != "leaderboard-"+year || !f.Checks[3].Clean || f.Certificate == nil {
			t.Fatalf("with a season's leaderboard it prints %s, %v", stdout, err)
		}
		certified = append(certified, fmt.Sprint(f.Certificate.Position, f.Certificate.Before))
	}
	if certified[0] == certified[1] || strings.TrimSuffix(certified[0], "false") != strings.TrimSuffix(certified[1], "true") {
		t.Errorf("the certificates are %v", certified)
	}
	if got := types(t, d.data, account.Stream("bob")); !slices.Equal(got, []string{account.TypeCustomerForgotten, account.TypeErasureCertified, account.TypeErasureCertified}) {
		t.Errorf("the log has %v", got)
	}

	d.tool(cli.ExitOK, "verify")

	c := newClient(t, startDev(t, d.data), d.data)
	var got dashboardAnswer
	c.must(http.StatusOK, &got, supportClaims, http.MethodGet, "/loyalty/bob", nil)
	if got.You != nil || got.Customers != 1 {
		t.Errorf("after a restart, support sees %+v", got)
	}
}

func TestForgettingIsCertifiedOnlyOnceEveryReadModelIsClean(t *testing.T) {
	d := openDesk(t)
	d.process.stop(os.Interrupt)
	if _, stderr := d.forget(cli.ExitFailed, "bob", "--patience", "1ns"); !strings.Contains(stderr, "run this again") {
		t.Errorf("without patience it says %q", stderr)
	}
	tamper := func(statement string) {
		t.Helper()
		db, err := sql.Open("sqlite", app.Folder(d.data).LedgerFile())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tamper(`UPDATE accounts SET points = points + 1 WHERE customer = 'bob'`)
	table, stderr := d.forget(cli.ExitFailed, "bob")
	if !strings.Contains(table, "3 points are not the sum of 1 entry, which is 2") || strings.Contains(table, "certificate") || !strings.Contains(stderr, "loyalty rebuild") {
		t.Errorf("with a total that does not add up it says\n%s%s", table, stderr)
	}
	if got := types(t, d.data, account.Stream("bob")); !slices.Equal(got, []string{account.TypeCustomerForgotten}) {
		t.Errorf("the log has %v", got)
	}
	// Archived entries are missing from the trail, and not from the total.
	tamper(`UPDATE entries SET previous = 0 WHERE order_id = 'store.o-2'`)
	if table, _ := d.forget(cli.ExitOK, "alice"); !strings.Contains(table, "39 points are the sum of 1 entry and what is archived") {
		t.Errorf("without the entries of earlier months it says\n%s", table)
	}
	p := startDev(t, d.data)
	d.tool(cli.ExitOK, "rebuild", "ledger")
	p.stop(os.Interrupt)
	if table, _ := d.forget(cli.ExitOK, "bob"); !strings.Contains(table, "bob is forgotten already") || !strings.Contains(table, "The certificate is appended") {
		t.Errorf("put right, it says\n%s", table)
	}
}

func TestForgettingAsksForTheIdAgain(t *testing.T) {
	d := openDesk(t)
	typed := func(text string, args ...string) (stdout, stderr string, status int) {
		var out, errs bytes.Buffer
		status = cli.Run(t.Context(), append([]string{"customer", "forget", "--data", d.data, "--reason", "ticket 7", "--actor", "agent-1", "--id"}, args...),
			cli.Streams{In: strings.NewReader(text), Out: &out, Err: &errs})
		return out.String(), errs.String(), status
	}
	for _, text := range []string{"", "\n", "yes\n", "bob\nalice\n"} {
		if stdout, stderr, status := typed(text, "alice"); status != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, "alice has 39 points by 4 entries.") || !strings.Contains(stderr, "nothing was changed") {
			t.Errorf("%q: it exits with %d: %s%s", text, status, stdout, stderr)
		}
	}
	t.Run("and hears Ctrl-C while it waits", func(t *testing.T) {
		silence, never := io.Pipe()
		defer never.Close()
		ctx, stop := context.WithCancel(t.Context())
		var out, errs lockedBuffer
		ended := make(chan int, 1)
		go func() {
			ended <- cli.Run(ctx, []string{"customer", "forget", "--data", d.data, "--reason", "ticket 7", "--actor", "agent-1", "--id", "alice"},
				cli.Streams{In: silence, Out: &out, Err: &errs})
		}()
		waitFor(t, "the question", func() bool { return strings.Contains(errs.String(), "Type the id again") })
		stop()
		if status := <-ended; status != cli.ExitFailed || !strings.Contains(errs.String(), "stopped: nothing was changed") {
			t.Errorf("it exits with %d: %s%s", status, out.String(), errs.String())
		}
	})
	if got := types(t, d.data, account.Stream("alice")); !slices.Equal(got, []string{account.TypePointsAdjusted}) {
		t.Fatalf("nobody was sure, and the log has %v", got)
	}
	if stdout, stderr, status := typed("alice\n", "alice"); status != cli.ExitOK || !strings.Contains(stdout, "alice is forgotten now") {
		t.Errorf("it exits with %d: %s%s", status, stdout, stderr)
	}
	if stdout, stderr, status := typed("", "alice"); status != cli.ExitOK || !strings.Contains(stdout, "alice is forgotten already") || stderr != "" {
		t.Errorf("once that is done, it exits with %d: %s%s", status, stdout, stderr)
	}
	if stdout, stderr, status := typed("carol\n", "carol"); status != cli.ExitFailed || !strings.Contains(stderr, "nothing is known of carol") || stdout != "" {
		t.Errorf("of nobody it says %d: %s%s", status, stdout, stderr)
	}
	for _, args := range [][]string{{"al/ice"}, {"bob", "--reason", " "}, {"bob", "--actor", "a g"}, {"bob", "--reason", strings.Repeat("x", 501)}, {"bob", "--nonsense"}} {
		if _, stderr, status := typed("bob\n", args...); status != cli.ExitUsage || stderr == "" {
			t.Errorf("%v: it exits with %d: %s", args, status, stderr)
		}
	}
	if got := types(t, d.data, account.Stream("carol")); len(got) != 0 {
		t.Errorf("of carol the log has %v", got)
	}
}

func TestForgettingInThreeStoresWithAndWithoutAProcessThatProjects(t *testing.T) {
	s := openSite(t)
	projecting := s.role("project")
	c := s.client(s.role("command,query"))
	var placed placedAnswer
	for i, id := range []string{"alice", "bob", "carol"} {
		c.must(http.StatusCreated, &placed, webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", i), orderBody(id, fmt.Sprintf("%d0.00", 9-i)))
	}
	c.trail("carol", placed.Position)
	forget := func(id string, before bool) {
		t.Helper()
		stdout, stderr, status := runIn(t, s.settings, "customer", "forget", "--id", id, "--reason", "ticket 7", "--actor", "agent-1", "--yes", "--json")
		if status != cli.ExitOK {
			t.Fatalf("forgetting %s exits with %d: %s%s", id, status, stdout, stderr)
		}
		wantCertified(t, stdout, before)
	}
	forget("alice", false)
	if status := projecting.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatalf("it stops with %d", status)
	}
	forget("bob", false)
	forget("alice", true)
	var got dashboardAnswer
	c.must(http.StatusOK, &got, supportClaims, http.MethodGet, "/loyalty/carol", nil)
	if got.You == nil || got.You.Rank != 1 || got.Customers != 1 {
		t.Errorf("carol sees %+v", got)
	}
	s.role("project")
	s.verified()
}

func TestHelpTeachesWhatSupportDoes(t *testing.T) {
	for command, wants := range map[string][]string{
		"trail":           {"newest first", "loyalty trail alice", "--csv"},
		"explain":         {"in words and numbers", "loyalty explain --order store.o-1", "exit status is 1"},
		"search":          {"Amber Otter 482913", "noted", "--reveal"},
		"customer forget": {"certificate", "There is no way back", "can be repeated"},
	} {
		stdout, stderr, status := runProgram(t, append(strings.Fields(command), "--help")...)
		if status != cli.ExitOK || stderr != "" {
			t.Errorf("%s: it exits with %d: %s", command, status, stderr)
		}
		text := strings.Join(strings.Fields(stdout), " ")
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in\n%s", command, want, stdout)
			}
		}
	}
}
