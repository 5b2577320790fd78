package replay

import (
	"context"
	"errors"
	"fmt"

	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

// Options say what to fold, and how. The zero value of each is a whole history, as it was, in one piece.
type Options struct {
	Until  Until
	Policy *Policy
	By     By
	// Progress, if any, hears how many events are done, of about how many.
	Progress func(doing string, done, total uint64)
}

// types are the events that a fold looks at.
func types() []string {
	return []string{order.TypePointsAwarded, order.TypePointsReversed, account.TypePointsAdjusted, account.TypeCustomerForgotten}
}

var errPassed = errors.New("the moment asked for has passed")

// FromLog folds a log. Errors are domain.ErrInvalid for a moment that is not in it, domain.ErrUndecodable for an event that can't
// be read, and domain.ErrPointsLimit for a total that would pass its limit. After an error, also ctx's, the history says how far it came.
func FromLog(ctx context.Context, store *eventstore.Store, o Options) (*History, error) {
	h := newHistory(o.Policy, o.By)
	end, err := o.Until.check(ctx, store)
	if err != nil {
		return h, err
	}
	l := logReader{store: store, history: h}
	err = readAhead(ctx, store, end, func(r *eventstore.Recorded) error {
		if o.Until.passed(r.Created) {
			return errPassed
		}
		if err := l.read(r); err != nil {
			return err
		}
		if h.events&1023 == 0 && o.Progress != nil {
			o.Progress("replaying", h.events, max(h.events, uint64(float64(h.events)*float64(end.Commit)/float64(max(r.Position.Commit, 1)))))
		}
		return nil
	})
	switch {
	case errors.Is(err, errPassed):
		return h, nil
	case err != nil:
		return h, err
	case !o.Until.timed():
		h.position = end // there may be events of other types behind the last one folded
	}
	return h, nil
}

// logReader folds what the log says.
type logReader struct {
	store   *eventstore.Store
	history *History
	stored  stored
}

func (l *logReader) read(r *eventstore.Recorded) error {
	h := l.history
	e, ok := l.quickly(r)
	if !ok {
		if err := l.store.Decode(r); err != nil {
			return err
		}
		e = l.slowly(r)
	}
	if err := h.add(&e); err != nil {
		return fmt.Errorf("the event at position %s: %w", r.Position, err)
	}
	h.events++
	h.position, h.stored = r.Position, r.Created
	return nil
}

// quickly reads an event that is as this system writes it.
func (l *logReader) quickly(r *eventstore.Recorded) (e entry, ok bool) {
	const about = hasCustomer | hasTime
	s := &l.stored
	switch r.Type {
	case order.TypePointsAwarded:
		ok = s.scan(r.Data, about|hasOrder|hasPoints|hasPaid)
		e = entry{kind: award, order: s.order, currency: s.paid.currency, points: s.points, after: s.paid.minor}
	case order.TypePointsReversed:
		ok = s.scan(r.Data, about|hasOrder|hasPoints|hasBefore|hasAfter) && s.netBefore.currency == s.netNow.currency
		e = entry{kind: reversal, order: s.order, currency: s.netBefore.currency, points: -s.points, before: s.netBefore.minor, after: s.netNow.minor}
	case account.TypePointsAdjusted:
		ok = s.scan(r.Data, about|hasPoints)
		e = entry{kind: adjustment, points: s.points}
	}
	if !ok {
		return e, false
	}
	if e.channel, ok = scanChannel(r.Stored); !ok {
		return e, false
	}
	e.customer, e.at = l.history.number(s.customer), s.at
	return e, true
}

// slowly takes what the registry decoded.
func (l *logReader) slowly(r *eventstore.Recorded) entry {
	e := entry{customer: l.history.number([]byte(r.Event.Customer())), at: r.Event.Occurred().UnixMicro()}
	e.channel, _ = knownChannel(string(r.Metadata.Channel))
	switch event := r.Event.(type) {
	case order.PointsAwarded:
		e.kind, e.points, e.after, e.order = award, int64(event.Points), event.Paid.Minor, []byte(event.OrderID)
		e.currency, _ = currencyOf([]byte(event.Paid.Currency))
	case order.PointsReversed:
		e.kind, e.points, e.order = reversal, -int64(event.Points), []byte(event.OrderID)
		e.before, e.after = event.NetBefore.Minor, event.NetAfter.Minor
		e.currency, _ = currencyOf([]byte(event.NetBefore.Currency))
	case account.PointsAdjusted:
		e.kind, e.points = adjustment, int64(event.Points)
	case account.CustomerForgotten:
		e.kind = forgotten
	}
	return e
}
