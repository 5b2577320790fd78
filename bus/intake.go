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

// IntakeOptions are what an Intake needs. Commands, Subscriber, Publisher and Topics must be set; the zero value of each
// other field means its default.
type IntakeOptions struct {
	Commands Commands
	// Subscriber delivers commands: each to one of the processes that take them (a consumer group), and again if it was not
	// acknowledged. The Intake does not close it.
	Subscriber message.Subscriber
	// Publisher takes results, and commands that are put aside or put back. The Intake does not close it.
	Publisher message.Publisher
	Topics    Topics
	// AdjustmentLimit is the most points that an adjustment may give or take without a second person; 0 is no limit.
	AdjustmentLimit domain.Points
	// Concurrency is how many commands are worked on at once (default 16). It is the number of subscriptions, so it must be 1
	// with a broker that gives every subscription every message.
	Concurrency int
	// OrderPatience is for how long a return waits for its order before it is put aside (default 1 min), and LookAgain how
	// long it rests before it goes to the back of the queue again (default 250 ms).
	OrderPatience, LookAgain time.Duration
	// HoldFor is for how long a command that a store is not there for keeps its place, before it goes to the back of the queue
	// (default 10 s): a subscriber may have others waiting behind it.
	HoldFor time.Duration
	// Patience is for how long a command is tried again while it fails in a way that has no name in package domain (default
	// 1 min).
	Patience time.Duration
	// Now is the clock (default time.Now).
	Now func() time.Time
	// Logger hears of commands that are put aside and of retries, never of what is in one (default: nobody).
	Logger *slog.Logger
	// Observe is told what became of each command, and may be called from many goroutines at once (default: nobody).
	Observe func(command string, status Status)
}

func (o IntakeOptions) withDefaults() IntakeOptions {
	or := func(d *time.Duration, usual time.Duration) {
		if *d <= 0 {
			*d = usual
		}
	}
	or(&o.OrderPatience, time.Minute)
	or(&o.LookAgain, 250*time.Millisecond)
	or(&o.HoldFor, 10*time.Second)
	or(&o.Patience, time.Minute)
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

// Intake takes commands from a broker. A command is acknowledged when its events are in the log and its result was
// published, or when it was put aside; whatever happens before that, it is delivered again, and being idempotent it then
// changes nothing twice.
type Intake struct {
	IntakeOptions
	lanes  *lanes
	router *message.Router
	// running ends when Run is to.
	running context.Context
}

// NewIntake makes an intake. Run starts it.
func NewIntake(o IntakeOptions) (*Intake, error) {
	o = o.withDefaults()
	log := newLogger(o.Logger)
	// The router waits for handlers longer than any attempt lasts.
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 2 * attemptFor}, log)
	if err != nil {
		return nil, err
	}
	in := &Intake{
		IntakeOptions: o, router: router,
		lanes: newLanes(o.Subscriber, o.Topics.Commands, o.Concurrency, o.Logger, NamePlaceOrder, NameReturnItems, NameAdjustPoints),
	}
	processor, err := cqrs.NewCommandProcessorWithConfig(router, cqrs.CommandProcessorConfig{
		GenerateSubscribeTopic: func(cqrs.CommandProcessorGenerateSubscribeTopicParams) (string, error) {
			return o.Topics.Commands, nil
		},
		SubscriberConstructor: func(p cqrs.CommandProcessorSubscriberConstructorParams) (message.Subscriber, error) {
			return in.lanes.each[p.CommandName], nil
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
	router.AddConsumerHandler("unknown", o.Topics.Commands, in.lanes.each[""], func(*message.Message) error {
		return domain.Invalid(MetadataName, "command_unknown",
			fmt.Sprintf("the name must be %s, %s or %s", NamePlaceOrder, NameReturnItems, NameAdjustPoints))
	})
	router.AddMiddleware(in.guard, recovered)
	return in, nil
}

// Run takes commands until ctx ends, then finishes those under way and returns. A broker that is away it waits for.
func (in *Intake) Run(ctx context.Context) error {
	in.running = ctx
	ended := make(chan error, 1)
	// The router ends when the lanes are closed and what came through them is done.
	go func() { ended <- in.router.Run(context.WithoutCancel(ctx)) }()
	in.lanes.run(ctx)
	return <-ended
}

// handler makes the CQRS handler of a command.
func handler[C any](in *Intake, name string, carryOut func(context.Context, *Intake, C) (Result, error)) cqrs.CommandHandler {
	return cqrs.NewCommandHandler(name, func(ctx context.Context, c *C) error {
		var result Result
		err := insist(ctx, in.Logger, name, func(ctx context.Context) (err error) {
			result, err = carryOut(ctx, in, *c)
			return err
		}, in.hopeless())
		m := cqrs.OriginalMessageFromCtx(ctx)
		switch {
		case err == nil:
			return in.answer(ctx, m, result)
		case errors.Is(err, domain.ErrNotFound) && in.mayCome(m):
			return in.putBack(ctx, m, in.waitingSince(m))
		case temporary(err) && ctx.Err() == nil:
			// When it comes round again, all patience begins anew.
			return in.putBack(ctx, m, time.Time{})
		case permanent(err) || ctx.Err() == nil:
			return in.refuse(ctx, m, result, err)
		}
		return err
	})
}

// hopeless makes what says of each failure of one command whether it was the last attempt for now: if nothing can cure it, if
// it may pass but has kept its place for long, or if nobody has known what it is for longer than patience.
func (in *Intake) hopeless() func(error) bool {
	began := in.Now()
	var unknownSince time.Time
	return func(err error) bool {
		switch {
		case permanent(err):
			return true
		case temporary(err):
			unknownSince = time.Time{}
			return in.Now().Sub(began) > in.HoldFor
		case unknownSince.IsZero():
			unknownSince = in.Now()
		}
		return in.Now().Sub(unknownSince) > in.Patience
	}
}

// guard is around every handler. A command that can't be read, or whose handler fails in a way it does not know itself, is
// put aside. No handler tries on when Run is to end: a message that Redis Streams' subscriber hands out again has a context that
// never ends by itself.
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
		return nil, in.refuse(m.Context(), m, Result{}, err)
	}
}

// errPanic is a panic in a handler.
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

// answer tells the channel what became of a command. The message is acknowledged after it.
func (in *Intake) answer(ctx context.Context, m *message.Message, r Result) error {
	r.CommandID, r.Command, r.CorrelationID = m.UUID, m.Metadata.Get(MetadataName), correlationOf(m)
	for _, told := range []*string{&r.CommandID, &r.Command} {
		if domain.CheckText("id", "id", *told, maxIDLength) != nil {
			*told = ""
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

// knownName keeps what senders make up out of the names of metrics.
func knownName(command string) string {
	switch command {
	case NamePlaceOrder, NameReturnItems, NameAdjustPoints:
		return command
	}
	return "unknown"
}

// refuse puts a command that can't succeed aside, with its problem, and tells the channel.
func (in *Intake) refuse(ctx context.Context, m *message.Message, about Result, why error) error {
	p := problemOf(why)
	if err := in.publish(ctx, in.Topics.Poison, poison(m, p, in.Now())); err != nil {
		return err
	}
	about.Status, about.Problem = Refused, &p
	if errors.Is(why, domain.ErrConflict) {
		about.Status = Conflict
	}
	log := []any{"id", fmt.Sprintf("%.128q", m.UUID), "command", knownName(m.Metadata.Get(MetadataName)), "code", p.Code}
	if !permanent(why) {
		log = append(log, "error", why)
	}
	in.Logger.Warn("a command is put aside", log...)
	return in.answer(ctx, m, about)
}

// mayCome tells whether there is still time for the order of a return to come.
func (in *Intake) mayCome(m *message.Message) bool {
	return in.Now().Sub(in.waitingSince(m)) < in.OrderPatience
}

// waitingSince is when a return was first put back, now if it never was. It does not take a sender's word for a time to come,
// which would have the command go round until then.
func (in *Intake) waitingSince(m *message.Message) time.Time {
	now := in.Now()
	if since, err := time.Parse(time.RFC3339Nano, m.Metadata.Get(metadataWaitingSince)); err == nil && since.Before(now) {
		return since
	}
	return now
}

// putBack has a command go behind what is in the queue now; a return's order may be there. It rests a moment before that, so
// that an empty queue does not go round and round.
func (in *Intake) putBack(ctx context.Context, m *message.Message, waitingSince time.Time) error {
	if err := pause(ctx, in.LookAgain); err != nil {
		return err
	}
	again := m.Copy()
	delete(again.Metadata, metadataWaitingSince)
	if !waitingSince.IsZero() {
		again.Metadata.Set(metadataWaitingSince, waitingSince.UTC().Format(time.RFC3339Nano))
	}
	return in.publish(ctx, in.Topics.Commands, again)
}

// publish publishes until it works or ctx ends.
func (in *Intake) publish(ctx context.Context, topic string, m *message.Message) error {
	return insist(ctx, in.Logger, "publish to "+topic, func(ctx context.Context) error {
		again := m.Copy()
		again.SetContext(ctx)
		return in.Publisher.Publish(topic, again)
	}, func(error) bool { return false })
}

var _ Commands = (*commands.Handler)(nil)
