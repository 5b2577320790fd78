package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/internal/cli"
)

// eventsAlone are the settings of processes that have an event store and nothing else.
func eventsAlone(t *testing.T) []string {
	t.Helper()
	events := openEvents(t)
	return []string{
		"LOYALTY_EVENTSTORE=esdb://" + events.Addr() + "?tls=false", "LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_PROXY_SECRET=" + siteProxySecret,
	}
}

// Given two processes that take orders, with an event store and no read model
// When one customer orders for £700,000,000 at each
// Then both refuse it and say their limit, which is a setting; and what was placed before is answered under a lower limit too.
func TestProcessesThatHaveOnlyTheEventStoreRefuseAnOrderAboveTheLimit(t *testing.T) {
	settings, rich := eventsAlone(t), buyer("rich")
	serve := func(more ...string) *client {
		return clientWith(t, start(t, append(settings, more...), "serve", "--roles", "command", "--addr", "127.0.0.1:0"), []byte(siteTokenSecret))
	}
	first, second := serve(), serve("LOYALTY_MAX_ORDER_POINTS=12")
	for i, p := range []*client{first, second} {
		path, limit := fmt.Sprint("/order/big-", i), []string{"10000", "12"}[i]
		got := p.must(http.StatusUnprocessableEntity, nil, rich, "POST", path, orderBody(nil, "700000000.00"))
		if body := string(got.body); !strings.Contains(body, `"order_points_limit"`) || !strings.Contains(body, "at most "+limit) {
			t.Errorf("%s is answered with %s", path, body)
		}
	}
	var placed, again placedAnswer
	first.must(http.StatusCreated, &placed, rich, "POST", "/order/small", orderBody(nil, "129.99"))
	second.must(http.StatusOK, &again, rich, "POST", "/order/small", orderBody(nil, "129.99"))
	if again != placed || placed.Points != 13 {
		t.Errorf("the same order again is answered with %+v, at first with %+v", again, placed)
	}
}

func TestALimitOfPointsOutOfRangeIsAnErrorThatNamesTheSetting(t *testing.T) {
	for _, name := range []string{"LOYALTY_MAX_ORDER_POINTS", "LOYALTY_MAX_ADJUSTMENT_POINTS"} {
		for _, value := range []string{"0", "131072", "-5", "many"} {
			_, stderr, status := runIn(t, []string{name + "=" + value}, "serve", "--roles", "command")
			flag := "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "LOYALTY_"), "_", "-"))
			if status != cli.ExitUsage || !strings.Contains(stderr, flag) {
				t.Errorf("%s=%s: exit status %d, says %q", name, value, status, stderr)
			}
		}
	}
}

// Given a log with two orders of £700,000,000 of one customer, taken before there was a limit, which come to more than a leaderboard ranks by
// When it is followed by a ledger and by leaderboards of both kinds
// Then all show what the customer has, go on with what comes, and verify, both rebuilds and a replay agree.
func TestALogWithLargerOrdersThanAreTakenTodayIsFoldedByAll(t *testing.T) {
	s := openSite(t)
	s.placeLarge("rich", "big-1", "big-2")
	s.role("project")
	shared, own := s.client(s.role("query")), s.client(s.role("query", "LOYALTY_LEADERBOARD=memory:", "LOYALTY_HISTORY="+t.TempDir()))
	till := s.client(s.role("command"))
	shows := func(position string, points int64) {
		t.Helper()
		for _, c := range []*client{shared, own} {
			var d dashboardAnswer
			c.must(http.StatusOK, &d, customer("rich"), http.MethodGet, "/loyalty/rich?top=1", nil, "Loyalty-Min-Position: "+position)
			if d.You == nil || d.You.Rank != 1 || d.You.Points != points || len(d.Top) != 1 || d.Top[0].Points != points {
				t.Errorf("at %s it shows %+v, want %d points", position, d, points)
			}
		}
		if trail := shared.trail("rich", position); trail.Entries[0].Total != points {
			t.Errorf("the trail at %s ends with %+v", position, trail.Entries[0])
		}
	}
	var placed placedAnswer
	till.must(http.StatusUnprocessableEntity, nil, webshop, http.MethodPost, "/order/big-3", orderBody("rich", "700000000.00"))
	till.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/o-1", orderBody("rich", "129.99"))
	shows(placed.Position, 140_000_013)
	var returned returnedAnswer
	till.must(http.StatusCreated, &returned, webshop, http.MethodPost, "/order/big-1/returns/r-1", map[string]any{"amount": "600000000.00"})
	shows(returned.Position, 80_000_013)
	var then dashboardAnswer
	own.must(http.StatusOK, &then, supportClaims, http.MethodGet, "/loyalty/rich?asOf="+placed.Position, nil)
	if then.You == nil || then.You.Points != 140_000_013 {
		t.Errorf("as of %s it shows %+v", placed.Position, then)
	}

	verified := s.verified()
	for _, what := range []string{"ledger", "leaderboard"} {
		var report map[string]any
		if stderr, status := s.tool(&report, "rebuild", what); status != cli.ExitOK {
			t.Errorf("rebuild %s exits with %d: %s", what, status, stderr)
		}
	}
	if again := s.verified(); again.Findings[0].Digest != verified.Findings[0].Digest {
		t.Errorf("the ledger has another digest after the rebuild: %+v, before %+v", again, verified)
	}
	if r := replayed(t, s.settings, "--digest"); r.Digest.Ledger != verified.Findings[0].Digest || r.Totals.Net != 80_000_013 || r.Top[0].Points != 80_000_013 {
		t.Errorf("replayed: %+v, verified: %+v", r, verified)
	}
}

// placeLarge appends orders of £700,000,000, as programs did that had no limit.
func (s *site) placeLarge(who domain.CustomerID, ids ...domain.OrderID) {
	s.t.Helper()
	types, err := eventstore.LoyaltyEvents()
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := eventstore.Open(s.t.Context(), "esdb://"+s.events.Addr()+"?tls=false", types, eventstore.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	for _, id := range ids {
		events, err := order.Decide(order.Place{
			Order: id, Customer: who, Items: []string{"ring"}, Paid: domain.Money{Minor: 70_000_000_000, Currency: domain.GBP},
			Policy: domain.DefaultPolicy(), At: time.Now(),
		}, order.State{})
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := store.Append(s.t.Context(), "order-"+string(id), eventstore.NoStream, uuid.New(), eventstore.Metadata{Actor: webshop.Subject, Channel: webshop.Channel}, events...); err != nil {
			s.t.Fatal(err)
		}
	}
}
