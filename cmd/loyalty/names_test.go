package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"loyalty/internal/app"
	"loyalty/internal/cli"
	"loyalty/internal/proxytest"
)

// otherProxySecret is one that a second process has by mistake.
const otherProxySecret = "LOYALTY_PROXY_SECRET=7a09c1e4b86d2f53907bce1846fa3d27e15c08b94d6fa2731c8be05497d3f16a"

// nameOf is the name under which others see a customer, who has the points.
func nameOf(c *client, id string, points int64) string {
	c.t.Helper()
	var seen struct {
		You *struct {
			ProxyName string `json:"proxyName"`
			Points    int64  `json:"points"`
		} `json:"you"`
	}
	waitFor(c.t, fmt.Sprintf("%s has %d points", id, points), func() bool {
		c.must(http.StatusOK, &seen, customer(id), http.MethodGet, "/loyalty/"+id, nil)
		return seen.You != nil && seen.You.Points == points
	})
	return seen.You.ProxyName
}

const anOrder = `{"ItemIds": ["mug"], "paymentDetails": {"amount": "13.00", "currency": "GBP", "method": "card"}}`

// Given a system, and a process with another proxy secret
// When it starts, at once or before the stores answer
// Then it ends and says what to do, and nobody has another name, until somebody decides so.
func TestAProcessWithAnotherProxySecretRefusesToStart(t *testing.T) {
	s := openSite(t)
	p := s.role("command,query,project")
	c := s.client(p)
	c.must(http.StatusCreated, nil, buyer("alice"), http.MethodPost, "/order/o-1", anOrder)
	name := nameOf(c, "alice", 1)

	other := append(s.settings, otherProxySecret)
	refuses := func(settings []string, args ...string) {
		t.Helper()
		_, stderr, status := runIn(t, settings, args...)
		if status == cli.ExitOK || !strings.Contains(stderr, "made with another proxy secret") {
			t.Errorf("%v: exit status %d, says %q", args, status, stderr)
		}
	}
	for _, roles := range []string{"project", "query", "command,query,project"} {
		refuses(other, "serve", "--roles", roles, "--addr", "127.0.0.1:0")
	}
	_, stderr, status := runIn(t, other, "serve", "--addr", "127.0.0.1:0", "--leaderboard", "memory:")
	if status != cli.ExitUsage || !strings.Contains(stderr, "the ledger: its names") || !strings.Contains(stderr, "loyalty rebuild ledger --from-nothing") {
		t.Errorf("exit status %d, says %q", status, stderr)
	}
	refuses(other, "verify")
	refuses(other, "search", name)
	refuses(other, "rebuild", "ledger")
	refuses(other, "rebuild", "leaderboard")

	way := s.wired("LOYALTY_LEDGER", "")
	way.Set(proxytest.Hung)
	late := launch(t, append(s.settings, otherProxySecret, "LOYALTY_LEADERBOARD=memory:"), "serve", "--roles", "query", "--addr", "127.0.0.1:0")
	late.mustRun()
	way.Set(proxytest.Healthy)
	select {
	case err := <-late.ended:
		late.ended <- err
		if late.command.ProcessState.ExitCode() != cli.ExitUsage || !strings.Contains(late.err.String(), "made with another proxy secret") {
			t.Errorf("the process that was early ended with %v: %s", err, late.err.String())
		}
	case <-time.After(patience):
		t.Errorf("the process that was early goes on: %s", late.err.String())
	}
	if again := nameOf(c, "alice", 1); again != name {
		t.Errorf("alice was %s and is %s", name, again)
	}

	p.stop(syscall.SIGTERM)
	for _, readModel := range []string{"ledger", "leaderboard"} {
		if _, stderr, status := runIn(t, other, "rebuild", readModel, "--from-nothing"); status != cli.ExitOK {
			t.Errorf("%s: exit status %d, says %q", readModel, status, stderr)
		}
	}
	refuses(s.settings, "serve", "--addr", "127.0.0.1:0")
	if renamed := nameOf(s.client(s.role("query,project", otherProxySecret)), "alice", 1); renamed == name {
		t.Errorf("alice still is %s", name)
	}
}

// Given a folder of loyalty dev that has become too small
// When loyalty serve runs on its stores with its proxy secret
// Then everybody has the same name, and a history of other names is refused.
func TestAFolderThatOutgrowsDevKeepsItsNames(t *testing.T) {
	data := t.TempDir()
	f := app.Folder(data)
	p := startDev(t, data)
	c := newClient(t, p, data)
	c.must(http.StatusCreated, nil, buyer("alice"), http.MethodPost, "/order/o-1", anOrder)
	name := nameOf(c, "alice", 1)
	p.stop(syscall.SIGTERM)

	at := f.Connections()
	settings := []string{"LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_EVENTSTORE=" + at.Eventstore, "LOYALTY_LEDGER=" + at.Ledger, "LOYALTY_LEADERBOARD=" + at.Leaderboard}
	serve := []string{"serve", "--addr", "127.0.0.1:0", "--history", f.HistoryDir()}
	for _, secret := range []string{"LOYALTY_PROXY_SECRET_FILE=" + f.ProxySecretFile(), "LOYALTY_PROXY_SECRET=" + readText(t, f.ProxySecretFile())} {
		p := start(t, append(settings, secret), serve...)
		if got := nameOf(clientWith(t, p, []byte(siteTokenSecret)), "alice", 1); got != name {
			t.Errorf("alice was %s and is %s", name, got)
		}
		p.stop(syscall.SIGTERM)
	}
	if _, stderr, status := runIn(t, append(settings, otherProxySecret), serve...); status != cli.ExitUsage || !strings.Contains(stderr, "made with another proxy secret") {
		t.Errorf("exit status %d, says %q", status, stderr)
	}

	// The secret is lost, and loyalty dev makes another one.
	if err := os.Remove(f.ProxySecretFile()); err != nil {
		t.Fatal(err)
	}
	dev := []string{"dev", "--addr", "127.0.0.1:0", "--data", data}
	if _, stderr, status := runProgram(t, dev...); status != cli.ExitUsage || !strings.Contains(stderr, "loyalty rebuild ledger --from-nothing") {
		t.Errorf("exit status %d, says %q", status, stderr)
	}
	if _, stderr, status := runProgram(t, "rebuild", "ledger", "--from-nothing", "--data", data); status != cli.ExitOK {
		t.Errorf("exit status %d, says %q", status, stderr)
	}
	if _, stderr, status := runProgram(t, dev...); status != cli.ExitUsage || !strings.Contains(stderr, "loyalty rebuild history "+f.HistoryDir()) {
		t.Errorf("exit status %d, says %q", status, stderr)
	}
	if _, stderr, status := runProgram(t, "rebuild", "history", f.HistoryDir()); status != cli.ExitOK {
		t.Errorf("exit status %d, says %q", status, stderr)
	}
	if renamed := nameOf(newClient(t, startDev(t, data), data), "alice", 1); renamed == name {
		t.Errorf("alice still is %s", name)
	}
}
