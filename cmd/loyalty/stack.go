package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"loyalty/api"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger/sqlite"
)

// stack is the whole system in one process, on the stores of a folder.
type stack struct {
	server  *embedded.Server
	store   *eventstore.Store
	ledger  *sqlite.Ledger
	runners []*projections.Runner
	api     *api.Server

	stop    context.CancelFunc
	running sync.WaitGroup
}

// openStack opens the stores and starts the projections. The caller closes it.
func openStack(ctx context.Context, dir folder, log *slog.Logger) (_ *stack, err error) {
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return nil, err
	}
	s := &stack{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	// The event store first: its lock says whether the folder is free.
	s.server, err = embedded.Open(ctx, embedded.Options{Dir: dir.eventStore(), Logger: log})
	if errors.Is(err, embedded.ErrInUse) {
		return nil, fmt.Errorf("%s is in use by another process: stop that one, or choose another folder with --data (%w)", dir, err)
	}
	if err != nil {
		return nil, err
	}
	tokenSecret, err := openSecret(dir.tokenSecret())
	if err != nil {
		return nil, err
	}
	proxySecret, err := openSecret(dir.proxySecret())
	if err != nil {
		return nil, err
	}
	proxies, err := domain.NewProxies(proxySecret)
	if err != nil {
		return nil, err
	}
	if err := s.openStores(ctx, dir, log); err != nil {
		return nil, err
	}
	board := memory.New()
	handler, err := commands.New(s.store, commands.Options{
		Policy: domain.DefaultPolicy(), Totals: totals{board, proxies}, Now: time.Now, NewID: uuid.New,
	})
	if err != nil {
		return nil, err
	}
	verifier, err := api.NewSecretVerifier(tokenSecret, time.Now)
	if err != nil {
		return nil, err
	}
	for _, p := range []projections.Projection{
		projections.Ledger{Writer: s.ledger},
		projections.Leaderboard{Writer: board, Accounts: s.ledger, Proxies: proxies},
	} {
		s.runners = append(s.runners, projections.NewRunner(p, s.store, projections.Options{Logger: log}))
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(newProjectionMetrics(s.runners, time.Now))
	s.api, err = api.New(api.Config{
		Commands: handler, Leaderboard: board, Ledger: s.ledger, Proxies: proxies, Verifier: verifier, Log: log,
		Now: time.Now, NewRequestID: uuid.NewString, Ready: s.ready, Metrics: registry,
	})
	if err != nil {
		return nil, err
	}
	s.start(ctx)
	return s, nil
}

func (s *stack) openStores(ctx context.Context, dir folder, log *slog.Logger) error {
	target, err := embedded.SocketTarget(dir.eventStore())
	if err != nil {
		return err
	}
	events, err := eventstore.LoyaltyEvents()
	if err != nil {
		return err
	}
	if s.store, err = eventstore.Open(ctx, target, events, eventstore.Options{Logger: log}); err != nil {
		return err
	}
	s.ledger, err = sqlite.Open(ctx, dir.ledger())
	return err
}

func (s *stack) start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, runner := range s.runners {
		s.running.Go(func() {
			// Its error is logged, and makes the process not ready; what was folded so far can still be read.
			_ = runner.Run(ctx)
		})
	}
}

// close stops the projections, then closes the stores, in the order in which they need each other.
func (s *stack) close(ctx context.Context) error {
	if s.stop != nil {
		s.stop()
		s.running.Wait()
	}
	var errs []error
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.ledger != nil {
		errs = append(errs, s.ledger.Close())
	}
	if s.server != nil {
		errs = append(errs, s.server.Close(ctx))
	}
	return errors.Join(errs...)
}

// ready says which projection has not caught up.
func (s *stack) ready(context.Context) error {
	for _, runner := range s.runners {
		switch status := runner.Status(); {
		case status.Stopped != nil:
			return status.Stopped
		case !status.Live:
			return fmt.Errorf("projection %s: %w; it is at position %s", status.Name, domain.ErrNotCaughtUp, status.Position)
		}
	}
	return nil
}

// totals reads a customer's points from the leaderboard, for the commands.
type totals struct {
	leaderboard.Reader
	proxies domain.Proxies
}

// Total is what the leaderboard has for the customer.
func (t totals) Total(ctx context.Context, customer domain.CustomerID) (domain.Points, domain.Position, error) {
	standing, _, position, err := t.Standing(ctx, t.proxies.Key(customer))
	return standing.Points, position, err
}

// newHTTPServer bounds how long a client may take, so that slow ones do not pile up.
func newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}
