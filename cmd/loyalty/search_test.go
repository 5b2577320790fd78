package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/internal/app"
	"loyalty/internal/cli"
	"loyalty/internal/cli/flags"
	"loyalty/queries/view"
)

// proxyName is the name of a customer of the desk.
func (d *desk) proxyName(customer domain.CustomerID) string {
	d.t.Helper()
	proxies, err := flags.Stores{Data: app.Folder(d.data)}.Proxies()
	if err != nil {
		d.t.Fatal(err)
	}
	return proxies.Key(customer).Name()
}

// stream reads a stream of a folder, whether a process runs there or not.
func stream(t *testing.T, data, name string) []eventstore.Recorded {
	t.Helper()
	s, err := app.Folder(data).Connections().Open(t.Context(), app.Wanted{}, app.Quiet())
	defer func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	events, _, err := s.Store.Load(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestSearchLeadsFromWhateverSupportKnowsToTheCustomer(t *testing.T) {
	d := openDesk(t)
	trail := lines[view.Entry](d, "trail", "alice")
	goodwill, reversal, award := trail[1], trail[2], trail[3]
	for q, want := range map[string]string{
		"alice":                    "customer alice  ",
		"o-1":                      "order alice website.o-1 " + award.EntryID,
		"r-1":                      "return alice website.o-1 " + reversal.EntryID,
		string(goodwill.LoyaltyID): "loyalty alice  " + goodwill.EntryID,
	} {
		report := lines[view.SearchResult](d, "search", q)[0]
		if len(report.Matches) != 1 || report.More || report.ProxyName != nil {
			t.Fatalf("%s: %+v", q, report)
		}
		m := report.Matches[0]
		if got := fmt.Sprint(m.By, " ", m.CustomerID, " ", m.OrderID, " ", m.EntryID); got != want || (m.OccurredAt == nil) != (m.EntryID == "") {
			t.Errorf("%s leads to %q, want %q", q, got, want)
		}
		table, _ := d.tool(cli.ExitOK, "search", q)
		file, _ := d.tool(cli.ExitOK, "search", q, "--csv")
		for _, cell := range strings.Fields(want) {
			if !strings.Contains(table, cell) || !strings.Contains(file, cell) {
				t.Errorf("%s: %q is not in\n%s\nand\n%s", q, cell, table, file)
			}
		}
		if !strings.HasPrefix(table, "FOUND BY ") || !strings.HasPrefix(file, "by,customerId,orderId,occurredAt,entryId\n") {
			t.Errorf("%s: it prints\n%s\nand\n%s", q, table, file)
		}
	}
	for _, q := range []string{"o-9", "no id at all", "Amber Otter"} {
		if got, _ := d.tool(cli.ExitOK, "search", q); !strings.Contains(got, "Nothing has the id") || !strings.Contains(got, "proxy name") {
			t.Errorf("%s: it prints %q", q, got)
		}
		if got, _ := d.tool(cli.ExitOK, "search", q, "--json"); got != `{"matches":[],"more":false}`+"\n" {
			t.Errorf("%s: it prints %q", q, got)
		}
	}
	if _, stderr := d.tool(cli.ExitUsage, "search"); stderr == "" {
		t.Error("without anything to look for it does not say what is missing")
	}
}

func TestSearchTellsWhoIsBehindAProxyNameOnlyForAReasonThatIsInTheLogBefore(t *testing.T) {
	d := openDesk(t)
	name := d.proxyName("alice")
	var keys []domain.RevealID
	said := regexp.MustCompile(`under the key (\S+)\. If this fails, repeat it with --key (\S+)\.`)
	reveals := func() (all []account.ProxyNameRevealed) {
		for _, key := range keys {
			for _, recorded := range stream(t, d.data, account.RevealStream(domain.FullID(domain.Staff, key))) {
				all = append(all, recorded.Event.(account.ProxyNameRevealed))
			}
		}
		return all
	}

	for _, args := range [][]string{{name}, strings.Fields(name), {strings.ToLower(name)}, {name, "--json"}, {name, "--csv"}} {
		stdout, stderr := d.tool(cli.ExitOK, append([]string{"search"}, args...)...)
		if strings.Contains(stdout+stderr, "alice") {
			t.Fatalf("%v: it tells who it is:\n%s%s", args, stdout, stderr)
		}
		if !strings.Contains(stdout+stderr, "1 customer has this proxy name.") && !strings.Contains(stdout, `"customers":1`) {
			t.Errorf("%v: it prints\n%s%s", args, stdout, stderr)
		}
		if !strings.Contains(stdout+stderr, "--reveal --reason TEXT --actor NAME") && args[len(args)-1] != "--json" {
			t.Errorf("%v: it does not say what to do:\n%s%s", args, stdout, stderr)
		}
	}
	for _, args := range [][]string{
		{name, "--reveal", "--actor", "agent-1"}, {name, "--reveal", "--actor", "agent-1", "--reason", " "}, {name, "--reveal", "--actor", "a g", "--reason", "ticket 7"},
		{name, "--reveal", "--actor", "agent-1", "--reason", "ticket 7", "--key", "a key"},
		{name, "--reveal", "--actor", "agent-1", "--reason", "two\nlines"}, {"alice", "--reveal", "--actor", "agent-1", "--reason", "ticket 7"},
	} {
		if stdout, stderr := d.tool(cli.ExitUsage, append([]string{"search"}, args...)...); stdout != "" || stderr == "" {
			t.Errorf("%v: it prints %q, %q", args, stdout, stderr)
		}
	}
	if _, stderr, status := runIn(t, []string{"LOYALTY_ACTOR="}, "search", name, "--reveal", "--reason", "ticket 7", "--data", d.data); status != cli.ExitUsage || !strings.Contains(stderr, "--actor") {
		t.Errorf("when nobody asks, it exits with %d: %s", status, stderr)
	}
	if got := reveals(); len(got) != 0 {
		t.Fatalf("nobody was told anything, and the log says %+v", got)
	}

	got, words := d.tool(cli.ExitOK, "search", name, "--reveal", "--reason", "ticket 7", "--actor", "agent-1")
	key := said.FindStringSubmatch(words)
	if key == nil || key[1] != key[2] {
		t.Fatalf("it does not say its key: %s", words)
	}
	keys = append(keys, domain.RevealID(key[1]), "ticket-7")
	if !strings.Contains(got, "proxyName  alice") || !strings.Contains(got, "is noted in the log") {
		t.Errorf("it prints\n%s", got)
	}
	if got := reveals(); len(got) != 1 || got[0].Actor != "agent-1" || got[0].Reason != "ticket 7" || got[0].CustomerID != "alice" {
		t.Errorf("the log says %+v", got)
	}
	for range 2 {
		report := lines[view.SearchResult](d, "search", name, "--reveal", "--reason", "ticket 7", "--actor", "agent-1", "--key", "ticket-7")[0]
		if len(report.Matches) != 1 || report.Matches[0].CustomerID != "alice" || report.Matches[0].By != view.ByProxyName {
			t.Errorf("in JSON it is %+v", report)
		}
	}
	if got := reveals(); len(got) != 2 {
		t.Errorf("told under two keys, and the log says %+v", got)
	}
	if stdout, stderr := d.tool(cli.ExitFailed, "search", name, "--reveal", "--reason", "another", "--actor", "agent-1", "--key", "ticket-7"); stdout != "" || !strings.Contains(stderr, "the id was used before with other content") {
		t.Errorf("for another reason under the same key it prints %q, %q", stdout, stderr)
	}
	nobody := "Amber Otter 000000"
	if got, _ := d.tool(cli.ExitOK, "search", nobody, "--reveal", "--reason", "ticket 7", "--actor", "agent-1"); got != "Nobody has this proxy name.\n" {
		t.Errorf("of nobody's name it says %q", got)
	}
}
