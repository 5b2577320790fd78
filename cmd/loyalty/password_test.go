package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"loyalty/readmodels/leaderboard/redis/redistest"
)

// Given an event store and a broker with users, whose addresses a process has in files
// When the passwords are changed at the servers
// Then orders are 503 and to be repeated, and commands of the broker wait
// When the files have the new ones
// Then everything goes on in the same process, and nothing was put aside.
func TestAPasswordThatIsChangedIsWaitedForAndReadAgain(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	broker := redistest.Start(t)
	broker.Do("ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all")
	cert, key := certificateFiles(t, dir)
	users, address, busAddress := filepath.Join(dir, "users"), filepath.Join(dir, "eventstore.address"), filepath.Join(dir, "bus.address")
	listen := quietAddress(t, rand.New(rand.NewPCG(rand.Uint64(), 0)))
	password := func(name, is string) string { return "[administrators]\n" + name + ":" + is + "\n" }
	serveEvents := func(is string) *process {
		file(t, users, password("app", is), 0o600)
		return startDev(t, data, "--eventstore-addr", listen, "--eventstore-cert", cert, "--eventstore-key", key, "--eventstore-users", users)
	}
	know := func(is string) {
		file(t, address, fmt.Sprintf("kurrentdb://app:%s@%s?tlsCAFile=%s\n", is, listen, cert), 0o600)
		file(t, busAddress, "redis://app:"+is+"@"+broker.Addr()+"\n", 0o600)
	}
	events := serveEvents("one")
	know("one")
	p := start(t, []string{
		"LOYALTY_EVENTSTORE_FILE=" + address, "LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_PROXY_SECRET=" + siteProxySecret, "LOYALTY_COMMAND_BUS_FILE=" + busAddress,
	}, "serve", "--roles", "command", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	c := clientWith(t, p, []byte(siteTokenSecret))
	order := func(id string) answer {
		t.Helper()
		got, err := c.call(webshop, http.MethodPost, "/order/"+id, orderBody("alice", "50.00"))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := order("o-1"); got.status != http.StatusCreated {
		t.Fatalf("at first an order is %d: %s", got.status, got.body)
	}
	events.stop(syscall.SIGTERM)
	serveEvents("two")
	broker.Do("ACL", "SETUSER", "app", "<one", ">two")
	broker.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	waitFor(t, "the login to be refused", func() bool {
		return strings.Contains(p.err.String(), "Unauthenticated") || order("o-2").status == http.StatusServiceUnavailable
	})
	broker.Do("XADD", "loyalty.commands", "*", "id", "b-1", "name", "place-order.v1", "payload",
		`{"orderId":"b1","customerId":"alice","ItemIds":["m"],"paymentDetails":{"amount":"20","currency":"GBP"},"channel":"store","actor":"t"}`)
	if got := order("o-2"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(string(got.body), "one") {
		t.Errorf("with the old password an order is %d: %s", got.status, got.body)
	}
	know("two")
	waitFor(t, "an order", func() bool {
		got := order("o-2")
		return got.status == http.StatusCreated || got.status == http.StatusOK
	})
	waitFor(t, "the command's result", func() bool { return broker.Do("XLEN", "loyalty.results") == "1" })
	if n := broker.Do("XLEN", "loyalty.poison"); n != "0" {
		t.Errorf("%v commands are put aside", n)
	}
}
