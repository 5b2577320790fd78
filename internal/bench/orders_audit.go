package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"loyalty/internal/cli/output"
	"loyalty/internal/english"
	"loyalty/readmodels/ledger"
)

const (
	// auditReaders is the number of trails that are read at once.
	auditReaders = 16
	// auditTimeout bounds the time for one trail. Most of it is waiting for the read models to catch up.
	auditTimeout = 2 * time.Minute
)

// orderAudit looks up every order of a run in its customer's trail.
type orderAudit struct {
	shop
	server   *orderServer
	progress *output.Progress
}

// auditResult is what the audit found.
type auditResult struct {
	// lost counts acknowledged orders that are not in the trail, doubled entries beyond the first of an order. wrong counts entries
	// with other points than the order earned, entries that nobody ordered, and customers whose total in the ledger or on the
	// dashboard is not the sum of their entries.
	lost, doubled, wrong int
	entries, customers   int
	// found describes the first few of all these.
	found []string
}

// soldOrder is an order that was sent, and whose it is.
type soldOrder struct {
	number       uint64
	customer     int
	acknowledged bool
}

// run reads the trails and dashboards of all customers who ordered.
func (a orderAudit) run(ctx context.Context, l loadResult) (auditResult, error) {
	var sold []soldOrder
	for _, n := range l.acknowledged {
		sold = append(sold, soldOrder{n, a.order(n).customer, true})
	}
	for _, n := range l.unsure {
		sold = append(sold, soldOrder{n, a.order(n).customer, false})
	}
	slices.SortFunc(sold, func(x, y soldOrder) int {
		return cmp.Or(cmp.Compare(x.customer, y.customer), cmp.Compare(x.number, y.number))
	})
	customers := slices.Collect(func(yield func([]soldOrder) bool) {
		for len(sold) > 0 {
			n := 1
			for n < len(sold) && sold[n].customer == sold[0].customer {
				n++
			}
			if !yield(sold[:n]) {
				return
			}
			sold = sold[n:]
		}
	})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var total auditResult
	var mu sync.Mutex
	var next atomic.Int64
	var readers sync.WaitGroup
	for range auditReaders {
		readers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(customers) {
					return
				}
				one, err := a.customer(ctx, customers[i], l)
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				total.add(one)
				if i%64 == 0 {
					a.progress.Update("auditing trails", uint64(total.customers), uint64(len(customers)))
				}
				mu.Unlock()
			}
		})
	}
	readers.Wait()
	return total, context.Cause(ctx)
}

func (t *auditResult) add(o auditResult) {
	t.lost, t.doubled, t.wrong, t.entries, t.customers = t.lost+o.lost, t.doubled+o.doubled, t.wrong+o.wrong, t.entries+o.entries, t.customers+o.customers
	if len(t.found) < 10 {
		t.found = append(t.found, o.found...)
	}
}

func (t *auditResult) find(count *int, format string, values ...any) {
	*count++
	t.found = append(t.found, fmt.Sprintf(format, values...))
}

// trailAnswer is the part of a trail's page that the audit needs.
type trailAnswer struct {
	Points  int64
	Entries []struct {
		Kind          string
		OrderID       string
		Points, Total int64
	}
	Next string
}

// customer audits one customer. sold are all orders of that customer, by number.
func (a orderAudit) customer(ctx context.Context, sold []soldOrder, l loadResult) (auditResult, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	found := auditResult{customers: 1}
	id := a.customerID(sold[0].customer)
	times := make(map[uint64]int, len(sold))
	var sum, points int64
	var newest *int64
	for cursor := ""; ; {
		var page trailAnswer
		path := fmt.Sprintf("/loyalty/%s/trail?limit=%d", id, ledger.MaxPage)
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		if err := a.server.read(ctx, path, l.position, &page); err != nil {
			return found, err
		}
		points = page.Points
		for _, e := range page.Entries {
			found.entries++
			if newest == nil {
				newest = &e.Total
			}
			sum += e.Points
			number, ours := a.orderNumber(e.OrderID)
			_, ordered := slices.BinarySearchFunc(sold, number, func(o soldOrder, n uint64) int { return cmp.Compare(o.number, n) })
			switch {
			case !ours || !ordered || e.Kind != string(ledger.Award):
				found.find(&found.wrong, "%s has an entry %s of order %q, which nobody placed", id, e.Kind, e.OrderID)
				continue
			case e.Points != a.order(number).points():
				found.find(&found.wrong, "order %s has %d points and is worth %d", e.OrderID, e.Points, a.order(number).points())
			}
			if times[number]++; times[number] > 1 {
				found.find(&found.doubled, "order %s is in the trail of %s %d times", e.OrderID, id, times[number])
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for _, o := range sold {
		if o.acknowledged && times[o.number] == 0 {
			found.find(&found.lost, "order %s was acknowledged and is not in the trail of %s", a.appendOrderID(nil, o.number), id)
		}
	}
	if sum != points || newest != nil && *newest != sum {
		found.find(&found.wrong, "the entries of %s sum to %d, the trail says %d", id, sum, points)
	}
	var dashboard dashboardAnswer
	if err := a.server.read(ctx, "/loyalty/"+id+"?top=1&around=0", l.position, &dashboard); err != nil {
		return found, err
	}
	var shown int64
	if dashboard.You != nil {
		shown = dashboard.You.Points
	}
	if shown != sum {
		found.find(&found.wrong, "the entries of %s sum to %d, the dashboard says %d", id, sum, shown)
	}
	return found, nil
}

// err is nil if the audit found nothing wrong.
func (t auditResult) err() error {
	if t.lost+t.doubled+t.wrong == 0 {
		return nil
	}
	return errors.New("the audit failed: " + english.Count(uint64(t.lost), "order", "orders") + " lost, " + english.Grouped(uint64(t.doubled)) + " doubled, " +
		english.Grouped(uint64(t.wrong)) + " wrong, among them\n  " + strings.Join(t.found[:min(10, len(t.found))], "\n  "))
}
