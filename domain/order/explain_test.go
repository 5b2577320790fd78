package order_test

import (
	"fmt"
	"testing"

	"loyalty/domain"
	"loyalty/domain/order"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// decided is what a row of commands comes to.
func decided(t interface{ Fatal(...any) }, commands ...order.Command) []domain.Event {
	var all []domain.Event
	var state order.State
	for _, c := range commands {
		events, err := order.Decide(c, state)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			all, state = append(all, e), order.Evolve(state, e)
		}
	}
	return all
}

func placing(minor int64, currency domain.Currency) order.Place {
	return order.Place{Order: "o-1", Customer: "c-1", Items: []string{"mug"}, Paid: domain.Money{Minor: minor, Currency: currency}, Method: "card", Policy: domain.DefaultPolicy()}
}

func back(id domain.ReturnID, minor int64) order.Return {
	return order.Return{Order: "o-1", Return: id, Amount: minor}
}

func TestExplain_says_how_points_came_about(t *testing.T) {
	for _, c := range []struct {
		name     string
		commands []order.Command
		want     []string
	}{
		{"an order and a return", []order.Command{placing(12999, domain.GBP), back("r-1", 4000)}, []string{
			"£129.99 ÷ £10.00 = 12.999 → 13, policy of 2026-01",
			"£40.00 returned: net £89.99 ÷ £10.00 = 8.999 → 9, so 4 taken back",
		}},
		{"a return of all", []order.Command{placing(12999, domain.GBP), back("r-1", 12999)}, []string{
			"£129.99 ÷ £10.00 = 12.999 → 13, policy of 2026-01",
			"£129.99 returned: net £0.00 ÷ £10.00 = 0 → 0, so 13 taken back",
		}},
		{"a return that takes nothing", []order.Command{placing(1400, domain.GBP), back("r-1", 500)}, []string{
			"£14.00 ÷ £10.00 = 1.4 → 1, policy of 2026-01",
			"£5.00 returned: net £9.00 ÷ £10.00 = 0.9 → 1, so 0 taken back",
		}},
		{"euros, which don't divide evenly", []order.Command{placing(2000, domain.EUR)}, []string{"€20.00 ÷ €11.50 ≈ 1.739 → 2, policy of 2026-01"}},
		{"a whole number", []order.Command{placing(10000, domain.GBP)}, []string{"£100.00 ÷ £10.00 = 10 → 10, policy of 2026-01"}},
		{"the largest order", []order.Command{placing(134_217_727_499, domain.GBP)}, []string{"£1342177274.99 ÷ £10.00 = 134217727.499 → 134217727, policy of 2026-01"}},
	} {
		var got []string
		for _, step := range order.Explain(decided(t, c.commands...)) {
			got = append(got, step.Text)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestExplain_proves_that_every_change_adds_up(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		left := rapid.Int64Range(0, 100_000).Draw(t, "paid")
		all := []order.Command{placing(left, rapid.SampledFrom([]domain.Currency{domain.GBP, domain.EUR}).Draw(t, "currency"))}
		for i := 0; left > 0 && i < 5; i++ {
			amount := rapid.Int64Range(1, left).Draw(t, "returned")
			all = append(all, back(domain.ReturnID(fmt.Sprintf("r-%d", i)), amount))
			left -= amount
		}
		steps := order.Explain(decided(t, all...))
		if len(steps) != len(all) {
			t.Fatalf("%d steps for %d commands", len(steps), len(all))
		}
		var sum domain.Points
		for _, s := range steps {
			if sum += s.Points; s.Left != sum || s.Computed != sum {
				t.Fatalf("after %q the order is worth %d, computed %d; the changes add up to %d", s.Text, s.Left, s.Computed, sum)
			}
		}
	})
}

func TestExplain_shows_an_award_that_the_policy_does_not_bear_out(t *testing.T) {
	events := decided(t, placing(12999, domain.GBP))
	award := events[1].(order.PointsAwarded)
	award.Points = 99
	step := order.Explain([]domain.Event{events[0], award})[0]
	if step.Left != 99 || step.Computed != 13 {
		t.Errorf("got %+v", step)
	}
}
