package order_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawPlace draws an order that is accepted, under any policy.
func drawPlace(t *rapid.T) order.Place {
	return place(rapid.Int64Range(0, 200_00).Draw(t, "paid"), func(c *order.Place) {
		spend := rapid.OneOf(rapid.SampledFrom([]int64{1, 3, 500, 999, 1000, 1150}), rapid.Int64Range(1, 300_00)).Draw(t, "spend")
		c.Policy = domain.Policy{ID: "drawn", SpendPerPoint: map[domain.Currency]int64{domain.GBP: spend}}
	})
}

func mustDecide(t *rapid.T, c order.Command, s order.State) []domain.Event {
	t.Helper()
	events, err := order.Decide(c, s)
	if err != nil || len(events) != 2 {
		t.Fatalf("%+v leads to %d events, %v; want two", c, len(events), err)
	}
	return events
}

// However an order is sliced into returns, what they take back sums to what it was awarded, and on the way it is never
// worth less than nothing.
func TestReversals_sum_to_the_award_when_everything_is_returned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawPlace(t)
		events := mustDecide(t, c, order.State{})
		award, state := events[1].(order.PointsAwarded).Points, fold(events...)
		var reversed domain.Points
		for slice := 1; state.Net().Minor > 0; slice++ {
			amount := state.Net().Minor
			if slice < 10 {
				amount = rapid.Int64Range(1, amount).Draw(t, "slice")
			}
			events := mustDecide(t, giveBack(domain.ReturnID(fmt.Sprint("r-", slice)), amount), state)
			reversal := events[1].(order.PointsReversed)
			before, _ := c.Policy.Points(reversal.NetBefore)
			after, _ := c.Policy.Points(reversal.NetAfter)
			if reversal.Points != before-after || reversal.Points < 0 {
				t.Fatalf("%s → %s reverses %d; worth %d before and %d after", reversal.NetBefore, reversal.NetAfter, reversal.Points, before, after)
			}
			reversed += reversal.Points
			for _, e := range events {
				state = order.Evolve(state, e)
			}
			if state.Points < 0 || state.Points != award-reversed {
				t.Fatalf("worth %d after %d of %d were taken back", state.Points, reversed, award)
			}
		}
		if reversed != award || state.Points != 0 {
			t.Fatalf("awarded %d, took back %d, left %d", award, reversed, state.Points)
		}
	})
}

// Commands come in any order, with repeats and conflicts; the model is one sum and one map.
func TestOrder_agrees_with_a_simple_model_over_any_commands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state order.State
		var first *order.Place
		left, returns := int64(0), map[domain.ReturnID]int64{}
		carryOut := func(c order.Command, wantEvents int, wantErr error) {
			events, err := order.Decide(c, state)
			if len(events) != wantEvents || !errors.Is(err, wantErr) {
				t.Fatalf("%+v leads to %d events, %v; want %d, %v", c, len(events), err, wantEvents, wantErr)
			}
			for _, e := range events {
				state = order.Evolve(state, e)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"place": func(t *rapid.T) {
				c := place(rapid.SampledFrom([]int64{0, 14_00, 129_99}).Draw(t, "paid"))
				switch {
				case first == nil:
					carryOut(c, 2, nil)
					first, left = &c, c.Paid.Minor
				case first.Paid == c.Paid:
					carryOut(c, 0, nil)
				default:
					carryOut(c, 0, domain.ErrConflict)
				}
			},
			"return": func(t *rapid.T) {
				id := domain.ReturnID(rapid.SampledFrom([]string{"r-1", "r-2", "r-3", "r-4", "r-5"}).Draw(t, "id"))
				c := giveBack(id, rapid.SampledFrom([]int64{1, 4_01, 5_00, 9_00, 100_00}).Draw(t, "amount"))
				earlier, known := returns[id]
				switch {
				case first == nil:
					carryOut(c, 0, domain.ErrNotFound)
				case known && earlier == c.Amount:
					carryOut(c, 0, nil)
				case known:
					carryOut(c, 0, domain.ErrConflict)
				case c.Amount > left:
					carryOut(c, 0, domain.ErrReturnExceedsPaid)
				default:
					carryOut(c, 2, nil)
					returns[id] = c.Amount
					left -= c.Amount
				}
			},
			"": func(t *rapid.T) {
				var want domain.Points
				if first != nil {
					want, _ = first.Policy.Points(pounds(left))
				}
				if state.Net().Minor != left || state.Points != want || len(state.Returns) != len(returns) {
					t.Fatalf("%s left, %d points, %d returns; want %d, %d, %d", state.Net(), state.Points, len(state.Returns), left, want, len(returns))
				}
			},
		})
	})
}

// drawEvent draws what no history should hold: any amounts, any policy, foreign events, pointers, nothing at all.
func drawEvent(t *rapid.T) domain.Event {
	amount := func() domain.Money {
		return domain.Money{Minor: rapid.Int64().Draw(t, "minor"), Currency: domain.Currency(rapid.SampledFrom([]string{"GBP", "EUR", "", "USD"}).Draw(t, "currency"))}
	}
	policy := func() domain.Policy {
		return domain.Policy{SpendPerPoint: rapid.MapOf(
			rapid.SampledFrom([]domain.Currency{domain.GBP, domain.EUR, ""}), rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1, 1000)),
		).Draw(t, "policy")}
	}
	points := func() domain.Points { return domain.Points(rapid.Int64().Draw(t, "points")) }
	id := func() domain.ReturnID {
		return domain.ReturnID(rapid.SampledFrom([]string{"r-1", "r-2", ""}).Draw(t, "return"))
	}
	switch rapid.IntRange(0, 8).Draw(t, "kind") {
	case 0:
		return order.Placed{About: about(noon), Items: rapid.SliceOf(rapid.String()).Draw(t, "items"), Paid: amount()}
	case 1:
		return order.PointsAwarded{About: about(noon), Points: points(), Paid: amount(), Policy: policy()}
	case 2:
		return order.ItemsReturned{About: about(later), ReturnID: id(), Refunded: amount()}
	case 3:
		return order.PointsReversed{About: about(later), ReturnID: id(), Points: points(), NetBefore: amount(), NetAfter: amount(), Policy: policy()}
	case 4:
		return account.PointsAdjusted{About: about(noon), Points: points()}
	case 5:
		return &order.Placed{Paid: amount()}
	case 6:
		return (*order.Placed)(nil)
	case 7:
		return order.PointsReversed{}
	}
	return nil
}

func drawCommand(t *rapid.T) order.Command {
	if rapid.Bool().Draw(t, "place") {
		return place(rapid.Int64().Draw(t, "paid"))
	}
	return giveBack(domain.ReturnID(rapid.SampledFrom([]string{"r-1", "r-2", "r-3"}).Draw(t, "id")), rapid.Int64().Draw(t, "amount"))
}

func drawHistory(t *rapid.T) []domain.Event {
	return rapid.SliceOfN(rapid.Custom(drawEvent), 0, 12).Draw(t, "history")
}

func TestEvolve_never_panics_on_any_events_nor_Decide_after_them(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := fold(drawHistory(t)...)
		_, _ = order.Decide(drawCommand(t), state)
	})
}

func TestEvolve_ignores_what_is_not_an_orders_event(t *testing.T) {
	given := placed(14_00, 1)
	want := fold(given...)
	got := fold(history(given, []domain.Event{account.PointsAdjusted{Points: 5}, nil, (*order.Placed)(nil)})...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestDecide_is_deterministic_and_changes_neither_state_nor_command(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, command := fold(drawHistory(t)...), drawCommand(t)
		stateBefore, commandBefore := snapshot(t, state), snapshot(t, command)
		events, err := order.Decide(command, state)
		again, errAgain := order.Decide(command, state)
		if diff := cmp.Diff(events, again); diff != "" || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("decided twice, %v and %v (-first +second):\n%s", err, errAgain, diff)
		}
		if diff := cmp.Diff(stateBefore+commandBefore, snapshot(t, state)+snapshot(t, command)); diff != "" {
			t.Fatalf("changed (-before +after):\n%s", diff)
		}
	})
}

func snapshot(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEvents_are_stored_under_names_that_never_change(t *testing.T) {
	for want, e := range map[string]domain.Event{
		"order-placed.v1": order.Placed{About: about(noon)}, "points-awarded.v1": order.PointsAwarded{About: about(noon)},
		"items-returned.v1": order.ItemsReturned{About: about(noon)}, "points-reversed.v1": order.PointsReversed{About: about(noon)},
	} {
		if e.EventType() != want || e.Customer() != "c-1" || !e.Occurred().Equal(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)) {
			t.Errorf("%T is %q about %q at %s", e, e.EventType(), e.Customer(), e.Occurred())
		}
	}
}
