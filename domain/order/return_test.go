package order_test

import (
	"math"
	"strings"
	"testing"

	"loyalty/domain"
	"loyalty/domain/order"
)

func TestReturn(t *testing.T) {
	check(t,
		scenario{
			name:  "everything back takes everything back",
			given: placed(129_99, 13),
			when:  giveBack("r-1", 129_99),
			then:  returned("r-1", 129_99, 0, 13),
		},
		scenario{
			name:  "£5 of £14 takes nothing back: the £9 left still earn the 1 point, though £5 alone would earn 1",
			given: placed(14_00, 1),
			when:  giveBack("r-1", 5_00),
			then:  returned("r-1", 14_00, 9_00, 0),
		},
		scenario{
			name:  "£4.01 more brings it to £4.99, which earns nothing, and takes the point back",
			given: history(placed(14_00, 1), returned("r-1", 14_00, 9_00, 0)),
			when:  giveBack("r-2", 4_01),
			then:  returned("r-2", 9_00, 4_99, 1),
		},
		scenario{
			name:  "what is left can go back to the last penny",
			given: history(placed(14_00, 1), returned("r-1", 14_00, 1, 1)),
			when:  giveBack("r-2", 1),
			then:  returned("r-2", 1, 0, 0),
		},
		scenario{
			name:  "the same return again changes nothing",
			given: history(placed(14_00, 1), returned("r-1", 14_00, 9_00, 0)),
			when:  giveBack("r-1", 5_00),
		},
		scenario{
			name:  "the same return again changes nothing, though it would no longer fit",
			given: history(placed(14_00, 1), returned("r-1", 14_00, 0, 1)),
			when:  giveBack("r-1", 14_00),
		},
		scenario{
			name:    "its id with another amount conflicts",
			given:   history(placed(14_00, 1), returned("r-1", 14_00, 9_00, 0)),
			when:    giveBack("r-1", 5_01),
			refused: domain.ErrConflict,
		},
		scenario{
			name:    "its id with another reason conflicts",
			given:   history(placed(14_00, 1), returned("r-1", 14_00, 9_00, 0)),
			when:    order.Return{Order: "o-1", Return: "r-1", Amount: 5_00, Reason: "too small", At: later},
			refused: domain.ErrConflict,
		},
		scenario{
			name:    "more than was paid is refused",
			given:   placed(14_00, 1),
			when:    giveBack("r-1", 14_01),
			refused: domain.ErrReturnExceedsPaid,
		},
		scenario{
			name:    "more than is left is refused",
			given:   history(placed(14_00, 1), returned("r-1", 14_00, 9_00, 0)),
			when:    giveBack("r-2", 9_01),
			refused: domain.ErrReturnExceedsPaid,
		},
		scenario{
			name:    "anything of an order that cost nothing is refused",
			given:   placed(0, 0),
			when:    giveBack("r-1", 1),
			refused: domain.ErrReturnExceedsPaid,
		},
		scenario{
			name:    "of an order that was never placed is not found",
			when:    giveBack("r-1", 5_00),
			refused: domain.ErrNotFound,
		},
		scenario{
			name:    "of an order whose award is missing from its stream is refused, not guessed",
			given:   placed(14_00, 1)[:1],
			when:    giveBack("r-1", 5_00),
			refused: domain.ErrInvalid,
			fields:  []string{"paymentDetails.currency currency_not_in_policy"},
		},
	)
}

// The order was placed at £5 a point. Today's price plays no part: the command has no way to name one.
func TestReturn_reverses_under_the_policy_of_its_order(t *testing.T) {
	double := domain.Policy{ID: "double points", SpendPerPoint: map[domain.Currency]int64{domain.GBP: 5_00}}
	given := placed(20_00, 4)
	award := given[1].(order.PointsAwarded)
	award.Policy = double
	given[1] = award
	then := returned("r-1", 20_00, 10_00, 2)
	reversal := then[1].(order.PointsReversed)
	reversal.Policy = double
	then[1] = reversal
	check(t, scenario{name: "half back", given: given, when: giveBack("r-1", 10_00), then: then})
}

func TestReturn_refuses_bad_input_by_field(t *testing.T) {
	bad := func(name string, amount int64, reason string, fields ...string) scenario {
		return scenario{
			name: name, given: placed(14_00, 1), refused: domain.ErrInvalid, fields: fields,
			when: order.Return{Order: "o-1", Return: "r-1", Amount: amount, Reason: reason, At: later},
		}
	}
	check(t,
		bad("nothing", 0, "", "amount amount_zero"),
		bad("less than nothing", -1, "", "amount amount_negative"),
		bad("far less than nothing", math.MinInt64, "", "amount amount_negative"),
		bad("a reason too long", 1, strings.Repeat("x", domain.MaxReasonLength+1), "reason reason_too_long"),
		bad("a reason of two lines", 1, "a\nb", "reason reason_malformed"),
		bad("every mistake at once", 0, "a\nb", "amount amount_zero", "reason reason_malformed"),
	)
}

func TestReturn_needs_no_reason(t *testing.T) {
	events, err := order.Decide(order.Return{Order: "o-1", Return: "r-1", Amount: 1, At: later}, fold(placed(14_00, 1)...))
	if err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestState_adds_up_to_what_the_order_is_worth_now(t *testing.T) {
	if net := (order.State{}).Net(); net != (domain.Money{}) {
		t.Errorf("an order never placed has %s left", net)
	}
	state := fold(history(placed(129_99, 13), returned("r-1", 129_99, 100_00, 3), returned("r-2", 100_00, 40_00, 6))...)
	if state.Net() != pounds(40_00) || state.Refunded != 89_99 || state.Points != 4 || len(state.Returns) != 2 {
		t.Errorf("%s left, %d refunded, %d points, %d returns", state.Net(), state.Refunded, state.Points, len(state.Returns))
	}
}
