package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"loyalty/api"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/eventstore/embedded"
	"loyalty/projections"
	"loyalty/queries"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// roles are what a process does.
type roles struct{ command, query, project bool }

// configuration is what a stack is made of.
type configuration struct {
	roles
	connections
	busFlags
	calendar season.Calendar
	// history is the folder of what was, empty if this process keeps none.
	history string
	// embedded are the options of an event store in a folder; its Logger is everybody's. alone refuses to share one that
	// another process serves.
	embedded embedded.Options
	alone    bool
	// development makes tokens for whoever asks, nil unless this is development. origins are those whose pages show dashboards.
	development func(api.Claims, time.Duration) (string, error)
	origins     []string
	signIn      api.SignIn // nil where nobody signs in to pages
	// noWhatIf has a process for queries not answer what-ifs.
	noWhatIf bool
	// limits bound what callers may ask for at once.
	limits api.Limits
	// secrets are asked for once the event store is open, whose lock says whether the folder is free.
	secrets func(context.Context) (domain.Proxies, *api.Verifier, error)
}

// stack is the system, or those of its roles that this process has.
type stack struct {
	roles
	stores
	buses
	seasons *seasons         // nil without any
	history *history.History // nil without a folder for it
	// runners keep what this process is for, and aside what it can do without until it is there.
	runners, aside []*projections.Runner
	api            *api.Server

	stop    context.CancelFunc
	running sync.WaitGroup
}

// openStack opens the stores and starts the projections. The caller closes it.
func openStack(ctx context.Context, c configuration) (_ *stack, err error) {
	log := c.embedded.Logger
	s := &stack{roles: c.roles}
	// Projections, and the keys that tokens are verified with, outlive ctx until close.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	// A leaderboard in memory is for those who are asked for dashboards. A process that only takes orders needs one read model
	// to know totals by, and starts without the other.
	want := wanted{leaderboard: c.query || c.Leaderboard != memoryScheme, alone: c.alone}
	want.ledger = c.query || c.project || !want.leaderboard
	if s.stores, err = c.openStores(ctx, want, c.embedded); err != nil {
		return nil, err
	}
	proxies, verifier, err := c.secrets(running)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	config := api.Config{
		Proxies: proxies, Verifier: verifier, Log: log, Now: time.Now, NewRequestID: newRequestIDs(), Ready: s.ready, Metrics: registry,
		Limits: c.limits, Development: c.development, AllowOrigins: c.origins, SignIn: c.signIn,
	}
	if c.command {
		if config.Commands, err = commands.New(s.store, commands.Options{
			Policy: domain.DefaultPolicy(), Totals: s.totals(proxies), Now: time.Now, NewID: uuid.New,
		}); err != nil {
			return nil, err
		}
	}
	if c.query {
		config.Leaderboard, config.Ledger, config.Finder, config.Auditor, config.Earner = s.board, s.ledger, s.ledger, s.ledger, s.ledger
		if config.Reveals, err = commands.New(s.store, commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New}); err != nil {
			return nil, err
		}
		config.Evidence = queries.Explainer{Store: s.store, Ledger: s.ledger}
		if !c.noWhatIf {
			config.Replays = whatIfs{s.store, proxies}
		}
	}
	follower := func(p projections.Projection) *projections.Runner {
		return projections.NewRunner(p, s.store, projections.Options{Logger: log})
	}
	if c.project {
		s.runners = append(s.runners, follower(projections.Ledger{Writer: s.ledger, Proxies: proxies}))
	}
	// A shared leaderboard is kept by those who project, one in memory by each who has it.
	if (c.project && s.shared != nil) || (s.board != nil && s.shared == nil) {
		s.runners = append(s.runners, follower(projections.Leaderboard{
			Writer: s.board, Accounts: s.ledger, Proxies: proxies, Logger: log, Now: time.Now,
		}))
	}
	if s.buses, err = c.busFlags.join(c.roles, config.Commands, c.limits.Adjustments[api.RoleChannel], s.store, log, registry); err != nil {
		return nil, err
	}
	if c.history != "" {
		if s.history, err = history.Open(c.history, history.Options{Logger: log}); err != nil {
			return nil, err
		}
		config.History = s.history
		s.aside = append(s.aside, follower(projections.History{Writer: s.history, Proxies: proxies}))
	}
	if s.keepsSeasons() {
		s.seasons = &seasons{
			calendar: c.calendar, store: s.store, ledger: s.ledger, shared: s.shared, keeps: c.project, proxies: proxies, log: log, now: time.Now,
		}
		s.seasons.turn(running, time.Now())
		config.Seasons = s.seasons
	}
	registry.MustRegister(newProjectionMetrics(s.followers, time.Now))
	config.Status = s.status(c.roles.names(), time.Now(), s.storeChecks(c.connections, c.busFlags))
	if s.api, err = api.New(config); err != nil {
		return nil, err
	}
	for _, runner := range slices.Concat(s.runners, s.aside) {
		s.running.Go(func() {
			// Its error is logged, and makes the process not ready; what was folded so far can still be read.
			_ = runner.Run(running)
		})
	}
	if s.seasons != nil {
		s.running.Go(func() { s.seasons.run(running) })
	}
	s.buses.run(running, &s.running, log)
	return s, nil
}

// keepsSeasons tells whether this process has leaderboards of seasons: to answer from, or to keep in Redis for those who do.
func (s *stack) keepsSeasons() bool { return s.query || (s.project && s.shared != nil) }

// followers are all who follow the log in this process.
func (s *stack) followers() []*projections.Runner {
	followers := slices.Concat(s.runners, s.aside)
	if s.publishing != nil {
		followers = append(followers, s.publishing)
	}
	if s.seasons != nil {
		followers = append(followers, s.seasons.runners()...)
	}
	return followers
}

// close stops the projections and what goes through brokers, then closes the brokers and the stores.
func (s *stack) close(ctx context.Context) error {
	s.stop()
	s.running.Wait()
	if s.seasons != nil {
		s.seasons.close()
	}
	var closed error
	if s.history != nil {
		closed = s.history.Close()
	}
	return errors.Join(s.buses.close(), closed, s.stores.close(ctx))
}

// totals is where the commands find what a customer has: the leaderboard if this process has one, which is faster, else
// the ledger.
func (s *stack) totals(proxies domain.Proxies) commands.Totals {
	if s.board != nil {
		return boardTotals{s.board, proxies}
	}
	return ledgerTotals{s.ledger}
}

// ready says what keeps this process from doing what it is for. A projection that has caught up once may lose the event store
// again: what it has is still there to be looked at, with its age.
func (s *stack) ready(ctx context.Context) error {
	for _, runner := range s.runners {
		switch status := runner.Status(); {
		case status.Stopped != nil:
			return status.Stopped
		case !status.CaughtUp:
			return fmt.Errorf("projection %s: %w; it is at position %s", status.Name, domain.ErrNotCaughtUp, status.Position)
		}
	}
	if s.command {
		if err := s.store.Ping(ctx); err != nil {
			return fmt.Errorf("the event store: %w", err)
		}
	}
	if s.query && s.shared != nil {
		if _, err := s.shared.Checkpoint(ctx); err != nil {
			return fmt.Errorf("the leaderboard: %w", err)
		}
	}
	return nil
}

// boardTotals reads a customer's points from the leaderboard.
type boardTotals struct {
	leaderboard.Reader
	proxies domain.Proxies
}

// Total is what the leaderboard has for the customer.
func (t boardTotals) Total(ctx context.Context, customer domain.CustomerID) (domain.Points, domain.Position, error) {
	standing, _, position, err := t.Standing(ctx, t.proxies.Key(customer))
	return standing.Points, position, err
}

// ledgerTotals reads them from the ledger.
type ledgerTotals struct{ ledger.Reader }

// Total is what the ledger has for the customer.
func (t ledgerTotals) Total(ctx context.Context, customer domain.CustomerID) (domain.Points, domain.Position, error) {
	account, state, err := t.Account(ctx, customer)
	return account.Points, state.Position, err
}
