package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"loyalty/eventstore/embedded"
	"loyalty/internal/cli"
)

// orderOf is the body of an order for an amount.
func orderOf(amount string) map[string]any {
	return map[string]any{"ItemIds": []string{"ring"}, "paymentDetails": map[string]any{"amount": amount, "currency": "GBP", "method": "card"}}
}

// eventsAlone are the settings of processes that have an event store and nothing else.
func eventsAlone(t *testing.T) []string {
	t.Helper()
	events, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := events.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return []string{
		"LOYALTY_EVENTSTORE=esdb://" + events.Addr() + "?tls=false", "LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_PROXY_SECRET=" + siteProxySecret,
	}
}

// Given two processes that take orders, with an event store and no read model
// When one customer orders for £700,000,000 at each
// Then both refuse it and say their limit, which is a setting; and what was placed before is answered under a lower limit too.
func TestProcessesThatHaveOnlyTheEventStoreRefuseAnOrderAboveTheLimit(t *testing.T) {
	settings, rich := eventsAlone(t), customer("rich")
	serve := func(more ...string) *client {
		return clientWith(t, start(t, append(settings, more...), "serve", "--roles", "command", "--addr", "127.0.0.1:0"), []byte(siteTokenSecret))
	}
	first, second := serve(), serve("LOYALTY_MAX_ORDER_POINTS=12")
	for i, p := range []*client{first, second} {
		path, limit := fmt.Sprint("/order/big-", i), []string{"10000", "12"}[i]
		got := p.must(http.StatusUnprocessableEntity, nil, rich, "POST", path, orderOf("700000000.00"))
		if body := string(got.body); !strings.Contains(body, `"order_points_limit"`) || !strings.Contains(body, "at most "+limit) {
			t.Errorf("%s is answered with %s", path, body)
		}
	}
	var placed, again placedAnswer
	first.must(http.StatusCreated, &placed, rich, "POST", "/order/small", orderOf("129.99"))
	second.must(http.StatusOK, &again, rich, "POST", "/order/small", orderOf("129.99"))
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
