package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"loyalty/bus"
	"loyalty/internal/cli"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// channelOnBus is a channel that sends commands through a broker and knows only Redis.
type channelOnBus struct {
	t      testing.TB
	client *goredis.Client
	topics bus.Topics
}

func onBus(t testing.TB, server *redistest.Server) *channelOnBus {
	t.Helper()
	c := &channelOnBus{t: t, client: goredis.NewClient(&goredis.Options{Addr: server.Addr()}), topics: bus.TopicsUnder("loyalty.")}
	t.Cleanup(func() { _ = c.client.Close() })
	return c
}

func (c *channelOnBus) send(id, name, payload string) {
	c.t.Helper()
	if err := c.client.XAdd(c.t.Context(), &goredis.XAddArgs{
		Stream: c.topics.Commands, Values: []string{"id", id, "name", name, "correlation_id", "corr-" + id, "payload", payload},
	}).Err(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *channelOnBus) order(id, customer string) {
	c.t.Helper()
	c.send(id, "place-order.v1", fmt.Sprintf(`{"orderId": %q, "customerId": %q, "ItemIds": ["mug"], "paymentDetails": {"amount": "129.99", "currency": "GBP"}, "channel": "store", "actor": "till-7"}`, id, customer))
}

// read gives the payloads of a topic so far.
func read[T any](c *channelOnBus, topic string) []T {
	c.t.Helper()
	entries, err := c.client.XRange(c.t.Context(), topic, "-", "+").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	all := make([]T, len(entries))
	for i, entry := range entries {
		if err := json.Unmarshal([]byte(entry.Values["payload"].(string)), &all[i]); err != nil {
			c.t.Fatal(err)
		}
	}
	return all
}

// result waits for the last result of a command, which has some status.
func (c *channelOnBus) result(id string, status bus.Status) bus.Result {
	c.t.Helper()
	var found bus.Result
	waitFor(c.t, fmt.Sprintf("%s to be %s", id, status), func() bool {
		for _, r := range read[bus.Result](c, c.topics.Results) {
			if r.CommandID == id {
				found = r
			}
		}
		return found.Status == status
	})
	return found
}

func (p *process) metrics() string {
	p.t.Helper()
	_, text := p.operators("/metrics")
	return text
}

func TestCommandsComeInAndEventsGoOutThroughABroker(t *testing.T) {
	server, data := redistest.Start(t), t.TempDir()
	channel := onBus(t, server)
	// Sent while nobody listens.
	channel.order("o-1", "alice")
	p := startDev(t, data, "--command-bus", server.URL(), "--event-bus", server.URL()+"?from=start")
	placed := channel.result("o-1", bus.Placed)
	if placed.Points == nil || *placed.Points != 13 || placed.CorrelationID != "corr-o-1" {
		t.Errorf("the result is %+v", placed)
	}
	c := newClient(t, p, data)
	var board dashboardAnswer
	c.must(http.StatusOK, &board, customer("alice"), http.MethodGet, "/loyalty/alice", nil, "Loyalty-Min-Position: "+placed.Position)
	if board.You == nil || board.You.Points != 13 {
		t.Errorf("the dashboard is %+v", board)
	}
	channel.send("r-1", "return-items.v1", `{"orderId": "o-1", "returnId": "r-1", "amount": 40, "channel": "store", "actor": "till-7"}`)
	channel.result("r-1", bus.Returned)
	channel.send("l-1", "adjust-points.v1", `{"customerId": "alice", "loyaltyId": "l-1", "loyalty-points": 25, "reason": "a late parcel", "actor": "agent-1"}`)
	channel.result("l-1", bus.Adjusted)

	waitFor(t, "the events", func() bool { return len(read[bus.IntegrationEvent](channel, channel.topics.Events)) == 3 })
	var told []string
	for _, e := range read[bus.IntegrationEvent](channel, channel.topics.Events) {
		told = append(told, fmt.Sprint(e.Type, " ", e.CustomerID, " ", e.Points))
	}
	if got := strings.Join(told, ", "); got != "loyalty.points-awarded.v1 alice 13, loyalty.points-reversed.v1 alice 4, loyalty.points-adjusted.v1 alice 25" {
		t.Errorf("told: %s", got)
	}
	metrics := p.metrics()
	for _, want := range []string{
		`loyalty_bus_commands_total{command="place-order.v1",status="placed"} 1`, "loyalty_bus_poison 0",
		`loyalty_projection_lag_seconds{projection="integration-events"}`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics don't have %s", want)
		}
	}
	if out, stderr, status := runProgram(t, "verify", "--data", data); status != cli.ExitOK {
		t.Errorf("verify exits with %d: %s%s", status, out, stderr)
	}
	if status := p.stop(os.Interrupt); status != cli.ExitOK {
		t.Errorf("it exits with %d", status)
	}
	// It goes on where it stopped: nothing is told twice.
	p = startDev(t, data, "--command-bus", server.URL(), "--event-bus", server.URL())
	channel.order("o-2", "bob")
	waitFor(t, "the next event", func() bool { return len(read[bus.IntegrationEvent](channel, channel.topics.Events)) > 3 })
	if events := read[bus.IntegrationEvent](channel, channel.topics.Events); len(events) != 4 || events[3].OrderID != "store.o-2" {
		t.Errorf("after a restart: %+v", events)
	}
	for _, secret := range []string{"late parcel", "129.99", "mug"} {
		if strings.Contains(p.err.String(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}

func TestAKilledProcessLosesAndDoublesNoCommand(t *testing.T) {
	server, data := redistest.Start(t), t.TempDir()
	channel := onBus(t, server)
	args := []string{"--command-bus", server.URL() + "?claim_after=500ms", "--event-bus", server.URL() + "?from=start"}
	const orders = 300
	for i := range orders {
		channel.order(fmt.Sprintf("o-%d", i), "alice")
	}
	answered := func() int {
		seen := make(map[string]bool)
		for _, r := range read[bus.Result](channel, channel.topics.Results) {
			if r.Status != bus.Placed && r.Status != bus.Replayed {
				t.Fatalf("result %+v", r)
			}
			seen[r.CommandID] = true
		}
		return len(seen)
	}
	for _, before := range []int{1, 60, 150} {
		p := startDev(t, data, args...)
		waitFor(t, "some results", func() bool { return answered() >= before })
		p.kill()
	}
	p := startDev(t, data, args...)
	waitFor(t, "all results", func() bool { return answered() == orders })
	var last string
	for _, r := range read[bus.Result](channel, channel.topics.Results) {
		last = r.Position
	}
	trail := newClient(t, p, data).trail("alice", last)
	if len(trail.Entries) != orders || trail.Points != orders*13 {
		t.Errorf("%d entries, %d points", len(trail.Entries), trail.Points)
	}
	// The events, once those told twice are dropped, are the trail in the order in which it came about.
	var told []string
	seen := make(map[string]bool)
	waitFor(t, "all events", func() bool {
		told, seen = nil, make(map[string]bool)
		for _, e := range read[bus.IntegrationEvent](channel, channel.topics.Events) {
			if !seen[e.EventID] {
				told = append(told, string(e.OrderID))
			}
			seen[e.EventID] = true
		}
		return len(told) == orders
	})
	for i, entry := range trail.Entries {
		if told[orders-1-i] != entry.OrderID {
			t.Fatalf("event %d tells of %s, the trail of %s", orders-1-i, told[orders-1-i], entry.OrderID)
		}
	}
}
