package replay

import (
	"context"
	"errors"
	"fmt"

	"loyalty/analytics/export"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

// Options say what to fold, and how. The zero Options fold the whole history under its own policies, without a breakdown.
type Options struct {
	Until  Until
	Policy *Policy
	By     By
	// Progress, if set, is called now and then, also while there are only events of others. It gets the number of events folded and an estimate of
	// their total, or, while it does something else than Replaying, how much of the log is passed.
	Progress func(doing string, done, total uint64)
}

// What a progress is about, beside export.Looking.
const (
	Replaying  = "replaying"
	findingEnd = "finding the end"
)

// types are the event types that are folded.
func types() []string {
	return []string{order.TypePointsAwarded, order.TypePointsReversed, account.TypePointsAdjusted, account.TypeCustomerForgotten}
}

// errPassed ends reading at the first event after the moment asked for.
var errPassed = errors.New("the moment asked for has passed")

// FromLog folds a log. Errors are domain.ErrInvalid for a moment outside the log, domain.ErrUndecodable for an event that can't be
// decoded, and domain.ErrOrderPoints for an order that would earn too much under the policy. After an error, also ctx's, the history is as far as it was folded.
func FromLog(ctx context.Context, store *eventstore.Store, o Options) (*History, error) {
	h := newHistory(o.Policy, o.By)
	if o.Progress == nil {
		o.Progress = func(string, uint64, uint64) {}
	}
	end, err := o.Until.check(ctx, store, func(at, end domain.Position) { o.Progress(findingEnd, at.Commit, end.Commit) })
	if err != nil {
		return h, err
	}
	log, err := store.Log(ctx)
	if err != nil {
		return h, err
	}
	h.quarantined = log.Quarantined
	tell := func(at domain.Position) { export.Tell(o.Progress, Replaying, h.events, at.Commit, end.Commit) }
	err = store.ReadAhead(ctx, domain.Checkpoint{}, end, types(), tell, func(r *eventstore.Raw) error {
		if o.Until.passed(r.Created) {
			return errPassed
		}
		if err := h.read(store, r); err != nil {
			return err
		}
		if h.events&1023 == 0 {
			tell(r.Position)
		}
		return nil
	})
	switch {
	case errors.Is(err, errPassed):
		return h, nil
	case err != nil:
		return h, err
	case !o.Until.timed():
		h.position = end // there may be events of other types after the last one folded
	}
	return h, nil
}

// read folds an event of the log.
func (h *History) read(store *eventstore.Store, r *eventstore.Raw) error {
	event, metadata, err := store.Decode(r)
	if err != nil {
		return err
	}
	e := h.entry(event, metadata)
	if err := h.add(&e); err != nil {
		return fmt.Errorf("the event at position %s: %w", r.Position, err)
	}
	h.events++
	h.position, h.stored = r.Position, r.Created
	return nil
}

// entry converts a decoded event.
func (h *History) entry(event domain.Event, metadata eventstore.Metadata) entry {
	e := entry{customer: h.number(h.bytes(string(event.Customer()))), at: event.Occurred().UnixMicro()}
	e.channel, _ = channelOf(string(metadata.Channel))
	switch event := event.(type) {
	case order.PointsAwarded:
		e.kind, e.points, e.after, e.order = award, int64(event.Points), event.Paid.Minor, h.bytes(string(event.OrderID))
		e.currency, _ = currencyOf(string(event.Paid.Currency))
	case order.PointsReversed:
		e.kind, e.points, e.order = reversal, -int64(event.Points), h.bytes(string(event.OrderID))
		e.before, e.after = event.NetBefore.Minor, event.NetAfter.Minor
		e.currency, _ = currencyOf(string(event.NetBefore.Currency))
	case account.PointsAdjusted:
		e.kind, e.points = adjustment, int64(event.Points)
	case account.CustomerForgotten:
		e.kind = forgotten
	}
	return e
}

// bytes copies text to the history's buffer. The result is valid until the next call.
func (h *History) bytes(text string) []byte {
	h.buffer = append(h.buffer[:0], text...)
	return h.buffer
}
