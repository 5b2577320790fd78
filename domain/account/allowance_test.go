package account_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/domain/account"
)

func foldAllowance(events ...domain.Event) (s account.Allowance) {
	for _, event := range events {
		s = account.EvolveAllowance(s, event)
	}
	return s
}

func TestAllowance(t *testing.T) {
	used := func(customer domain.CustomerID, id domain.LoyaltyID, points domain.Points) domain.Event {
		return account.AllowanceUsed{About: domain.About{CustomerID: customer, OccurredAt: noon}, LoyaltyID: id, Points: points, Actor: "support-7"}
	}
	given := func(events ...domain.Event) []domain.Event { return events }
	for _, c := range []struct {
		name     string
		given    []domain.Event
		id       domain.LoyaltyID
		points   domain.Points
		then     []domain.Event
		rejected bool
	}{
		{"what fits is used", nil, "a-1", 500, given(used("c-1", "a-1", 500)), false},
		{"what is taken counts as what is given", given(used("c-1", "a-1", 500)), "a-2", -500, given(used("c-1", "a-2", 500)), false},
		{"all of it may be used", given(used("c-1", "a-1", 1500)), "a-2", 500, given(used("c-1", "a-2", 500)), false},
		{"and no more", given(used("c-1", "a-1", 1500)), "a-2", 501, nil, true},
		{"the same again costs nothing", given(used("c-1", "a-1", 2000)), "a-1", 2000, nil, false},
		{"nor does less", given(used("c-1", "a-1", 2000)), "a-1", -1, nil, false},
		{"more under the same id costs the difference", given(used("c-1", "a-1", 500)), "a-1", 600, given(used("c-1", "a-1", 600)), false},
		{"if there is so much", given(used("c-1", "a-1", 500), used("c-1", "a-2", 1450)), "a-1", 551, nil, true},
		{"the same id of another customer is another adjustment", given(used("c-2", "a-1", 2000)), "a-1", 1, nil, true},
	} {
		events, granted := account.DecideAllowance(account.UseAllowance{
			Customer: "c-1", ID: c.id, Points: c.points, Actor: "support-7", Limit: 2000, At: noon,
		}, foldAllowance(c.given...))
		if granted == c.rejected || !slices.EqualFunc(events, c.then, func(a, b domain.Event) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%s: granted %t, %+v", c.name, granted, events)
		}
	}
}

// Whatever is asked for, and however often: what was granted alone, each adjustment once and with its most points, is within the limit.
func TestAnAllowanceIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := domain.Points(rapid.Int64Range(0, 2000).Draw(t, "limit"))
		var state account.Allowance
		most := map[domain.LoyaltyID]domain.Points{}
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			id := domain.LoyaltyID(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "id"))
			points := domain.Points(rapid.Int64Range(-900, 900).Draw(t, "points"))
			events, granted := account.DecideAllowance(account.UseAllowance{Customer: "c-1", ID: id, Points: points, Limit: limit, At: noon}, state)
			for _, event := range events {
				state = account.EvolveAllowance(state, event)
			}
			if granted {
				most[id] = max(most[id], points, -points)
			}
		}
		var sum domain.Points
		for _, points := range most {
			sum += points
		}
		if sum > limit || state.Used != sum {
			t.Fatalf("%d are granted and %d used of %d", sum, state.Used, limit)
		}
	})
}

func TestAnAllowanceIsOfADayInUTC(t *testing.T) {
	dublin := time.FixedZone("IST", 3600)
	if got := account.AllowanceStream("agent-1", time.Date(2026, 7, 1, 0, 30, 0, 0, dublin)); got != "allowance-2026-06-30.agent-1" {
		t.Errorf("it is %s", got)
	}
	if got := foldAllowance(adjusted("a-1", 25), nil); got.Used != 0 {
		t.Errorf("other events used %d", got.Used)
	}
}
