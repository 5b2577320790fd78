package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/bus"
	"loyalty/bus/redis"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/reading"
	"loyalty/projections"
)

// Brokers are the addresses of the brokers that a process is joined to. Neither is needed.
type Brokers struct {
	CommandBus string // commands come from it, beside the API; for the command role
	EventBus   string // changes of points are published to it; for the project role

	CommandBusAgain, EventBusAgain Source // as in Connections
}

// buses are the open brokers of a process, with what consumes and publishes. What a process does not use is nil.
type buses struct {
	commandBus *redis.Broker
	intake     *bus.Intake
	poison     *askedMetric

	eventBus   *redis.Broker
	events     *bus.Events
	publishing *projections.Runner
}

// join opens the brokers that the roles of a process need. An adjustment from the bus of more than adjustmentLimit points waits for
// approval. The caller closes the result, also after an error.
func (f Brokers) join(r Roles, handler bus.Commands, adjustmentLimit domain.Points, store *eventstore.Store, shared *reading.Shared, log *slog.Logger, registry prometheus.Registerer) (b buses, err error) {
	if r.Command && f.CommandBus != "" {
		if b.commandBus, err = OpenBroker("command-bus", f.CommandBus, f.CommandBusAgain, log); err != nil {
			return b, err
		}
		metrics := newBusMetrics(b.commandBus)
		registry.MustRegister(metrics.commands, metrics.poison)
		b.poison = metrics.poison
		b.intake, err = bus.NewIntake(bus.IntakeOptions{
			Commands: handler, Subscriber: b.commandBus.Subscriber(), Publisher: b.commandBus.Publisher(), Topics: b.commandBus.Topics(),
			Concurrency: b.commandBus.Concurrency(), Logger: log, Observe: metrics.observe,
			AdjustmentLimit: adjustmentLimit, OrderTimeout: b.commandBus.OrderTimeout(),
			PoisonDepth: b.commandBus.Depth, PoisonLimit: b.commandBus.PoisonKeep(),
		})
		if err != nil {
			return b, err
		}
	}
	if r.Project && f.EventBus != "" {
		if b.eventBus, err = OpenBroker("event-bus", f.EventBus, f.EventBusAgain, log); err != nil {
			return b, err
		}
		b.events = bus.NewEvents(bus.EventsOptions{
			Store: store, Publisher: b.eventBus.Publisher(), Topic: b.eventBus.Topics().Events, FromStart: b.eventBus.FromStart(),
		})
		b.publishing = projections.NewRunner(b.events, store, projections.Options{Reading: shared, Logger: log})
	}
	return b, nil
}

func OpenBroker(flag, address string, again Source, log *slog.Logger) (*redis.Broker, error) {
	b, err := redis.Open(address, again, log)
	if err != nil {
		return nil, ConfigError{fmt.Errorf("--%s: %w", flag, err)}
	}
	return b, nil
}

// run consumes commands and publishes events until ctx ends. Its goroutines are in running.
func (b buses) run(ctx context.Context, running *sync.WaitGroup, log *slog.Logger) {
	if b.intake != nil {
		running.Go(func() { b.commandBus.Keep(ctx, log) })
		running.Go(func() { b.poison.run(ctx) })
		running.Go(func() {
			if err := b.intake.Run(ctx); err != nil {
				log.Error("the command bus did not stop in order", "error", err)
			}
		})
	}
	if b.publishing != nil {
		running.Go(func() {
			b.publishing.Keep(ctx) // nothing else of the process depends on it
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
			defer cancel()
			if err := b.events.Save(ctx); err != nil {
				log.Warn("the last events will be published again", "error", err)
			}
		})
	}
}

// saveTimeout bounds the time that a stop takes to save the position up to which events are published.
const saveTimeout = 3 * time.Second

// close closes the brokers. What run started must have ended.
func (b buses) close() error {
	var errs []error
	for _, broker := range []*redis.Broker{b.commandBus, b.eventBus} {
		if broker != nil {
			errs = append(errs, broker.Close())
		}
	}
	return errors.Join(errs...)
}

// busMetrics count the commands from the command bus by their result, and the poisoned ones.
type busMetrics struct {
	commands *prometheus.CounterVec
	poison   *askedMetric
}

func newBusMetrics(broker *redis.Broker) *busMetrics {
	return &busMetrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loyalty_bus_commands_total", Help: "Commands from the command bus that were answered, by what became of them.",
		}, []string{"command", "status"}),
		poison: newAskedMetric("loyalty_bus_poison", "Commands in the poison topic", broker.Depth, time.Now),
	}
}

func (m *busMetrics) observe(command string, status bus.Status) {
	m.commands.WithLabelValues(command, string(status)).Inc()
}
