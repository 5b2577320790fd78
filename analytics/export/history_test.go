package export_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/eventstore/storetest"
)

// history is a log whose clock the test turns.
type history struct {
	t      testing.TB
	store  *eventstore.Store
	target string        // where any client reaches it
	now    atomic.Int64  // microseconds since 1970
	next   uint64        // of the ids it makes up
	late   time.Duration // between what happens and when it is stored
}

// begin opens an empty log at a time.
func begin(t testing.TB, at time.Time) *history {
	t.Helper()
	h := &history{t: t}
	h.now.Store(at.UnixMicro())
	dir := filepath.Join(t.TempDir(), "eventstore")
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir, Now: func() time.Time { return time.UnixMicro(h.now.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	target, err := embedded.SocketTarget(dir)
	if err != nil {
		t.Fatal(err)
	}
	h.target, h.store = target, storetest.Connect(t, target)
	return h
}

func (h *history) time() time.Time { return time.UnixMicro(h.now.Load()).UTC() }

// at turns the clock to a time, RFC 3339.
func (h *history) at(text string) *history {
	h.t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		h.t.Fatal(err)
	}
	h.now.Store(at.UnixMicro())
	return h
}

func (h *history) pass(d time.Duration) { h.now.Add(d.Microseconds()) }

// append appends as one command does, and returns the position of the last event.
func (h *history) append(stream string, expected int64, m eventstore.Metadata, events ...domain.Event) domain.Position {
	h.t.Helper()
	h.next++
	command := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, "command ", h.next))
	m.Causation, m.Correlation = command.String(), fmt.Sprint("request-", h.next)
	at, err := h.store.Append(h.t.Context(), stream, expected, command, m, events...)
	if err != nil {
		h.t.Fatal(err)
	}
	return at
}

// about dates an event a little before it is stored: how much differs from command to command.
func (h *history) about(customer domain.CustomerID) domain.About {
	return domain.About{CustomerID: customer, OccurredAt: h.time().Add(-time.Duration(20+h.next*37%180)*time.Millisecond - h.late)}
}

// orderOf has a customer place an order, and returns the position of its award.
func (h *history) orderOf(customer domain.CustomerID, id domain.OrderID, paid domain.Money, policy domain.Policy, channel domain.Channel) domain.Position {
	h.t.Helper()
	points, err := policy.Points(paid)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.append("order-"+string(id), eventstore.NoStream, eventstore.Metadata{Actor: "till-" + string(channel), Channel: channel},
		order.Placed{About: h.about(customer), OrderID: id, Items: make([]string, 1+len(id)%3), Paid: paid, Method: "card"},
		order.PointsAwarded{About: h.about(customer), OrderID: id, Points: points, Paid: paid, Policy: policy})
}

func (h *history) returnOf(customer domain.CustomerID, id domain.OrderID, paid domain.Money, refunded int64, policy domain.Policy, channel domain.Channel) domain.Position {
	h.t.Helper()
	left := domain.Money{Minor: paid.Minor - refunded, Currency: paid.Currency}
	before, err := policy.Points(paid)
	if err != nil {
		h.t.Fatal(err)
	}
	after, err := policy.Points(left)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.append("order-"+string(id), 1, eventstore.Metadata{Actor: "till-" + string(channel), Channel: channel},
		order.ItemsReturned{About: h.about(customer), OrderID: id, ReturnID: "r-1", Refunded: domain.Money{Minor: refunded, Currency: paid.Currency}, Reason: "too small"},
		order.PointsReversed{About: h.about(customer), OrderID: id, ReturnID: "r-1", Points: before - after, NetBefore: paid, NetAfter: left, Policy: policy, Reason: "too small"})
}

// autumn fills a log with three months of a small shop, always the same: 40 customers, a policy that changes in November, returns,
// goodwill, and requests that a second person decided.
func autumn(t testing.TB) *history {
	h := begin(t, time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC))
	random := rand.New(rand.NewPCG(8, 11))
	old := domain.Policy{ID: "2026-01", SpendPerPoint: map[domain.Currency]int64{domain.GBP: 1000, domain.EUR: 1150}}
	better := domain.Policy{ID: "2026-11", SpendPerPoint: map[domain.Currency]int64{domain.GBP: 800, domain.EUR: 920}}
	channels := []domain.Channel{domain.Website, domain.Mobile, domain.Store}
	revisions := map[domain.CustomerID]int64{}
	adjust := func(customer domain.CustomerID, events ...domain.Event) {
		expected := revisions[customer] - 1
		h.append("account-"+string(customer), expected, eventstore.Metadata{Actor: "staff-9"}, events...)
		revisions[customer] += int64(len(events))
	}
	for n := 0; h.time().Before(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)); n++ {
		policy := old
		if h.time().Month() == time.November {
			policy = better
		}
		customer := domain.CustomerID(fmt.Sprintf("c-%02d", int(random.ExpFloat64()*10)%40))
		channel := channels[random.IntN(3)]
		paid := domain.Money{Minor: 300 + int64(random.ExpFloat64()*4500), Currency: domain.GBP}
		if n%5 == 0 {
			paid.Currency = domain.EUR
		}
		id := domain.OrderID(fmt.Sprintf("o-%04d", n))
		if h.late = 0; channel == domain.Store && n%7 == 0 {
			h.late = time.Duration(n%180) * time.Minute // a till without a network
		}
		h.orderOf(customer, id, paid, policy, channel)
		h.late = 0
		switch {
		case n%11 == 3:
			h.pass(26 * time.Hour / 2)
			h.returnOf(customer, id, paid, paid.Minor/int64(1+n%2), policy, channel)
		case n%29 == 7:
			staff := fmt.Sprint("staff-", 1+n%3)
			adjust(customer, account.PointsAdjusted{About: h.about(customer), LoyaltyID: domain.LoyaltyID(fmt.Sprint("l-", n)), Points: domain.Points(5 + n%20), Reason: "late delivery", Actor: staff})
		case n%67 == 20:
			about, id, points := h.about(customer), domain.LoyaltyID(fmt.Sprint("l-", n)), domain.Points(500+n)
			adjust(customer, account.AdjustmentRequested{About: about, LoyaltyID: id, Points: points, Reason: "a claim", Actor: "staff-1"})
			h.pass(time.Hour)
			if n%2 == 0 {
				adjust(customer, account.AdjustmentDeclined{About: about, LoyaltyID: id, Reason: "no receipt", Actor: "staff-9"})
			} else {
				adjust(customer, account.AdjustmentApproved{About: about, LoyaltyID: id, Points: points, RequestedBy: "staff-1", Actor: "staff-9"},
					account.PointsAdjusted{About: about, LoyaltyID: id, Points: points, Reason: "a claim", Actor: "staff-1"})
			}
		}
		h.pass(time.Duration(random.ExpFloat64() * float64(5*time.Hour)))
	}
	return h
}

// all reads the whole log.
func (h *history) all() []eventstore.Recorded {
	h.t.Helper()
	end, err := h.store.End(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	var all []eventstore.Recorded
	if _, err := h.store.Between(h.t.Context(), domain.Checkpoint{}, end, everyType(h.t), func(r eventstore.Recorded) error {
		all = append(all, r)
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return all
}

// everyType are the types that the golden files of the event store have, which has all of them.
func everyType(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../../eventstore/testdata/golden/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var types []string
	for _, file := range files {
		types = append(types, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	slices.Sort(types)
	return types
}
