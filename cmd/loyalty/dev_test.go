package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
	"loyalty/internal/app"
	"loyalty/internal/cli"
)

func TestAnOrderShowsInTheDashboardOfItsCustomerAndOfWhomItOvertook(t *testing.T) {
	data := t.TempDir()
	c := newClient(t, startDev(t, data), data)
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, buyer("bob"), http.MethodPost, "/order/o-1", orderBody(nil, "50.00"))
	c.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/o-2", orderBody("alice", 129.99))
	if placed.OrderID != "o-2" || placed.Status != "placed" || placed.Points != 13 || placed.Position == "" {
		t.Errorf("the order was answered with %+v", placed)
	}
	for id, rank := range map[string]int64{"alice": 1, "bob": 2} {
		var got dashboardAnswer
		c.must(http.StatusOK, &got, customer(id), http.MethodGet, "/loyalty/"+id, nil, "Loyalty-Min-Position: "+placed.Position)
		if got.You == nil || got.You.Rank != rank || got.Customers != 2 || len(got.Top) != 2 || len(got.Around) != 2 {
			t.Errorf("%s sees %+v", id, got)
		}
	}
	var none dashboardAnswer
	c.must(http.StatusOK, &none, customer("carol"), http.MethodGet, "/loyalty/carol", nil)
	if none.You != nil || len(none.Top) != 2 || len(none.Around) != 0 {
		t.Errorf("a customer without points sees %+v", none)
	}
}

func TestARestartFindsEverythingAsItWas(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	var placed placedAnswer
	for i := range 20 {
		c.must(http.StatusCreated, &placed, webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", i), orderBody(fmt.Sprintf("c-%d", i%7), fmt.Sprintf("%d.00", 10+i)))
	}
	view := func(c *client) string {
		var got dashboardAnswer
		c.must(http.StatusOK, &got, customer("c-3"), http.MethodGet, "/loyalty/c-3?top=100&around=50", nil, "Loyalty-Min-Position: "+placed.Position)
		return fmt.Sprint(got.Top, got.Around, *got.You, got.Customers, got.Position, c.trail("c-3", placed.Position))
	}
	before := view(c)
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Fatalf("after Ctrl-C the exit status is %d: %s", status, p.err.String())
	}
	if !strings.Contains(p.out.String(), "Stopping") {
		t.Errorf("it did not say that it stops:\n%s", p.out.String())
	}
	p = startDev(t, data)
	if after := view(newClient(t, p, data)); after != before {
		t.Errorf("before the restart:\n%s\nafter:\n%s", before, after)
	}
	if status := p.stop(syscall.SIGTERM); status != cli.ExitOK {
		t.Errorf("after SIGTERM the exit status is %d", status)
	}
}

func TestAFolderServesOneProcessAtATime(t *testing.T) {
	data := t.TempDir()
	startDev(t, data)
	_, stderr, status := runProgram(t, "dev", "--addr", "127.0.0.1:0", "--data", data)
	if status != cli.ExitFailed || !strings.Contains(stderr, data) || !strings.Contains(stderr, "--data") {
		t.Errorf("a second process exits with %d and says %q; want 1, the folder, and what to do", status, stderr)
	}
}

func TestAnAddressInUseSaysWhatToDo(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	_, stderr, status := runProgram(t, "dev", "--addr", strings.TrimPrefix(p.base, "http://"), "--data", t.TempDir())
	if status != cli.ExitFailed || !strings.Contains(stderr, "--addr") {
		t.Errorf("it exits with %d and says %q", status, stderr)
	}
}

func TestDevSaysWhereThingsAreAndWhatToTry(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	for _, want := range []string{p.base, data, "token --data " + data} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("it does not print %q:\n%s", want, p.out.String())
		}
	}
	if lines := strings.Count(p.out.String(), "\n"); lines > 12 {
		t.Errorf("it prints %d lines, which is more than a few", lines)
	}
}

func TestTheDemoMovesADashboard(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data, "--demo")
	header := regexp.MustCompile(`Dashboard of \S+, one of \d+ customers`)
	waitFor(t, "three dashboards, no two alike", func() bool {
		p.mustRun()
		shown := header.Split(p.out.String(), -1)
		return len(shown) > 4 && shown[1] != shown[2] && shown[2] != shown[3]
	})
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Errorf("after Ctrl-C the exit status is %d: %s", status, p.err.String())
	}
}

func TestTokenPrintsATokenThatWorks(t *testing.T) {
	data := t.TempDir()
	c := newClient(t, startDev(t, data), data)
	for _, args := range [][]string{
		{"--role", "customer", "--sub", "alice"},
		{"--role", "support", "--sub", "agent-1"},
	} {
		token, stderr, status := runProgram(t, append([]string{"token", "--data", data}, args...)...)
		if status != cli.ExitOK || stderr != "" || strings.Count(token, "\n") != 1 {
			t.Fatalf("%v: exit status %d, %q, %q", args, status, token, stderr)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/loyalty/alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
		response, err := c.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%v: the dashboard answers %s", args, response.Status)
		}
	}
	for _, name := range []string{app.Folder(data).TokenSecretFile(), app.Folder(data).ProxySecretFile()} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info.Mode(), err)
		}
	}
}

// Given loyalty dev for other machines, too
// Then its address is one to open, and it says, also to whoever wants to sign in, why nobody can and what to do.
func TestDevOnAnotherAddressSaysWhyNobodySignsIn(t *testing.T) {
	p := startDev(t, t.TempDir(), "--addr", "0.0.0.0:0")
	if !strings.HasPrefix(p.base, "http://localhost:") || !strings.Contains(p.out.String(), "Pages can't be signed in to: loyalty dev") {
		t.Errorf("it greets with %s", p.out.String())
	}
	response, err := http.Get(p.base + "/sign-in?to=/support")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusNotFound || !strings.Contains(string(page), "--addr 127.0.0.1:8080") {
		t.Errorf("%s: %s, %v", response.Status, page, err)
	}
	t.Run("on this machine", func(t *testing.T) {
		if p := startDev(t, t.TempDir()); strings.Contains(p.out.String(), "signed in") {
			t.Errorf("it greets with %s", p.out.String())
		}
	})
}

func TestUsedWronglyItSaysHowAndExitsWith2(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense"},
		{"token", "--role", "king", "--sub", "alice"},
		{"token", "--role", "customer"},
		{"dev", "--nonsense"},
	} {
		stdout, stderr, status := runProgram(t, args...)
		if status != cli.ExitUsage || !strings.Contains(stdout+stderr, "--help") {
			t.Errorf("%v: exit status %d, says %q", args, status, stdout+stderr)
		}
	}
	if _, stderr, status := runProgram(t, "token", "--role", "customer", "--sub", "alice", "--data", t.TempDir()); status != cli.ExitFailed || !strings.Contains(stderr, "loyalty dev") {
		t.Errorf("a folder without a secret: exit status %d, says %q", status, stderr)
	}
	data := t.TempDir()
	file(t, app.Folder(data).TokenSecretFile(), siteTokenSecret+"\n", 0o600)
	if _, stderr, status := runProgram(t, "token", "--data", data, "--role", "channel", "--sub", "till-1"); status != cli.ExitUsage || !strings.Contains(stderr, "channel") {
		t.Errorf("a channel's token without a channel: exit status %d, says %q", status, stderr)
	}
	if err := os.Chmod(app.Folder(data).TokenSecretFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, status := runProgram(t, "token", "--data", data, "--role", "customer", "--sub", "alice"); status != cli.ExitFailed || !strings.Contains(stderr, "chmod 600") {
		t.Errorf("a secret that others can read: exit status %d, says %q", status, stderr)
	}
	if stdout, _, status := runProgram(t, "--help"); status != cli.ExitOK || !strings.Contains(stdout, "loyalty dev --demo") {
		t.Errorf("help: exit status %d, says %q", status, stdout)
	}
}

func TestCardDataIsNowhereOnDiskOrInTheLog(t *testing.T) {
	const number, code, holder, street = "4929138475551234", "cvv-739-cvv", "Persephone Quill", "17 Larkspur Mews"
	data := t.TempDir()
	p := startDev(t, data)
	c := newClient(t, p, data)
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/order-to-be-found", map[string]any{
		"ItemIds": []string{"sku-1"}, "customerId": "alice",
		"paymentDetails": map[string]any{
			"amount": "10.00", "currency": "GBP", "method": "card", "cardNumber": number, "cvv": code,
			"holder": map[string]any{"name": holder, "address": []string{street}},
		},
	})
	// Refused requests must not leave it in the log either.
	for _, body := range []string{
		`{"ItemIds":["a"],"customerId":"alice","paymentDetails":{"amount":"-1","currency":"GBP","cardNumber":"` + number + `"}}`,
		`{"paymentDetails":{"cardNumber":"` + number + `","cvv":"` + code + `"`,
		`{"` + number + `":"` + holder + `"}`,
	} {
		got, err := c.call(webshop, http.MethodPost, "/order/refused", body)
		if err != nil || got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %v", body, got.status, err)
		}
		if strings.Contains(string(got.body), holder) || strings.Contains(string(got.body), code) {
			t.Errorf("the answer repeats it: %s", got.body)
		}
	}
	c.trail("alice", placed.Position)
	p.kill() // so that nothing is tidied up
	log := p.err.String()
	found := map[string]bool{}
	look := func(where string, content []byte) {
		for _, secret := range []string{number, code, holder, street} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%q is in %s", secret, where)
			}
		}
		found["order-to-be-found"] = found["order-to-be-found"] || bytes.Contains(content, []byte("order-to-be-found"))
	}
	look("the log", []byte(log))
	found["order-to-be-found"] = false
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		look(path, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found["order-to-be-found"] {
		t.Error("the order itself was not found on disk: the search finds nothing")
	}
	lookThroughTheEvents(t, data, look)
}

// lookThroughTheEvents reads the log itself, since files may be compressed.
func lookThroughTheEvents(t *testing.T, data string, look func(where string, content []byte)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	server, err := embedded.Open(ctx, embedded.Options{Dir: app.Folder(data).EventStoreDir()})
	if err != nil {
		t.Fatal(err)
	}
	target, err := embedded.SocketTarget(app.Folder(data).EventStoreDir())
	if err != nil {
		t.Fatal(err)
	}
	client, err := esdb.NewClient(&esdb.Configuration{Address: target, DisableTLS: true, MaxDiscoverAttempts: 1, GossipTimeout: 5, Logger: esdb.NoopLogging()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(client.Close(), server.Close(ctx)); err != nil {
			t.Error(err)
		}
	}()
	events, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.Start{}}, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	for n := 0; ; n++ {
		event, err := events.Recv()
		if err != nil {
			if n < 2 {
				t.Errorf("only %d events are in the log: %v", n, err)
			}
			return
		}
		look("event "+event.OriginalEvent().EventType, append(event.OriginalEvent().Data, event.OriginalEvent().UserMetadata...))
	}
}

// Given the commands that dev prints to try
// When they are carried out
// Then the order is placed, and its points are on the dashboard.
func TestWhatDevSaysToTryWorks(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	said := p.out.String()
	find := func(pattern string) []string {
		t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(said)
		if found == nil {
			t.Fatalf("dev prints no %s:\n%s", pattern, said)
		}
		return found[1:]
	}
	token, stderr, status := runProgram(t, strings.Fields(find(`\$\(\S+ (token .*)\)`)[0])...)
	if status != cli.ExitOK {
		t.Fatal(stderr)
	}
	order := find(`(http://\S+/order/\S+) \\\n\s+-d '(.*)'`)
	if status, said := bearing(t, token, http.MethodPost, order[0], order[1]); status != http.StatusCreated {
		t.Fatalf("the order is answered with %d %s", status, said)
	}
	dashboard := find(`(http://\S+/loyalty/\S+)`)[0]
	waitFor(t, "the points on the dashboard", func() bool {
		status, said := bearing(t, token, http.MethodGet, dashboard, "")
		return status == http.StatusOK && strings.Contains(said, `"points":13`)
	})
}
