package redis_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/bus"
	"loyalty/bus/bustest"
	"loyalty/domain"
	"loyalty/internal/proxytest"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// Given a network that loses some of the answers with which Redis delivers commands
// When no process dies
// Then the consumer to which they were delivered carries them out all the same, each once, and the stream is as long as what waits again.
func TestACommandWhoseDeliveryWasLostIsCarriedOutByItsOwnConsumer(t *testing.T) {
	server := redistest.Start(t)
	p := proxytest.Start(t, "tcp", server.Addr())
	b := open(t, server.URL())
	s := bustest.NewSystem(t, brokerOf(t, b))
	results := s.Watch(s.Topics.Results)
	var lost atomic.Int64
	const losses, all = 5, 30
	p.Set(func(part proxytest.Part) proxytest.Verdict {
		if part.Answer && bytes.Contains(part.Data, []byte("orderId")) && lost.Add(1) <= losses {
			return proxytest.Cut
		}
		return proxytest.Pass
	})
	start(t, s, "redis://"+p.Addr()+quick)
	var ids []string
	for i := range all {
		ids = append(ids, s.Send(bustest.Mug(fmt.Sprintf("o-%d", i), "alice")))
	}
	for _, id := range ids {
		if got := results.Result(id); got.Status != bus.Placed {
			t.Errorf("got %+v", got)
		}
	}
	if n := lost.Load(); n < losses {
		t.Fatalf("%d deliveries were lost", n)
	}
	if n := len(results.All()); n != all {
		t.Errorf("%d results for %d commands", n, all)
	}
	bustest.WaitFor(t, "everything acknowledged", func() bool {
		return strings.HasPrefix(server.Do("XPENDING", s.Topics.Commands, "loyalty"), "[0")
	})
	if _, err := b.TrimNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := server.Do("XLEN", s.Topics.Commands); n != "1" {
		t.Errorf("%s commands are left, want the last alone", n)
	}
}

// Given a Redis that refuses our login, or our rights, at the start and in the middle
// Then consumer and publisher wait it out, and nothing is put aside.
func TestARedisThatRefusesOurUserIsWaitedOut(t *testing.T) {
	server := redistest.Start(t)
	s := bustest.NewSystem(t, brokerOf(t, open(t, server.URL())))
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	nothing := server.Do("INFO", "errorstats")
	start(t, s, "redis://app:right@"+server.Addr()+"?claim_after=500ms")
	orders := 0
	// refused sends a command, waits until Redis has refused something, and has it allow everything again.
	refused := func(what, errors string) {
		t.Helper()
		id := s.Send(bustest.Mug(fmt.Sprintf("o-%d", orders), "alice"))
		orders++
		bustest.WaitFor(t, "a refusal: "+what, func() bool { return server.Do("INFO", "errorstats") != errors })
		server.Do("ACL", "SETUSER", "app", "on", "resetpass", ">right", "~*", "+@all")
		if got := results.Result(id); got.Status != bus.Placed && got.Status != bus.Replayed {
			t.Errorf("%s: got %+v", what, got)
		}
	}
	refused("at the start", nothing)
	for what, refuse := range map[string][]any{
		"no user": {"DELUSER", "app"}, "another password": {"SETUSER", "app", "resetpass", ">other"}, "no rights": {"SETUSER", "app", "-@all", "+xreadgroup"},
		"may not acknowledge": {"SETUSER", "app", "-xack"}, "no keys": {"SETUSER", "app", "resetkeys"},
	} {
		errors := server.Do("INFO", "errorstats")
		server.Do(append([]any{"ACL"}, refuse...)...)
		server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		refused(what, errors)
	}
	if n := len(poison.All()); n != 0 {
		t.Errorf("%d are poisoned", n)
	}
}

// Given a Redis that hangs, refuses, loses answers or cuts them in the middle, while commands come
// When it is right again
// Then every command is carried out once.
func TestEveryCommandIsCarriedOutOnceWhateverTheNetworkDoes(t *testing.T) {
	server := redistest.Start(t)
	p := proxytest.Start(t, "tcp", server.Addr())
	s := bustest.NewSystem(t, brokerOf(t, open(t, server.URL())))
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	start(t, s, "redis://"+p.Addr()+"?claim_after=500ms&read_timeout=200ms")
	orders := 0
	send := func() {
		for range 5 {
			s.Send(bustest.Mug(fmt.Sprintf("o-%d", orders), "alice"))
			orders++
		}
	}
	for _, rule := range []proxytest.Rule{proxytest.Refusing, proxytest.LosingAnswers, proxytest.CuttingAnswers, proxytest.CuttingRequests, proxytest.Hung} {
		send()
		var judged atomic.Int64
		p.Set(func(part proxytest.Part) proxytest.Verdict { judged.Add(1); return rule(part) })
		send()
		bustest.WaitFor(t, "the network to be used", func() bool { return judged.Load() > 3 })
		p.Set(proxytest.Healthy)
	}
	answered := func() int {
		placed := make(map[domain.OrderID]bool)
		for _, m := range results.All() {
			if r, err := bus.DecodeResult(m); err == nil && (r.Status == bus.Placed || r.Status == bus.Replayed) {
				placed[r.OrderID] = true
			}
		}
		return len(placed)
	}
	bustest.WaitFor(t, "all results", func() bool { return answered() == orders })
	for i := range orders {
		if n := s.Stored(fmt.Sprintf("order-store.o-%d", i)); n != 2 {
			t.Errorf("order o-%d has %d events", i, n)
		}
	}
	if n := len(poison.All()); n != 0 {
		t.Errorf("%d are poisoned", n)
	}
	bustest.WaitFor(t, "everything acknowledged", func() bool {
		return strings.HasPrefix(server.Do("XPENDING", s.Topics.Commands, "loyalty"), "[0")
	})
}

// A stop has to be over before a supervisor kills the process, whatever Redis does.
func TestAStopDoesNotWaitForARedisThatHangs(t *testing.T) {
	server := redistest.Start(t)
	p := proxytest.Start(t, "tcp", server.Addr())
	s := bustest.NewSystem(t, brokerOf(t, open(t, server.URL())))
	results := s.Watch(s.Topics.Results)
	c := start(t, s, "redis://"+p.Addr()+quick)
	results.Result(s.Send(bustest.Mug("o-1", "alice")))
	var held atomic.Int64
	p.Set(func(proxytest.Part) proxytest.Verdict { held.Add(1); return proxytest.Hold })
	s.Send(bustest.Mug("o-2", "alice"))
	bustest.WaitFor(t, "requests to hang", func() bool { return held.Load() > 3 })
	began := time.Now()
	c.end()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %s", took)
	} else {
		t.Logf("it took %s", took)
	}
	p.Set(proxytest.Healthy)
	start(t, s, "redis://"+p.Addr()+quick)
	bustest.WaitFor(t, "the second order", func() bool { return s.Stored("order-store.o-2") == 2 })
}

func TestWhatIsToBeRetriedOrDroppedIsChosenByItsCode(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+quick)
	s := bustest.NewSystem(t, brokerOf(t, b))
	poisonThree(t, s, b)
	server.Do("XADD", s.Topics.Commands, "*", "id", "big", "name", bus.NamePlaceOrder, "payload", strings.Repeat("x", 70_000))
	results := s.Watch(s.Topics.Results)
	stop := s.Start(nil)
	if got := results.Result("big"); got.Problem == nil || got.Problem.Code != "payload_too_large" || !got.Discarded {
		t.Errorf("got %+v", got)
	}
	stop()
	if n, err := b.RetryAll(t.Context(), "points_zero"); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	entries := listed(t, b)
	if got := codes(entries); got != "conflict json_malformed payload_too_large" {
		t.Errorf("left: %s", got)
	}
	big := entries[2]
	if size := server.Do("MEMORY", "USAGE", s.Topics.Poison, "SAMPLES", "0"); len(size) > 4 || !big.Discarded {
		t.Errorf("the poison topic takes %s bytes, with %+v", size, big)
	}
	if err := b.Retry(t.Context(), big.ID); err == nil || !strings.Contains(err.Error(), "was not kept") {
		t.Errorf("got error %v", err)
	}
	if n, err := b.RetryAll(t.Context(), ""); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := b.DropAll(t.Context(), "too large", "payload_too_large"); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if left := listed(t, b); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}
