package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"loyalty/api/admin"
	"loyalty/bus/redis"
	"loyalty/domain"
	"loyalty/projections"
)

// storeCheck checks whether a store answers.
type storeCheck struct {
	name, kind string
	check      func(context.Context) error
}

// How long await waits for a store's answer, pauses before it asks again, and is silent about a store that it has named.
const (
	awaitTimeout = 5 * time.Second
	awaitPause   = 500 * time.Millisecond
	awaitSilence = 10 * time.Second
)

// await says what a process that was started waits for, until the store answers or ctx ends.
func (c storeCheck) await(ctx context.Context, log *slog.Logger) {
	var named time.Time
	for {
		asking, cancel := context.WithTimeout(ctx, awaitTimeout)
		err := c.check(asking)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil || errors.Is(err, domain.ErrNotCaughtUp):
			if !named.IsZero() {
				log.Info("a store answers", "store", c.name)
			}
			return
		case time.Since(named) >= awaitSilence:
			named = time.Now()
			log.Warn("waiting for a store", "store", c.name, "error", err)
		}
		if !pause(ctx, awaitPause) {
			return
		}
	}
}

// storeChecks are the checks of all stores and brokers that this process uses.
func (p *Process) storeChecks(c Connections, b Brokers) (checks []storeCheck) {
	checks = append(checks, storeCheck{"event store", kindOf(c.Eventstore), p.Store.Ping})
	if p.Ledger != nil {
		checks = append(checks, storeCheck{"ledger", kindOf(c.Ledger), func(ctx context.Context) error {
			_, err := p.Ledger.Checkpoint(ctx)
			return err
		}})
	}
	if p.Leaderboard != nil {
		checks = append(checks, storeCheck{"leaderboard", kindOf(c.Leaderboard), func(ctx context.Context) error {
			_, err := p.Leaderboard.Checkpoint(ctx)
			return err
		}})
	}
	if p.commandBus != nil {
		checks = append(checks, storeCheck{"command bus", kindOf(b.CommandBus), brokerCheck(p.commandBus)})
	}
	if p.eventBus != nil {
		checks = append(checks, storeCheck{"event bus", kindOf(b.EventBus), brokerCheck(p.eventBus)})
	}
	return checks
}

// brokerCheck asks a broker for the length of a topic.
func brokerCheck(broker *redis.Broker) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := broker.Depth(ctx)
		return err
	}
}

// kindOf is the kind of a store by the scheme of its address. Nothing else of the address is shown, as it may hold a password anywhere. Only
// PostgreSQL's may have no scheme ("host=… password=…").
func kindOf(address string) string {
	scheme, _, _ := strings.Cut(address, ":")
	scheme, _, _ = strings.Cut(scheme, "+")
	switch scheme {
	case "embedded", "sqlite", "memory":
		return scheme
	case "esdb", "esdbs", "kurrentdb", "kdb":
		return "esdb"
	case "redis", "rediss":
		return "redis"
	}
	return "postgres"
}

// status returns a function that asks all stores and projections at the same time.
func (p *Process) status(roles []string, started time.Time, checks []storeCheck) func(context.Context) admin.Status {
	return func(ctx context.Context) admin.Status {
		runners := p.runners()
		status := admin.Status{
			Roles: roles, Started: started.UTC(),
			Stores: make([]admin.StoreStatus, len(checks)), Projections: make([]admin.ProjectionStatus, len(runners)),
		}
		var asking sync.WaitGroup
		for i, check := range checks {
			asking.Go(func() { status.Stores[i] = storeStatus(ctx, check) })
		}
		for i, runner := range runners {
			asking.Go(func() { status.Projections[i] = projectionStatus(ctx, runner) })
		}
		asking.Go(func() {
			if log, err := p.Store.Log(ctx); err == nil { // whether the store answers is said with the stores
				status.Quarantined = len(log.Quarantined)
			}
		})
		asking.Wait()
		return status
	}
}

// storeStatus checks a store. One that answers domain.ErrNotCaughtUp is up.
func storeStatus(ctx context.Context, c storeCheck) admin.StoreStatus {
	began := time.Now()
	err := c.check(ctx)
	took := time.Since(began)
	store := admin.StoreStatus{
		Name: c.name, Kind: c.kind, Up: err == nil || errors.Is(err, domain.ErrNotCaughtUp), Took: float64(took.Microseconds()) / 1000,
	}
	switch {
	case err == nil:
	case !store.Up && ctx.Err() != nil:
		store.Why = "it does not answer in time"
	default:
		store.Why = err.Error()
	}
	return store
}

// countUpTo bounds the events that are counted for the lag of a projection.
const countUpTo = 10_000

func projectionStatus(ctx context.Context, runner *projections.Runner) admin.ProjectionStatus {
	status := runner.Status()
	projection := admin.ProjectionStatus{
		Name: status.Name, Live: status.Live, CaughtUp: status.CaughtUp, Position: status.Position, Applied: status.Applied,
	}
	if status.Stopped != nil {
		projection.Stopped = status.Stopped.Error()
	}
	if !status.AsOf.IsZero() {
		seconds := max(0, time.Since(status.AsOf).Seconds())
		projection.LagSeconds = &seconds
	}
	if behind, err := runner.Behind(ctx, countUpTo+1); err == nil || behind > 0 {
		events := int64(min(behind, countUpTo))
		projection.LagEvents, projection.More = &events, err != nil || behind > countUpTo
	}
	return projection
}
