package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/commands"
	"loyalty/domain"
)

// IntakeOptions are what an Intake needs. Commands, Subscriber, Publisher and Topics must be set. The zero value of each other
// field means its default.
type IntakeOptions struct {
	Commands Commands
	// Subscriber delivers each command to one of the processes that take them (a consumer group), and again if it was not
	// acknowledged. The Intake does not close it.
	Subscriber message.Subscriber
	// Publisher takes results, and commands that are poisoned or requeued. The Intake does not close it.
	Publisher message.Publisher
	Topics    Topics
	// AdjustmentLimit is the most points that an adjustment may give or take without a second person; 0 is no limit.
	AdjustmentLimit domain.Points
	// Concurrency is the number of commands carried out at once (default 16). It is the number of subscriptions, so it must be 1
	// with a broker that gives every message to every subscription.
	Concurrency int
	// OrderTimeout bounds how long a return waits for its order before it is poisoned (default 1 min).
	OrderTimeout time.Duration
	// RequeueDelay is the pause before a command goes to the back of the queue (default 250 ms).
	RequeueDelay time.Duration
	// RequeueAfter bounds how long a command is retried in its place while a store is unavailable (default 10 s). Then it goes
	// to the back of the queue, because others may wait behind it.
	RequeueAfter time.Duration
	// RetryTimeout bounds how long a command is retried that fails with an unknown error (default 1 min).
	RetryTimeout time.Duration
	// Now is the clock (default time.Now).
	Now func() time.Time
	// Logger gets retries and poisoned commands, never the content of a command (default: none).
	Logger *slog.Logger
	// Observe is called with the result of each command, by many goroutines at once (default: none).
	Observe func(command string, status Status)
}

func (o IntakeOptions) withDefaults() IntakeOptions {
	or := func(d *time.Duration, byDefault time.Duration) {
		if *d <= 0 {
			*d = byDefault
		}
	}
	or(&o.OrderTimeout, time.Minute)
	or(&o.RequeueDelay, 250*time.Millisecond)
	or(&o.RequeueAfter, 10*time.Second)
	or(&o.RetryTimeout, time.Minute)
	if o.Concurrency < 1 {
		o.Concurrency = 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, Status) {}
	}
	return o
}

// Intake takes commands from a broker. A command is acknowledged when its events are in the log and its result is published, or
// when it is poisoned. If the process fails before that, the broker delivers it again; commands are idempotent, so it counts once.
type Intake struct {
	IntakeOptions
	queues *queues
	router *message.Router
	// running is the context of Run.
	running context.Context
}

// NewIntake returns an intake that Run starts.
func NewIntake(o IntakeOptions) (*Intake, error) {
	o = o.withDefaults()
	log := newLogger(o.Logger)
	// The router waits for handlers for longer than an attempt may take.
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 2 * attemptTimeout}, log)
	if err != nil {
		return nil, err
	}
	in := &Intake{
		IntakeOptions: o, router: router,
		queues: newQueues(o.Subscriber, o.Topics.Commands, o.Concurrency, o.Logger, NamePlaceOrder, NameReturnItems, NameAdjustPoints),
	}
	processor, err := cqrs.NewCommandProcessorWithConfig(router, cqrs.CommandProcessorConfig{
		GenerateSubscribeTopic: func(cqrs.CommandProcessorGenerateSubscribeTopicParams) (string, error) {
			return o.Topics.Commands, nil
		},
		SubscriberConstructor: func(p cqrs.CommandProcessorSubscriberConstructorParams) (message.Subscriber, error) {
			return in.queues.byName[p.CommandName], nil
		},
		Marshaler: Marshaler{}, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	if err := processor.AddHandlers(
		handler(in, NamePlaceOrder, placeOrder), handler(in, NameReturnItems, returnItems), handler(in, NameAdjustPoints, adjustPoints),
	); err != nil {
		return nil, err
	}
	router.AddConsumerHandler("unknown", o.Topics.Commands, in.queues.byName[""], func(*message.Message) error {
		return domain.Invalid(MetadataName, "command_unknown",
			fmt.Sprintf("the name must be %s, %s or %s", NamePlaceOrder, NameReturnItems, NameAdjustPoints))
	})
	router.AddMiddleware(in.guard, recovered)
	return in, nil
}

// Run takes commands until ctx ends, then finishes those under way and returns. It waits for a broker that is away. It may be
// called once.
func (in *Intake) Run(ctx context.Context) error {
	in.running = ctx
	ended := make(chan error, 1)
	// The router ends when the queues are closed and their messages are handled.
	go func() { ended <- in.router.Run(context.WithoutCancel(ctx)) }()
	in.queues.run(ctx)
	return <-ended
}

// handler makes the CQRS handler of a command.
func handler[C any](in *Intake, name string, carryOut func(context.Context, *Intake, C) (Result, error)) cqrs.CommandHandler {
	return cqrs.NewCommandHandler(name, func(ctx context.Context, c *C) error {
		var result Result
		err := retry(ctx, in.Logger, name, func(ctx context.Context) (err error) {
			result, err = carryOut(ctx, in, *c)
			return err
		}, in.giveUp())
		m := cqrs.OriginalMessageFromCtx(ctx)
		switch {
		case err == nil:
			return in.answer(ctx, m, result)
		case errors.Is(err, domain.ErrNotFound) && in.orderMayCome(m):
			return in.requeue(ctx, m, in.waitingSince(m))
		case temporary(err) && ctx.Err() == nil:
			// Its timeouts begin anew when it is delivered again.
			return in.requeue(ctx, m, time.Time{})
		case permanent(err) || ctx.Err() == nil:
			return in.poison(ctx, m, result, err)
		}
		return err
	})
}

// giveUp returns a function that decides after each failed attempt at one command whether it was the last one in this place: if
// the error is permanent, if it is temporary and RequeueAfter is over, or if it has been unknown for RetryTimeout. An outage
// between uses up none of RetryTimeout.
func (in *Intake) giveUp() func(error) bool {
	began := in.Now()
	var unknownSince time.Time
	return func(err error) bool {
		switch {
		case permanent(err):
			return true
		case temporary(err):
			unknownSince = time.Time{}
			return in.Now().Sub(began) > in.RequeueAfter
		case unknownSince.IsZero():
			unknownSince = in.Now()
		}
		return in.Now().Sub(unknownSince) > in.RetryTimeout
	}
}

// guard is a middleware of every handler. It poisons a command that can't be read or whose handler panics. It ends a handler's
// context with that of Run: a message that the subscriber of Redis Streams hands out again has a context that never ends by itself.
func (in *Intake) guard(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		ctx, cancel := context.WithCancel(m.Context())
		defer cancel()
		defer context.AfterFunc(in.running, cancel)()
		m.SetContext(ctx)
		_, err := next(m)
		if err == nil || m.Context().Err() != nil {
			return nil, err
		}
		return nil, in.poison(m.Context(), m, Result{}, err)
	}
}

// errPanic is the error of a handler that panicked.
var errPanic = errors.New("panic")

func recovered(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) (_ []*message.Message, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%w: %v", errPanic, r)
			}
		}()
		return next(m)
	}
}

// answer publishes the result of a command. The message is acknowledged after that.
func (in *Intake) answer(ctx context.Context, m *message.Message, r Result) error {
	r.CommandID, r.Command, r.CorrelationID = m.UUID, m.Metadata.Get(MetadataName), correlationOf(m)
	for _, text := range []*string{&r.CommandID, &r.Command} {
		if domain.CheckText("id", "id", *text, maxIDLength) != nil {
			*text = ""
		}
	}
	result, err := r.message()
	if err != nil {
		return err
	}
	if err := in.publish(ctx, in.Topics.Results, result); err != nil {
		return err
	}
	in.Observe(knownName(r.Command), r.Status)
	return nil
}

// knownName is a command's name as a label of metrics: "unknown" for one that a sender made up.
func knownName(command string) string {
	switch command {
	case NamePlaceOrder, NameReturnItems, NameAdjustPoints:
		return command
	}
	return "unknown"
}

// orderMayCome reports whether the order of a return may still arrive in time.
func (in *Intake) orderMayCome(m *message.Message) bool {
	return in.Now().Sub(in.waitingSince(m)) < in.OrderTimeout
}

// waitingSince is when a return was first requeued, now if it never was. A time in the future, which only a sender can have
// written, does not count: the command would be requeued until then.
func (in *Intake) waitingSince(m *message.Message) time.Time {
	now := in.Now()
	if since, err := time.Parse(time.RFC3339Nano, m.Metadata.Get(metadataWaitingSince)); err == nil && since.Before(now) {
		return since
	}
	return now
}

// requeue puts a command at the back of the queue; the order of a return may be in front of it. It pauses first, so that a
// queue with nothing else in it is no busy loop.
func (in *Intake) requeue(ctx context.Context, m *message.Message, waitingSince time.Time) error {
	if err := pause(ctx, in.RequeueDelay); err != nil {
		return err
	}
	again := m.Copy()
	delete(again.Metadata, metadataWaitingSince)
	if !waitingSince.IsZero() {
		again.Metadata.Set(metadataWaitingSince, waitingSince.UTC().Format(time.RFC3339Nano))
	}
	return in.publish(ctx, in.Topics.Commands, again)
}

// publish publishes a message, and retries until it succeeds or ctx ends.
func (in *Intake) publish(ctx context.Context, topic string, m *message.Message) error {
	return retry(ctx, in.Logger, "publish to "+topic, func(ctx context.Context) error {
		again := m.Copy()
		again.SetContext(ctx)
		return in.Publisher.Publish(topic, again)
	}, func(error) bool { return false })
}

var _ Commands = (*commands.Handler)(nil)
