package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"loyalty/api"
	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/web"
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

// Roles are what a process does.
type Roles struct{ Command, Query, Project bool }

// Config is what a process is made of.
type Config struct {
	Roles
	Connections
	Brokers
	// Addr and AdminAddr are the addresses of the API and of what operators ask for; port 0 picks one.
	Addr, AdminAddr string
	Calendar        season.Calendar // of the leaderboards beside the one of all time
	// History is the folder in which this process keeps how the leaderboard stood at every moment; empty: it keeps none.
	History string
	// EventStore are the options of an embedded event store; its Logger is that of the whole process. Exclusive refuses to share
	// an event store that another process serves.
	EventStore embedded.Options
	Exclusive  bool
	// Development makes tokens for whoever asks; nil in production.
	Development  func(auth.Claims, time.Duration) (string, error)
	AllowOrigins []string             // origins whose pages may show dashboards
	SignIn       web.IdentityProvider // nil where nobody signs in to pages
	// NoWhatIf has a process with the query role answer no what-ifs.
	NoWhatIf bool
	// Limits bound what callers may ask for at once.
	Limits admission.Limits
	// Secrets are asked for once the event store is open, whose lock says whether the folder is free.
	Secrets func(context.Context) (domain.Proxies, *auth.Verifier, error)
	// Started is called once requests are answered. What it returns is called when the process stops, before anything else is
	// stopped. It may be nil.
	Started func(Addresses) (beforeStop func() error)
}

// Process is the system, or those of its roles that this process has.
type Process struct {
	Roles
	Stores
	buses
	seasons *seasons         // nil without any
	history *history.History // nil without a folder for it
	// runners keep what this process is for, and aside what it can do without until it is there.
	essential, optional []*projections.Runner
	api                 *api.Server

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open opens the stores and starts the projections. The caller closes it.
func Open(ctx context.Context, c Config) (_ *Process, err error) {
	log := c.EventStore.Logger
	s := &Process{Roles: c.Roles}
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
	want := Wanted{Leaderboard: c.Query || c.Leaderboard != MemoryScheme, Exclusive: c.Exclusive}
	want.Ledger = c.Query || c.Project || !want.Leaderboard
	if s.Stores, err = c.Open(ctx, want, c.EventStore); err != nil {
		return nil, err
	}
	proxies, verifier, err := c.Secrets(running)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	config := api.Config{
		Proxies: proxies, Verifier: verifier, Log: log, Now: time.Now, NewRequestID: NewRequestIDs(), Ready: s.ready, Metrics: registry,
		Limits: c.Limits, Development: c.Development, AllowOrigins: c.AllowOrigins, SignIn: c.SignIn,
	}
	if c.Command {
		if config.Commands, err = commands.New(s.Store, commands.Options{
			Policy: domain.DefaultPolicy(), Totals: s.totals(proxies), Now: time.Now, NewID: uuid.New,
		}); err != nil {
			return nil, err
		}
	}
	if c.Query {
		config.Leaderboard, config.Ledger, config.Finder, config.Auditor, config.Earner = s.Board, s.Ledger, s.Ledger, s.Ledger, s.Ledger
		if config.Reveals, err = commands.New(s.Store, commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New}); err != nil {
			return nil, err
		}
		config.Evidence = queries.Explainer{Store: s.Store, Ledger: s.Ledger}
		if !c.NoWhatIf {
			config.Replays = whatIfs{s.Store, proxies}
		}
	}
	follower := func(p projections.Projection) *projections.Runner {
		return projections.NewRunner(p, s.Store, projections.Options{Logger: log})
	}
	if c.Project {
		s.essential = append(s.essential, follower(projections.Ledger{Writer: s.Ledger, Proxies: proxies}))
	}
	// A shared leaderboard is kept by those who project, one in memory by each who has it.
	if (c.Project && s.Shared != nil) || (s.Board != nil && s.Shared == nil) {
		s.essential = append(s.essential, follower(projections.Leaderboard{
			Writer: s.Board, Accounts: s.Ledger, Proxies: proxies, Logger: log, Now: time.Now,
		}))
	}
	if s.buses, err = c.Brokers.join(c.Roles, config.Commands, c.Limits.Adjustments[auth.RoleChannel], s.Store, log, registry); err != nil {
		return nil, err
	}
	if c.History != "" {
		if s.history, err = history.Open(c.History, history.Options{Logger: log}); err != nil {
			return nil, err
		}
		config.History = s.history
		s.optional = append(s.optional, follower(projections.History{Writer: s.history, Proxies: proxies}))
	}
	if s.keepsSeasons() {
		s.seasons = &seasons{
			calendar: c.Calendar, store: s.Store, ledger: s.Ledger, shared: s.Shared, keeps: c.Project, proxies: proxies, log: log, now: time.Now,
		}
		s.seasons.turn(running, time.Now())
		config.Seasons = s.seasons
	}
	registry.MustRegister(newProjectionMetrics(s.runners, time.Now))
	config.Status = s.status(c.Roles.names(), time.Now(), s.storeChecks(c.Connections, c.Brokers))
	if s.api, err = api.New(config); err != nil {
		return nil, err
	}
	for _, runner := range slices.Concat(s.essential, s.optional) {
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

// addresses are those of the process whose servers listen there.
func (s *Process) addresses(api, admin net.Addr) Addresses {
	a := Addresses{API: api, Admin: admin}
	if s.Server != nil {
		a.EventStore = s.Server.Addr()
	}
	return a
}

// keepsSeasons tells whether this process has leaderboards of seasons: to answer from, or to keep in Redis for those who do.
func (s *Process) keepsSeasons() bool { return s.Query || (s.Project && s.Shared != nil) }

// runners are all who follow the log in this process.
func (s *Process) runners() []*projections.Runner {
	followers := slices.Concat(s.essential, s.optional)
	if s.publishing != nil {
		followers = append(followers, s.publishing)
	}
	if s.seasons != nil {
		followers = append(followers, s.seasons.runners()...)
	}
	return followers
}

// close stops the projections and what goes through brokers, then closes the brokers and the stores.
func (s *Process) close(ctx context.Context) error {
	s.stop()
	s.running.Wait()
	if s.seasons != nil {
		s.seasons.close()
	}
	var closed error
	if s.history != nil {
		closed = s.history.Close()
	}
	return errors.Join(s.buses.close(), closed, s.Stores.Close(ctx))
}

// totals is where the commands find what a customer has: the leaderboard if this process has one, which is faster, else
// the ledger.
func (s *Process) totals(proxies domain.Proxies) commands.Totals {
	if s.Board != nil {
		return boardTotals{s.Board, proxies}
	}
	return ledgerTotals{s.Ledger}
}

// ready says what keeps this process from doing what it is for. A projection that has caught up once may lose the event store
// again: what it has is still there to be looked at, with its age.
func (s *Process) ready(ctx context.Context) error {
	for _, runner := range s.essential {
		switch status := runner.Status(); {
		case status.Stopped != nil:
			return status.Stopped
		case !status.CaughtUp:
			return fmt.Errorf("projection %s: %w; it is at position %s", status.Name, domain.ErrNotCaughtUp, status.Position)
		}
	}
	if s.Command {
		if err := s.Store.Ping(ctx); err != nil {
			return fmt.Errorf("the event store: %w", err)
		}
	}
	if s.Query && s.Shared != nil {
		if _, err := s.Shared.Checkpoint(ctx); err != nil {
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
