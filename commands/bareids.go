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

// lookTimeout bounds how long the log is looked through for its first order. Other applications may have filled it before us.
const lookTimeout = 10 * time.Minute

// bareOrders knows whether the log may have orders under bare ids.
type bareOrders struct {
	none atomic.Bool
	// asked holds that somebody would like to know.
	asked chan struct{}
}

// mayExist is true until it is known that there are none. No order waits for that.
func (b *bareOrders) mayExist() bool {
	if b.none.Load() {
		return false
	}
	select {
	case b.asked <- struct{}{}:
	default:
	}
	return true
}

// Run finds out, once an order asks, whether the log has orders under bare ids, and returns when that is known or ctx ends. A Handler works
// without it, with one read more for each order.
//
// All bare ids come before the first full one, because no process that makes the former runs beside one that makes the latter. So the log's
// first order decides it, once for the process. It is looked for again as long as there is none.
func (h *Handler) Run(ctx context.Context) {
	for {
		select {
		case <-h.bareOrders.asked:
		case <-ctx.Done():
			return
		}
		looking, cancel := context.WithTimeout(ctx, lookTimeout)
		first, err := h.store.FirstStream(looking, order.TypePlaced, order.TypePointsAwarded)
		cancel()
		if err != nil || first == "" {
			continue
		}
		h.bareOrders.none.Store(strings.Contains(first, "."))
		return
	}
}

// ownBareOrder is the caller's own order under a bare id, without events if there is none. An order of somebody else under that id is
// none of the caller's business.
func (h *Handler) ownBareOrder(ctx context.Context, c Caller, id domain.OrderID) (past history[order.State], err error) {
	if !h.bareOrders.mayExist() {
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
