package commands

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

// Orders and returns that were stored before ids had issuers keep their bare ids. Whose they are is in the metadata of their events.

// askTimeout bounds how long the log is looked through for its first order. Other applications may have filled it before us.
const askTimeout = 10 * time.Minute

// bareOrders knows whether the log may have orders under bare ids.
type bareOrders struct {
	asking atomic.Bool
	none   atomic.Bool
	some   atomic.Bool
}

// mayExist is true until it is known that there are none. All of them come before the first order under a full id, because no process that
// makes bare ids runs beside one that makes full ids. So the log's first order decides it, once for the process. It is asked for meanwhile,
// and again as long as there is none: no order waits for that.
func (b *bareOrders) mayExist(ctx context.Context, store *eventstore.Store) bool {
	if b.none.Load() {
		return false
	}
	if !b.some.Load() && b.asking.CompareAndSwap(false, true) {
		go b.ask(context.WithoutCancel(ctx), store)
	}
	return true
}

// ask ends when the store is closed, at the latest.
func (b *bareOrders) ask(ctx context.Context, store *eventstore.Store) {
	defer b.asking.Store(false)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	first, err := store.FirstStream(ctx, order.TypePlaced, order.TypePointsAwarded)
	switch {
	case err != nil || first == "":
	case strings.Contains(first, "."):
		b.none.Store(true)
	default:
		b.some.Store(true)
	}
}

// ownBareOrder is the caller's own order under a bare id, without events if there is none. An order of somebody else under that id is
// none of the caller's business.
func (h *Handler) ownBareOrder(ctx context.Context, c Caller, id domain.OrderID) (past history[order.State], err error) {
	if !h.bareOrders.mayExist(ctx, h.store) {
		return past, nil
	}
	past, err = load(ctx, h.store, orderStream(id), order.Evolve)
	if err != nil || !placedBy(past.events, c.Issuer, c.Actor) {
		return history[order.State]{}, err
	}
	return past, nil
}

// placedBy tells whether an issuer placed an order that has a bare id. An order of a customer's own has them as its actor; a channel has an
// order with such an actor only if the actor of its command is the same.
func placedBy(events []eventstore.Recorded, issuer domain.Issuer, actor string) bool {
	for _, r := range events {
		switch r.Event.(type) {
		case order.Placed, order.PointsAwarded:
			customer := r.Event.Customer()
			own := r.Metadata.Actor == string(customer)
			return own && issuer == customer.Issuer() ||
				issuer == r.Metadata.Channel.Issuer() && (!own || actor == r.Metadata.Actor)
		}
	}
	return false
}

// storedReturnID is the id under which a return is stored: the full id, unless its issuer made it before, under the bare one.
func storedReturnID(c ReturnItems, past []eventstore.Recorded) domain.ReturnID {
	for _, r := range past {
		if e, is := r.Event.(order.ItemsReturned); is && e.ReturnID == c.Return && returnedBy(r.Metadata) == c.Issuer {
			return c.Return
		}
	}
	return domain.FullID(c.Issuer, c.Return)
}

// returnedBy is the issuer of a return, which is a channel or support.
func returnedBy(m eventstore.Metadata) domain.Issuer {
	if m.Channel == "" {
		return domain.Staff
	}
	return m.Channel.Issuer()
}
