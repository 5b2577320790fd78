package eventstore_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/eventstore/storetest"
	"loyalty/internal/proxytest"
)

// silence is a server that accepts connections and never answers, like a machine that hangs.
type silence struct {
	listener  net.Listener
	connected chan struct{} // holds something once somebody has connected
	accepting sync.WaitGroup
}

func listenInSilence(t *testing.T, addr string) *silence {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &silence{listener: listener, connected: make(chan struct{}, 1)}
	s.accepting.Go(func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			defer conn.Close()
			select {
			case s.connected <- struct{}{}:
			default:
			}
		}
	})
	t.Cleanup(s.end)
	return s
}

// end hangs up.
func (s *silence) end() {
	_ = s.listener.Close()
	s.accepting.Wait()
}

// connect opens the store at an address. An attempt to connect takes a second at most.
func connect(ctx context.Context, t *testing.T, addr, options string) (*eventstore.Store, error) {
	t.Helper()
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	return eventstore.Open(ctx, "esdb://"+addr+"?tls=false&gossipTimeout=1"+options, registry, eventstore.Options{})
}

// connected is the store at an address, with an event in it.
func connected(t *testing.T, addr string) *eventstore.Store {
	t.Helper()
	store, err := connect(bounded(t), t, addr, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	return store
}

// Given a store that does not answer, to which the configured attempts to connect take far longer than this test may
// When it is opened with a context that ends
// Then Open returns domain.ErrUnavailable then, and nothing goes on after that but the attempt in progress.
func TestASilentStoreIsGivenUpWhenTheCallersContextEnds(t *testing.T) {
	s := listenInSilence(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan error, 1)
	go func() {
		_, err := connect(ctx, t, s.listener.Addr().String(), "&maxDiscoverAttempts=1000000")
		opened <- err
	}()
	<-s.connected
	cancel()
	select {
	case err := <-opened:
		if !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want domain.ErrUnavailable because of the context", err)
		}
	case <-time.After(timeout):
		t.Fatal("nobody gave up")
	}
}

// Given a store that has stopped answering, and calls that have given up
// When it answers again
// Then calls and subscriptions go on, and none waits longer than its context.
func TestAStoreThatSpeaksAgainIsFound(t *testing.T) {
	dir, addr := t.TempDir(), "127.0.0.1:0"
	serve := func() (stop func()) {
		running, err := embedded.Open(t.Context(), embedded.Options{Dir: dir, Addr: addr})
		if err != nil {
			t.Fatal(err)
		}
		addr = running.Addr()
		return func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			if err := running.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
	}
	stop := serve()
	store := connected(t, addr)
	f := storetest.Follow(t, store, domain.Position{})
	storetest.WaitFor(t, "the event", func() bool { return len(f.Points()) == 1 })

	stop()
	s := listenInSilence(t, addr)
	load := func(timeout time.Duration) ([]eventstore.Recorded, error) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		events, _, err := store.Load(ctx, "account-a")
		return events, err
	}
	for range 3 {
		if _, err := load(50 * time.Millisecond); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got %v, want domain.ErrUnavailable", err)
		}
	}
	s.end()

	defer serve()()
	storetest.WaitFor(t, "the store to be found", func() bool { events, err := load(time.Second); return err == nil && len(events) == 1 })
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 2))
	storetest.WaitFor(t, "the second event", func() bool { return len(f.Points()) == 2 })
}

// Given a connection to a server that hangs, without a word to the client
// When a caller runs out of time, and nobody was answered meanwhile
// Then the next one connects anew, where another node may answer.
func TestAServerThatAnswersNobodyIsLeft(t *testing.T) {
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	proxy := proxytest.Start(t, "tcp", server.Addr())
	store := connected(t, proxy.Addr())
	opened := proxy.Opened()
	proxy.Set(func(p proxytest.Part) proxytest.Verdict {
		if p.Connection <= opened {
			return proxytest.Hold
		}
		return proxytest.Pass
	})
	storetest.WaitFor(t, "an answer", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
		defer cancel()
		_, _, err := store.Load(ctx, "account-a")
		return err == nil
	})
}
