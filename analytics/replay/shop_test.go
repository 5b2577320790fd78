package replay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/analytics/replay"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/eventstore/storetest"
)

// shop is a shop with a log whose clock the test turns.
type shop struct {
	t       testing.TB
	store   *eventstore.Store
	target  string
	handler *commands.Handler
	random  *rand.Rand
	clock   atomic.Int64 // microseconds since 1970
	ids     int
	orders  []bought
	gone    map[domain.CustomerID]bool
	last    domain.Position
}

type bought struct {
	id   domain.OrderID
	left int64
}

const patience = time.Minute

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func openShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t, random: rand.New(rand.NewPCG(8, 15)), gone: map[domain.CustomerID]bool{}}
	s.turn("2026-09-28T09:00:00Z")
	dir := filepath.Join(t.TempDir(), "eventstore")
	now := func() time.Time { return time.UnixMicro(s.clock.Load()).UTC() }
	server, err := embedded.Open(t.Context(), embedded.Options{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if s.target, err = embedded.SocketTarget(dir); err != nil {
		t.Fatal(err)
	}
	s.store = storetest.Connect(t, s.target)
	s.handler, err = commands.New(s.store, commands.Options{Policy: domain.DefaultPolicy(), MaxOrderPoints: commands.MaxPointsLimit, NewID: uuid.New, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// turn sets the clock.
func (s *shop) turn(text string) {
	s.t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		s.t.Fatal(err)
	}
	s.clock.Store(at.UnixMicro())
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) order(customer domain.CustomerID, pence int64, c domain.Currency, through domain.Channel) domain.OrderID {
	s.t.Helper()
	s.ids++
	id := domain.OrderID(fmt.Sprintf("o-%d", s.ids))
	placed, err := s.handler.PlaceOrder(bounded(s.t), commands.PlaceOrder{
		Caller: commands.Caller{Actor: "till-1", Channel: through, Issuer: through.Issuer()}, Order: id, Customer: customer, Items: []string{"mug"},
		Paid: domain.Money{Minor: pence, Currency: c}, Method: "card",
	})
	s.must(err)
	s.last = placed.Position
	return domain.FullID(through.Issuer(), id)
}

func (s *shop) giveBack(id domain.OrderID, pence int64, through domain.Channel) {
	s.t.Helper()
	s.ids++
	back, err := s.handler.ReturnItems(bounded(s.t), commands.ReturnItems{
		Caller: commands.Caller{Actor: "till-1", Channel: through, Issuer: through.Issuer()}, Order: id, Return: domain.ReturnID(fmt.Sprintf("r-%d", s.ids)), Amount: pence, Reason: "chipped",
	})
	s.must(err)
	s.last = back.Position
}

func (s *shop) adjust(customer domain.CustomerID, points domain.Points, reason string) {
	s.t.Helper()
	s.ids++
	made, err := s.handler.AdjustPoints(bounded(s.t), commands.AdjustPoints{
		Caller: commands.Caller{Actor: "agent-7", Issuer: domain.Staff}, Customer: customer, ID: domain.LoyaltyID(fmt.Sprintf("a-%d", s.ids)), Points: points, Reason: reason,
	})
	s.must(err)
	s.last = made.Position
}

// busy has n random things happen to customers, some of whom are forgotten.
func (s *shop) busy(n int) {
	s.t.Helper()
	channels := []domain.Channel{domain.Website, domain.Mobile, domain.Store}
	gone := s.gone
	agent := commands.Caller{Actor: "agent-7", Issuer: domain.Staff}
	for range n {
		s.clock.Add(s.random.Int64N(3 * 3600 * 1_000_000))
		customer := domain.CustomerID(fmt.Sprintf("c-%02d", s.random.IntN(40)))
		through := channels[s.random.IntN(3)]
		switch what := s.random.IntN(20); {
		case what < 11:
			pence := s.random.Int64N(30_000) + 1
			id := s.order(customer, pence, []domain.Currency{domain.GBP, domain.EUR}[s.random.IntN(2)], through)
			s.orders = append(s.orders, bought{id, pence})
		case what < 15 && len(s.orders) > 0:
			b := &s.orders[s.random.IntN(len(s.orders))]
			if b.left > 0 {
				back := s.random.Int64N(b.left) + 1
				s.giveBack(b.id, back, through)
				b.left -= back
			}
		case what < 17 && !gone[customer]:
			s.adjust(customer, domain.Points(s.random.IntN(60)-31)|1, []string{"goodwill", "a \"naïve\" mistake", "d'accord, tant mieux"}[s.random.IntN(3)])
		case what == 17 && !gone[customer] && s.random.IntN(4) == 0:
			gone[customer] = true
			at, err := s.handler.ForgetCustomer(bounded(s.t), commands.ForgetCustomer{Caller: agent, Customer: customer, Reason: "asked for it"})
			s.must(err)
			s.last = at
		case what == 18 && !gone[customer]:
			s.ids++
			id := domain.LoyaltyID(fmt.Sprintf("gift-%d", s.ids))
			_, err := s.handler.AdjustPoints(bounded(s.t), commands.AdjustPoints{Caller: agent, Customer: customer, ID: id, Points: 700, Reason: "goodwill", Limit: 100})
			s.must(err)
			made, err := s.handler.ApproveAdjustment(bounded(s.t), commands.ApproveAdjustment{Caller: commands.Caller{Actor: "lead-1", Issuer: domain.Staff}, Customer: customer, ID: domain.FullID(domain.Staff, id)})
			s.must(err)
			s.last = made.Position
		case what == 19 && gone[customer]:
			at, err := s.handler.CertifyErasure(bounded(s.t), commands.CertifyErasure{Caller: agent, Customer: customer, Checks: []account.Check{{Model: "ledger", Position: s.last, Clean: true}}})
			s.must(err)
			s.last = at
		}
	}
}

func proxies(t testing.TB) domain.Proxies {
	t.Helper()
	p, err := domain.NewProxies([]byte("a secret for tests of replay"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func until(t testing.TB, text string) replay.Until {
	t.Helper()
	u, err := replay.ParseUntil("--until", text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func policy(t testing.TB, text string) *replay.Policy {
	t.Helper()
	p, err := replay.ParsePolicy("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fold(t testing.TB, s *shop, o replay.Options) *replay.History {
	t.Helper()
	h, err := replay.FromLog(bounded(t), s.store, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func report(t testing.TB, h *replay.History, top int) replay.Report {
	t.Helper()
	r, err := h.Report(h.Board(proxies(t)), top)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
