package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/api/auth/keys"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/eventstore/reading"
	"loyalty/projections"
	"loyalty/queries"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard/memory"
)

// Process is a running process: its stores, its projections and its API.
type Process struct {
	Roles
	Stores
	buses
	// reading is the log, which all projections of the process share.
	reading *reading.Shared
	seasons *seasons         // nil without any
	history *history.History // nil without a folder for it
	// The roles are not ready before the essential projections have caught up. The process serves without the optional ones.
	essential, optional []*projections.Runner
	// filling is the essential runner of the ledger, whose schema it brings up to date first; nil without the project role.
	filling *projections.Runner
	// board is the essential runner of a leaderboard in this process's memory; nil where it is shared.
	board *projections.Runner
	// files is where leaderboards in memory are kept, and file is that of all time; nil for none.
	files boardFiles
	file  *memory.File
	shown atomic.Bool // there was a leaderboard to show
	// keys are those that tokens are verified with; nil for a secret.
	keys *keys.Set
	// stopping is set once the process is to stop: it is not ready from then on.
	stopping atomic.Bool
	api      *api.Server
	// unfit has why the process must not go on, where a store that was away when it began says so.
	unfit chan error

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open opens the stores and starts the projections, and serves nothing yet. The caller closes it.
func Open(ctx context.Context, c Config) (_ *Process, err error) {
	log := c.EventStore.Logger
	p := &Process{Roles: c.Roles, unfit: make(chan error, 1)}
	// Projections, and what reads keys, outlive ctx until close.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(context.WithoutCancel(ctx)))
		}
	}()
	// A process that only takes orders needs no read model. One that only projects needs a leaderboard if others read it.
	want := Wanted{Ledger: c.Query || c.Project, Leaderboard: c.Query || c.Project && c.Leaderboard != MemoryScheme, Exclusive: c.Exclusive, Patient: true}
	if p.Stores, err = c.Open(ctx, want, c.EventStore); err != nil {
		return nil, err
	}
	proxies, verifier, err := c.Secrets()
	if err != nil {
		return nil, err
	}
	// Nothing is projected, or shown, under names that the others don't have.
	known, err := p.CheckNames(ctx, proxies)
	if err != nil {
		return nil, err
	}
	p.running.Go(func() { verifier.Run(running) })
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if p.keys = c.Keys; p.keys != nil {
		registry.MustRegister(newKeyMetrics(p.keys))
		p.running.Go(func() { p.keys.Run(running) })
	}
	config := api.Config{
		Proxies: proxies, Verifier: verifier, Log: log, Now: time.Now, NewRequestID: NewRequestIDs(), Ready: p.readiness(), Metrics: registry,
		Limits: c.Limits, Development: c.Development, NoSignIn: c.NoSignIn, AllowOrigins: c.AllowOrigins, SignIn: c.SignIn, PublicURL: c.PublicURL,
	}
	if c.Command {
		handler, err := commands.New(p.Store, commands.Options{
			Policy: domain.DefaultPolicy(), MaxOrderPoints: c.MaxOrderPoints, MaxAdjustmentPoints: c.MaxAdjustmentPoints, Now: time.Now, NewID: uuid.New,
		})
		if err != nil {
			return nil, err
		}
		config.Commands = handler
		p.running.Go(func() { handler.Run(running) })
	}
	if c.Query {
		config.Leaderboard, config.Ledger, config.Finder, config.Auditor, config.Earner = p.Leaderboard, p.Ledger, p.Ledger, p.Ledger, p.Ledger
		records, err := p.Handler()
		if err != nil {
			return nil, err
		}
		config.Reveals, config.Views = records, records
		config.Evidence = queries.Explainer{Store: p.Store, Ledger: p.Ledger}
		if !c.NoWhatIf {
			config.Replays = whatIfs{p.Store, proxies}
		}
	}
	p.reading = reading.NewShared(p.Store, reading.Options{Logger: log})
	if p.files, err = openBoardFiles(c); err != nil {
		return nil, err
	}
	if err := p.newRunners(ctx, c, proxies); err != nil {
		return nil, err
	}
	if p.history != nil {
		config.History = p.history
	}
	if p.keepsSeasons() {
		p.seasons = &seasons{
			calendar: c.Calendar, store: p.Store, reading: p.reading, ledger: p.Ledger, shared: p.Shared, keeps: c.Project, proxies: proxies, files: p.files, log: log, now: time.Now,
		}
		p.seasons.update(running, time.Now())
		config.Seasons = p.seasons
	}
	if p.buses, err = c.Brokers.join(c.Roles, config.Commands, c.Limits.Adjustments[auth.RoleChannel], p.Store, p.reading, log, registry); err != nil {
		return nil, err
	}
	quarantined := newQuarantineMetric(p.Store, time.Now)
	registry.MustRegister(newProjectionMetrics(p.runners, time.Now), newSubscriptionMetric(p.Store), quarantined)
	checks := p.storeChecks(c.Connections, c.Brokers)
	config.Status = p.status(c.Roles.names(), time.Now(), checks)
	if p.api, err = api.New(config); err != nil {
		return nil, err
	}
	p.start(running, log)
	p.running.Go(func() { quarantined.run(running) })
	if !known {
		p.running.Go(func() {
			if err := p.awaitNames(running, proxies); err != nil {
				p.unfit <- err
			}
		})
	}
	for _, each := range checks {
		p.running.Go(func() { each.await(running, log) })
	}
	return p, nil
}

// newRunners makes the runners of the projections that the roles keep, and opens the history.
func (p *Process) newRunners(ctx context.Context, c Config, proxies domain.Proxies) (err error) {
	log := c.EventStore.Logger
	newRunner := func(of projections.Projection) *projections.Runner {
		return projections.NewRunner(of, p.Store, projections.Options{Reading: p.reading, Logger: log})
	}
	if c.Project {
		p.filling = newRunner(projections.Ledger{Writer: p.Ledger, Proxies: proxies})
		p.essential = append(p.essential, p.filling)
	}
	// The project role keeps a leaderboard in Redis; each process keeps the one in its own memory.
	if (c.Project && p.Shared != nil) || (p.Leaderboard != nil && p.Shared == nil) {
		p.file = p.files.file(p.Leaderboard, season.Season{})
		runner := newRunner(restoredFrom(p.file, projections.Leaderboard{
			Writer: p.Leaderboard, Accounts: p.Ledger, Log: p.Store, Proxies: proxies, Logger: log, Now: time.Now,
		}))
		p.essential = append(p.essential, runner)
		if p.Shared == nil {
			p.board = runner
		}
	}
	if c.History == "" {
		return nil
	}
	if p.history, err = history.Open(c.History, history.Options{Logger: log}); err != nil {
		return err
	}
	at, err := p.history.Checkpoint(ctx)
	if err == nil {
		err = otherNames(at.CheckNames(proxies.Fingerprint()), "history", "loyalty rebuild history "+c.History)
	}
	if err != nil {
		return err
	}
	p.optional = append(p.optional, newRunner(projections.History{Writer: p.history, Proxies: proxies}))
	return nil
}

// start runs the projections, the seasons and the brokers until ctx ends; close waits for them.
func (p *Process) start(ctx context.Context, log *slog.Logger) {
	for _, runner := range slices.Concat(p.essential, p.optional) {
		p.running.Go(func() {
			if runner != p.filling || migrateLedger(ctx, p.Ledger, log) {
				runner.Keep(ctx) // what was folded can still be read while a projection is stopped
			}
		})
	}
	if p.file != nil {
		p.running.Go(func() { p.file.Keep(ctx, p.files.every) })
	}
	if p.seasons != nil {
		p.running.Go(func() { p.seasons.run(ctx) })
	}
	p.buses.run(ctx, &p.running, log)
}

// addresses are where the process answers, its servers listening at api and admin.
func (p *Process) addresses(api, admin net.Addr) Addresses {
	a := Addresses{API: api, Admin: admin}
	if p.Server != nil {
		a.EventStore = p.Server.Addr()
	}
	return a
}

// keepsSeasons tells whether this process has leaderboards of seasons: to answer from, or to keep in Redis for other processes.
func (p *Process) keepsSeasons() bool { return p.Query || (p.Project && p.Shared != nil) }

// runners are all projection runners of this process, also those of seasons and of the event bus.
func (p *Process) runners() []*projections.Runner {
	all := slices.Concat(p.essential, p.optional)
	if p.publishing != nil {
		all = append(all, p.publishing)
	}
	if p.seasons != nil {
		all = append(all, p.seasons.runners()...)
	}
	return all
}

// close stops the runners and the brokers' consumers, waits for them, and closes brokers and stores.
func (p *Process) close(ctx context.Context) error {
	p.stop()
	p.running.Wait()
	if p.seasons != nil {
		p.seasons.close()
	}
	var closed error
	if p.history != nil {
		closed = p.history.Close()
	}
	return errors.Join(p.buses.close(), closed, p.Stores.Close(ctx))
}

// pause waits for so long, or until ctx ends, and then returns false.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
