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
	// PoisonDepth counts the poison topic. From PoisonLimit on, the content of a command that would be put there is discarded, and the sender
	// told so. Without PoisonDepth there is no limit. It may be called by many goroutines at once.
	PoisonDepth func(context.Context) (int64, error)
	PoisonLimit int64
	// OrderTimeout bounds how long a return waits for its order before it is poisoned (default 1 min).
	OrderTimeout time.Duration
	// RequeueDelay is the pause before a command goes to the back of the queue (default 250 ms).
	RequeueDelay time.Duration
	// RequeueAfter bounds how long a command is retried in its place while it fails with an error that may pass (default 10 s). Then it goes
	// to the back of the queue, because others may wait behind it. How often it does so is not bounded.
	RequeueAfter time.Duration
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
//
// Poisoned is only what a repeat can't change. A command waits for a store, and for whatever nobody knows yet, for as long as it takes.
type Intake struct {
	IntakeOptions
	log    limited
	queues *queues
	router *message.Router
	// running is the context of Run.
	running context.Context
}

// NewIntake returns an intake that Run starts.
func NewIntake(o IntakeOptions) (*Intake, error) {
	o = o.withDefaults()
	log, limited := newLogger(o.Logger), newLimited(o.Logger)
	// The router waits for handlers for longer than an attempt may take.
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 2 * attemptTimeout}, log)
	if err != nil {
		return nil, err
	}
	in := &Intake{
		IntakeOptions: o, router: router, log: limited,
		queues: newQueues(o.Subscriber, o.Topics.Commands, o.Concurrency, limited, NamePlaceOrder, NameReturnItems, NameAdjustPoints),
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
		m := cqrs.OriginalMessageFromCtx(ctx)
		err := retry(ctx, in.log, name, func(ctx context.Context) (err error) {
			result, err = carryOut(ctx, in, *c)
			return err
		}, in.giveUp(m))
		switch {
		case err == nil:
			return in.answer(ctx, m, result)
		case errors.Is(err, domain.ErrNotFound) && permanent(err) && in.orderMayCome(m):
			return in.requeue(ctx, m, metadataWaitingSince)
		case permanent(err):
			return in.poison(ctx, m, result, err)
		}
		return in.wait(ctx, m, err)
	})
}

// wait puts a command whose error may pass at the back of the queue. When the intake stops, the broker has the command still.
func (in *Intake) wait(ctx context.Context, m *message.Message, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if temporary(err) {
		return in.requeue(ctx, m, "") // its timeouts begin anew when it is delivered again
	}
	in.log.warn("a command waits, and fails for a reason that nobody knows yet", knownName(m.Metadata.Get(MetadataName)),
		"id", fmt.Sprintf("%.128q", m.UUID), "since", in.since(m, metadataFailingSince), "error", err)
	return in.requeue(ctx, m, metadataFailingSince)
}

// giveUp returns a function that decides after each failed attempt at a command whether it was the last one in this place: if the error is
// permanent, or if RequeueAfter is over. A command that has waited because of an unknown error has one attempt each time: it may be the command
// that is at fault, or the program, and then it must not keep others waiting.
func (in *Intake) giveUp(m *message.Message) func(error) bool {
	began, failing := in.Now(), m.Metadata.Get(metadataFailingSince) != ""
	return func(err error) bool {
		return permanent(err) || failing && !temporary(err) || in.Now().Sub(began) > in.RequeueAfter
	}
}

// guard is a middleware of every handler. It poisons a command that is too large, that can't be read or whose handler panics. It ends a handler's
// context with that of Run: a message that the subscriber of Redis Streams hands out again has a context that never ends by itself.
func (in *Intake) guard(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		ctx, cancel := context.WithCancel(m.Context())
		defer cancel()
		defer context.AfterFunc(in.running, cancel)()
		m.SetContext(ctx)
		err := checkSize(m)
		if err == nil {
			_, err = next(m)
		}
		switch {
		case err == nil || m.Context().Err() != nil:
			return nil, err
		case permanent(err):
			return nil, in.poison(m.Context(), m, Result{}, err)
		}
		return nil, in.wait(m.Context(), m, err)
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
	return in.Now().Sub(in.since(m, metadataWaitingSince)) < in.OrderTimeout
}

// since is when a command was first requeued for a reason, now if it never was. A time in the future, which only a sender can have
// written, does not count: the command would be requeued until then.
func (in *Intake) since(m *message.Message, reason string) time.Time {
	now := in.Now()
	if since, err := time.Parse(time.RFC3339Nano, m.Metadata.Get(reason)); err == nil && since.Before(now) {
		return since
	}
	return now
}

// requeue puts a command at the back of the queue; the order of a return may be in front of it. It pauses first, so that a
// queue with nothing else in it is no busy loop. A reason is metadata that says since when.
func (in *Intake) requeue(ctx context.Context, m *message.Message, reason string) error {
	if err := pause(ctx, in.RequeueDelay); err != nil {
		return err
	}
	again := m.Copy()
	delete(again.Metadata, metadataWaitingSince)
	delete(again.Metadata, metadataFailingSince)
	if reason != "" {
		again.Metadata.Set(reason, in.since(m, reason).UTC().Format(time.RFC3339Nano))
	}
	return in.publish(ctx, in.Topics.Commands, again)
}

// publish publishes a message, and retries until it succeeds or ctx ends.
func (in *Intake) publish(ctx context.Context, topic string, m *message.Message) error {
	return retry(ctx, in.log, "publish to "+topic, func(ctx context.Context) error {
		again := m.Copy()
		again.SetContext(ctx)
		return in.Publisher.Publish(topic, again)
	}, never)
}

func never(error) bool { return false }

var _ Commands = (*commands.Handler)(nil)
