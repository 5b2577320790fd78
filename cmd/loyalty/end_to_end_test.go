package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/eventstore/embedded"
	"loyalty/eventstore/storetest"
	"loyalty/internal/app"
	"loyalty/readmodels/leaderboard"
)

// purchase is an order of the history below: what is posted, and what was acknowledged.
type purchase struct {
	id, customer string
	pence        int64
	refund       int64 // 0 if nothing of it is returned
	points       int64
	reversed     int64
}

const (
	historyOrders    = 1500
	historyCustomers = 150
	historyClients   = 16
	historyRepeats   = 5 // one order in so many is posted twice
	historyReturns   = 4 // one order in so many is returned in part
)

func purchases(seed uint64) []*purchase { return purchasesOf(seed, historyOrders, historyCustomers) }

func purchasesOf(seed uint64, orders, customers int) []*purchase {
	random := rand.New(rand.NewPCG(seed, 0))
	all := make([]*purchase, orders)
	for i := range all {
		// Few distinct amounts, so that many totals are equal.
		p := &purchase{id: fmt.Sprintf("o-%d", i), customer: fmt.Sprintf("c-%d", random.IntN(customers)), pence: int64(random.IntN(12)) * 499}
		if random.IntN(historyReturns) == 0 && p.pence > 0 {
			p.refund = 1 + random.Int64N(p.pence)
		}
		all[i] = p
	}
	return all
}

// post sends an order, and its return, until each is acknowledged; a process that dies is awaited by the caller.
func (c *client) post(p *purchase) error {
	body := orderBody(p.customer, domain.FormatMinor(p.pence))
	var placed placedAnswer
	if err := c.acknowledge(&placed, "/order/"+p.id, body); err != nil {
		return err
	}
	p.points = placed.Points
	if p.refund == 0 {
		return nil
	}
	var returned returnedAnswer
	if err := c.acknowledge(&returned, "/order/"+p.id+"/returns/r-1", map[string]any{"amount": domain.FormatMinor(p.refund)}); err != nil {
		return err
	}
	p.reversed = returned.PointsReversed
	return nil
}

func (c *client) acknowledge(result any, path string, body any) error {
	got, err := c.call(webshop, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	if got.status != http.StatusCreated && got.status != http.StatusOK {
		return fmt.Errorf("POST %s: %d: %s", path, got.status, got.body)
	}
	return json.Unmarshal(got.body, result)
}

// postAll posts the history from many clients at once, and returns what was not acknowledged. It calls halfway once
// half of it was.
func (c *client) postAll(all []*purchase, halfway func()) []*purchase {
	var next, done atomic.Int64
	var mu sync.Mutex
	var open []*purchase
	var clients sync.WaitGroup
	for range historyClients {
		clients.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				err := c.post(all[i])
				if err == nil && i%historyRepeats == 0 {
					err = c.post(all[i])
				}
				if err != nil {
					mu.Lock()
					open = append(open, all[i])
					mu.Unlock()
				}
				if int(done.Add(1)) == len(all)/2 && halfway != nil {
					halfway()
				}
			}
		})
	}
	clients.Wait()
	return open
}

// Given orders and returns of many customers, some of them sent twice
// When the process is killed in the middle, and everything is sent again that was not acknowledged
// Then every trail has each of them once, and every dashboard is as a plain sort says.
func TestEveryAcknowledgedOrderSurvivesAKillExactlyOnceAndEveryDashboardIsExact(t *testing.T) {
	ordersSurviveAKill(t, purchases(2026))
}

// The same beside each version of the event store. The test above has the newest.
func TestOrdersAreExactOnEveryVersionOfTheEventStore(t *testing.T) {
	for _, version := range embedded.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Setenv(storetest.VersionVariable, version)
			ordersSurviveAKill(t, purchasesOf(19, 200, 20))
		})
	}
}

func ordersSurviveAKill(t *testing.T, all []*purchase) {
	data := t.TempDir()
	p := startDev(t, data)
	open := newClient(t, p, data).postAll(all, p.kill)
	if len(open) == 0 || len(open) == len(all) {
		t.Fatalf("%d of %d orders were open after the kill: it came too late or too early to show anything", len(open), len(all))
	}
	p = startDev(t, data)
	c := newClient(t, p, data)
	if still := c.postAll(open, nil); len(still) > 0 {
		t.Fatalf("%d orders are not acknowledged by a healthy process, such as %+v", len(still), *still[0])
	}
	// The first answers once more, to every order, from the process that did not give them.
	for _, purchase := range all {
		first := *purchase
		if err := c.post(purchase); err != nil || *purchase != first {
			t.Fatalf("answered %+v, now %+v, %v", first, *purchase, err)
		}
	}
	last := c.barrier()
	standings := c.checkTrails(all, last)
	secret, err := app.ReadSecret(app.Folder(data).ProxySecretFile())
	if err != nil {
		t.Fatal(err)
	}
	c.checkDashboards(secret, standings, last)
}

// barrier places one more order and returns its position: a read at or after it shows all before.
func (c *client) barrier() string {
	c.t.Helper()
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/barrier", orderBody("c-0", "0"))
	return placed.Position
}

// standing is a customer's place in the plain sort.
type standing struct {
	customer string
	points   int64
	minute   int64
	key      domain.ProxyKey
}

// checkTrails compares every customer's trail with the acknowledged orders, and returns the standings they give.
func (c *client) checkTrails(all []*purchase, position string) []standing {
	c.t.Helper()
	byCustomer := map[string][]*purchase{}
	for _, p := range all {
		byCustomer[p.customer] = append(byCustomer[p.customer], p)
	}
	var standings []standing
	for id, purchases := range byCustomer {
		trail := c.trail(id, position)
		entries := map[string]int{}
		var sum, want int64
		var reached time.Time
		slices.Reverse(trail.Entries)
		for _, entry := range trail.Entries {
			sum += entry.Points
			if entry.Total != sum {
				c.t.Errorf("%s: the trail says %d after entries that sum to %d", id, entry.Total, sum)
			}
			if entry.Points != 0 {
				reached = entry.OccurredAt
			}
			entries[fmt.Sprint(entry.Kind, " ", entry.OrderID, " ", entry.Points)]++
		}
		expected := map[string]int{}
		for _, p := range purchases {
			want += p.points - p.reversed
			expected[fmt.Sprint("award website.", p.id, " ", p.points)]++
			if p.refund > 0 {
				expected[fmt.Sprint("reversal website.", p.id, " ", -p.reversed)]++
			}
		}
		if id == "c-0" {
			expected["award website.barrier 0"]++
		}
		if !mapsEqual(entries, expected) {
			c.t.Errorf("%s: the trail has %v, acknowledged were %v", id, entries, expected)
		}
		if trail.Points != want || sum != want {
			c.t.Errorf("%s: the trail gives %d and sums to %d, the acknowledged orders to %d", id, trail.Points, sum, want)
		}
		if !reached.IsZero() {
			standings = append(standings, standing{customer: id, points: want, minute: leaderboard.Minute(reached)})
		}
	}
	return standings
}

func mapsEqual(a, b map[string]int) bool {
	if len(a) != len(b) {
		return false
	}
	for key, n := range a {
		if b[key] != n {
			return false
		}
	}
	return true
}

// checkDashboards compares every customer's dashboard with a plain sort.
func (c *client) checkDashboards(secret []byte, standings []standing, position string) {
	c.t.Helper()
	proxies, err := domain.NewProxies(secret)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range standings {
		standings[i].key = proxies.Key(domain.CustomerID(standings[i].customer))
	}
	slices.SortFunc(standings, func(a, b standing) int {
		return cmp.Or(cmp.Compare(b.points, a.points), cmp.Compare(a.minute, b.minute), a.key.Compare(b.key))
	})
	row := func(rank, you int) rankAnswer {
		s := standings[rank]
		return rankAnswer{Rank: int64(rank) + 1, ProxyName: s.key.Name(), Points: s.points, You: rank == you}
	}
	rows := func(from, to, you int) []rankAnswer {
		rows := []rankAnswer{}
		for rank := max(from, 0); rank < min(to, len(standings)); rank++ {
			rows = append(rows, row(rank, you))
		}
		return rows
	}
	for you, s := range standings {
		for _, size := range []struct{ top, around int }{{10, 2}, {100, 50}, {1, 0}} {
			var got dashboardAnswer
			c.must(http.StatusOK, &got, customer(s.customer), http.MethodGet,
				fmt.Sprintf("/loyalty/%s?top=%d&around=%d", s.customer, size.top, size.around), nil, "Loyalty-Min-Position: "+position)
			mine := row(you, you)
			if got.You == nil || *got.You != mine || got.Customers != int64(len(standings)) ||
				!slices.Equal(got.Top, rows(0, size.top, you)) || !slices.Equal(got.Around, rows(you-size.around, you+size.around+1, you)) {
				c.t.Fatalf("the dashboard of %s is\n%+v\nyou: %+v; a plain sort gives rank %d of %d:\n%+v\ntop %+v\naround %+v", s.customer, got, got.You, you+1, len(standings),
					mine, rows(0, size.top, you), rows(you-size.around, you+size.around+1, you))
			}
		}
	}
}
