package commands

import (
	"context"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
)

// onAccount is a command for a customer's account, and what carrying it out takes beside it.
type onAccount struct {
	caller   Caller
	customer domain.CustomerID
	decide   func(context.Context, account.State) ([]domain.Event, error)
	// id is the command's own.
	id uuid.UUID
	// preview appends nothing.
	preview bool
}

// deciding is a command that depends on nothing but the account.
func deciding(c account.Command) func(context.Context, account.State) ([]domain.Event, error) {
	return func(_ context.Context, s account.State) ([]domain.Event, error) { return account.Decide(c, s) }
}

// carriedOut is what became of it.
type carriedOut struct {
	// past is the stream before, state what the account is after, by so many events more.
	past   []eventstore.Recorded
	state  account.State
	events int
	// position is that of the last event appended.
	position domain.Position
}

// carryOut decides a command and appends what it comes to. If the stream has moved on meanwhile, it is decided anew.
func (h *Handler) carryOut(ctx context.Context, c onAccount) (done carriedOut, err error) {
	stream := account.Stream(c.customer)
	err = h.store.RetryWrongRevision(ctx, func() error {
		past, err := load(ctx, h.store, stream, account.Evolve)
		if err != nil {
			return err
		}
		events, err := c.decide(ctx, past.state)
		if err != nil {
			return err
		}
		done = carriedOut{past: past.events, state: past.state, events: len(events)}
		for _, event := range events {
			done.state = account.Evolve(done.state, event)
		}
		if c.preview || len(events) == 0 {
			return nil
		}
		done.position, err = h.store.Append(ctx, stream, past.revision, c.id, h.metadata(c.caller, c.id), events...)
		return err
	})
	return done, err
}
