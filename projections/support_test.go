package projections_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// counter is a shop with its support, under random use, with all that shows what came of it.
type counter struct {
	store   *eventstore.Store
	handler *commands.Handler
	ledgers map[string]readLedger
	board   *memory.Board
	proxies domain.Proxies
	now     time.Time
	// ids counts what was given an id.
	ids int
	// last is where the last event stands, and ranking that of those that a leaderboard follows.
	last, ranking domain.Position
}

type readLedger interface {
	ledger.Reader
	ledger.Auditor
	ledger.Finder
	ledger.Writer
}

// served is what the shop knows of a customer by the answers it got.
type served struct {
	points  domain.Points
	ranked  bool // the points have ever changed
	gone    bool
	bought  []bought
	waiting []domain.LoyaltyID
}

type bought struct {
	order domain.OrderID
	paid  int64 // pence that were not returned
}

func openCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{
		store: storetest.Open(t), board: memory.New(), proxies: testProxies(t), now: time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC),
		ledgers: map[string]readLedger{"SQLite": openLedger(t), "Postgres": openPostgres(t, postgrestest.Start(t).URL())},
	}
	handler, err := commands.New(c.store, commands.Options{
		Policy: domain.DefaultPolicy(), NewID: uuid.New,
		Now: func() time.Time { c.now = c.now.Add(7 * time.Minute); return c.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	c.handler = handler
	for _, l := range c.ledgers {
		run(t, projections.Ledger{Writer: l, Proxies: c.proxies}, c.store, projections.Options{})
	}
	run(t, projections.Leaderboard{Writer: c.board, Accounts: unwritten{}, Proxies: c.proxies}, c.store, projections.Options{})
	return c
}

func (c *counter) id(what string) string {
	c.ids++
	return fmt.Sprintf("%s-%d", what, c.ids)
}

const aloneAtMost = 100

// serve does one thing with a customer, of all that a shop and its support do.
func (c *counter) serve(ctx context.Context, r *rapid.T, customer domain.CustomerID, s *served) {
	agent, lead := commands.Caller{Actor: "agent-7", Issuer: domain.Staff}, commands.Caller{Actor: "lead-1", Issuer: domain.Staff}
	changed := func(points domain.Points, at domain.Position) {
		s.points, s.ranked, c.last, c.ranking = s.points+points, s.ranked || points != 0, at, at
	}
	must := func(err error) {
		if err != nil {
			r.Fatalf("%s, %+v: %v", customer, s, err)
		}
	}
	// done tells that a command went through; of somebody forgotten it must not.
	done := func(err error) bool {
		if s.gone && !errors.Is(err, domain.ErrForgotten) {
			r.Fatalf("%s is forgotten: %v", customer, err)
		}
		if !s.gone {
			must(err)
		}
		return !s.gone
	}
	switch rapid.SampledFrom([]string{"order", "order", "order", "return", "return", "adjust", "request", "request", "approve", "decline", "forget", "certify", "reveal"}).Draw(r, "what") {
	case "order":
		paid := rapid.Int64Range(1, 30_000).Draw(r, "pence")
		id := domain.OrderID(c.id("order"))
		placed, err := c.handler.PlaceOrder(ctx, commands.PlaceOrder{
			Caller: commands.Caller{Actor: "till-1", Channel: domain.Store, Issuer: domain.Store.Issuer()}, Order: id, Customer: customer, Items: []string{"mug"}, Paid: domain.Money{Minor: paid, Currency: domain.GBP}, Method: "card",
		})
		must(err)
		s.bought = append(s.bought, bought{domain.FullID(domain.Store.Issuer(), id), paid})
		changed(placed.Points, placed.Position)
	case "return":
		if len(s.bought) == 0 {
			return
		}
		b := &s.bought[rapid.IntRange(0, len(s.bought)-1).Draw(r, "of which")]
		if b.paid == 0 {
			return
		}
		amount := rapid.Int64Range(1, b.paid).Draw(r, "pence back")
		back, err := c.handler.ReturnItems(ctx, commands.ReturnItems{Caller: agent, Order: b.order, Return: domain.ReturnID(c.id("r")), Amount: amount, Reason: "chipped"})
		must(err)
		b.paid -= amount
		changed(-back.Points, back.Position)
	case "adjust":
		points := domain.Points(rapid.SampledFrom([]int64{-aloneAtMost, -7, -1, 1, 30, aloneAtMost}).Draw(r, "points"))
		made, err := c.handler.AdjustPoints(ctx, commands.AdjustPoints{Caller: agent, Customer: customer, ID: domain.LoyaltyID(c.id("a")), Points: points, Reason: "goodwill", Limit: aloneAtMost})
		if done(err) {
			changed(points, made.Position)
		}
	case "request":
		id, points := domain.LoyaltyID(c.id("gift")), domain.Points(rapid.SampledFrom([]int64{-5000, -101, 101, 700}).Draw(r, "points"))
		asked, err := c.handler.AdjustPoints(ctx, commands.AdjustPoints{Caller: agent, Customer: customer, ID: id, Points: points, Reason: "goodwill", Limit: aloneAtMost})
		if done(err) {
			s.waiting, c.last = append(s.waiting, asked.ID), asked.Position
		}
	case "approve", "decline":
		if len(s.waiting) == 0 {
			return
		}
		if i := rapid.IntRange(0, len(s.waiting)-1).Draw(r, "which"); rapid.Bool().Draw(r, "agree") {
			made, err := c.handler.ApproveAdjustment(ctx, commands.ApproveAdjustment{Caller: lead, Customer: customer, ID: s.waiting[i]})
			if done(err) {
				s.waiting = slices.Delete(s.waiting, i, i+1)
				changed(made.Points, made.Position)
			}
		} else {
			declined, err := c.handler.DeclineAdjustment(ctx, commands.DeclineAdjustment{Caller: lead, Customer: customer, ID: s.waiting[i], Reason: "not so much"})
			must(err)
			s.waiting, c.last = slices.Delete(s.waiting, i, i+1), declined.Position
		}
	case "forget":
		if !s.gone && rapid.IntRange(1, 2).Draw(r, "sure") == 1 {
			at, err := c.handler.ForgetCustomer(ctx, commands.ForgetCustomer{Caller: agent, Customer: customer, Reason: "asked for it"})
			must(err)
			s.gone, c.last, c.ranking = true, at, at
		}
	case "certify":
		if s.gone {
			at, err := c.handler.CertifyErasure(ctx, commands.CertifyErasure{Caller: agent, Customer: customer, Checks: []account.Check{{Model: "ledger", Position: c.last, Clean: true}}})
			must(err)
			c.last = at
		}
	case "reveal":
		told, err := c.handler.RevealProxyName(ctx, commands.RevealProxyName{
			Caller: agent, ID: domain.RevealID(c.id("k")), Customers: []domain.CustomerID{customer}, Reason: "a call",
		})
		if must(err); s.gone != (len(told.Customers) == 0) {
			r.Fatalf("of %s, forgotten %t, %+v is told", customer, s.gone, told)
		}
		if !s.gone {
			c.last = told.Position
		}
	}
}

// TestATrailAddsUpToWhatTheDashboardShows: whatever happens to customers, the sum of their trail, the total of their account and
// their points on the leaderboard are the same; of those who were forgotten the trail still adds up, and they are on no leaderboard.
func TestATrailAddsUpToWhatTheDashboardShows(t *testing.T) {
	c := openCounter(t)
	seen := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		// Given customers whom nobody knows yet, and what happens to them
		customers := map[domain.CustomerID]*served{}
		var ids []domain.CustomerID
		for range rapid.IntRange(1, 4).Draw(r, "customers") {
			ids = append(ids, domain.CustomerID(c.id("c")))
			customers[ids[len(ids)-1]] = &served{}
		}
		for range rapid.IntRange(1, 30).Draw(r, "events") {
			customer := rapid.SampledFrom(ids).Draw(r, "customer")
			c.serve(ctx, r, customer, customers[customer])
		}
		// When all have followed, and two more leaderboards start from the ledgers
		if err := c.board.Wait(ctx, c.ranking); err != nil {
			r.Fatal(err)
		}
		boards := map[string]leaderboard.Reader{"the one that follows": c.board}
		for name, l := range c.ledgers {
			if err := l.Wait(ctx, c.last); err != nil {
				r.Fatal(err)
			}
			fresh := memory.New()
			if _, err := (projections.Leaderboard{Writer: fresh, Accounts: l, Log: c.store, Proxies: c.proxies}).Checkpoint(ctx); err != nil {
				r.Fatal(err)
			}
			boards["from "+name] = fresh
		}
		// Then all say the same of everybody
		limit := rapid.IntRange(1, 9).Draw(r, "limit")
		for _, customer := range ids {
			s := customers[customer]
			for name, l := range c.ledgers {
				c.trailAddsUp(ctx, r, name, l, customer, s, limit)
			}
			for name, board := range boards {
				got, ranked, _, err := board.Standing(ctx, c.proxies.Key(customer))
				wantPoints := s.points
				if s.gone {
					wantPoints = 0
				}
				if err != nil || ranked != (s.ranked && !s.gone) || got.Retired != s.gone || got.Points != wantPoints {
					r.Fatalf("the leaderboard %s has %s, who is %+v, at %+v, %v, %v", name, customer, s, got, ranked, err)
				}
			}
			seen[fmt.Sprintf("forgotten: %t, ranked: %t", s.gone, s.ranked)]++
		}
	})
	if len(seen) != 4 {
		t.Errorf("there were %v, which tests little", seen)
	}
	fold := projections.NewFold(c.store)
	for name, l := range c.ledgers {
		if found, err := fold.VerifyLedger(bounded(t), l, projections.CompareOptions{}); err != nil || found.Drifted != 0 {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

func (c *counter) trailAddsUp(ctx context.Context, r *rapid.T, name string, l readLedger, customer domain.CustomerID, s *served, limit int) {
	var sum, newest domain.Points
	var read int64
	for page, err := range ledger.Pages(ctx, l, customer, ledger.Filter{}, limit) {
		if err != nil {
			r.Fatal(err)
		}
		if read == 0 && len(page.Entries) > 0 {
			newest = page.Entries[0].Total
		}
		for _, e := range page.Entries {
			sum, read = sum+e.Points, read+1
		}
	}
	has, _, err := l.Account(ctx, customer)
	if err != nil || sum != s.points || has.Points != s.points || newest != s.points || has.Entries != read || has.Forgotten != s.gone || has.ReachedAt.IsZero() == s.ranked {
		r.Fatalf("in %s the trail of %s, who is %+v, adds up to %d and ends at %d in %d entries; the account is %+v, %v", name, customer, s, sum, newest, read, has, err)
	}
	waiting, err := l.AuditLog(ctx, ledger.AuditFilter{Customer: customer, Waiting: true}, "", ledger.MaxPage)
	left := map[domain.LoyaltyID]bool{}
	for _, id := range s.waiting {
		left[id] = true
	}
	for _, a := range waiting.Records {
		if !left[a.Loyalty] {
			r.Fatalf("in %s the request %s of %s waits", name, a.Loyalty, customer)
		}
	}
	if err != nil || len(waiting.Records) != len(left) {
		r.Fatalf("in %s %d requests of %s wait, %v; want %v", name, len(waiting.Records), customer, err, s.waiting)
	}
	named, err := ledger.Named(ctx, l, c.proxies, c.proxies.Key(customer).Name())
	if err != nil || (len(named) == 1) != (read > 0 && !s.gone) {
		r.Fatalf("in %s the name of %s, who is %+v, leads to %v, %v", name, customer, s, named, err)
	}
}
