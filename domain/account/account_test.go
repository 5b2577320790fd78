package account_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scenario reads: given these events, when this command comes, then these events follow, or it is refused.
type scenario struct {
	name  string
	given []domain.Event
	when  account.Command
	then  []domain.Event
	// refused is the error of the vocabulary; fields says which it names, as "field code".
	refused error
	fields  []string
}

func check(t *testing.T, scenarios ...scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			got, err := account.Decide(s.when, fold(s.given...))
			if !errors.Is(err, s.refused) {
				t.Fatalf("refused with %v, want %v", err, s.refused)
			}
			var fields []string
			var invalid *domain.InvalidError
			if errors.As(err, &invalid) {
				for _, f := range invalid.Fields {
					fields = append(fields, f.Field+" "+f.Code)
				}
			}
			if diff := cmp.Diff(s.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(s.then, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func fold(events ...domain.Event) account.State {
	var state account.State
	for _, e := range events {
		state = account.Evolve(state, e)
	}
	return state
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func adjust(id domain.LoyaltyID, points domain.Points) account.Adjust {
	return account.Adjust{Customer: "c-1", ID: id, Points: points, Reason: "late parcel", Actor: "support-7", At: noon}
}

func adjusted(id domain.LoyaltyID, points domain.Points) domain.Event {
	return account.PointsAdjusted{
		About: domain.About{CustomerID: "c-1", OccurredAt: noon}, LoyaltyID: id, Points: points, Reason: "late parcel", Actor: "support-7",
	}
}

func TestAdjust(t *testing.T) {
	capped := func(id domain.LoyaltyID, points, most domain.Points) account.Adjust {
		c := adjust(id, points)
		c.MaxPoints = most
		return c
	}
	given := func(events ...domain.Event) []domain.Event { return events }
	with := func(change func(*account.Adjust)) account.Adjust {
		c := adjust("a-1", 25)
		change(&c)
		return c
	}
	check(t,
		scenario{name: "goodwill gives points", when: adjust("a-1", 25), then: given(adjusted("a-1", 25))},
		scenario{name: "a correction takes points", when: adjust("a-1", -25), then: given(adjusted("a-1", -25))},
		scenario{name: "a correction may take more than all adjustments gave", given: given(adjusted("a-1", 25)), when: adjust("a-2", -30), then: given(adjusted("a-2", -30))},
		scenario{name: "another id with the same content is another adjustment", given: given(adjusted("a-1", 25)), when: adjust("a-2", 25), then: given(adjusted("a-2", 25))},
		scenario{name: "the same adjustment again changes nothing", given: given(adjusted("a-1", 25)), when: adjust("a-1", 25)},
		scenario{
			name: "the same adjustment again changes nothing, whoever tries again and whenever", given: given(adjusted("a-1", 25)),
			when: with(func(c *account.Adjust) { c.Actor, c.At = "support-8", noon.Add(time.Hour) }),
		},
		scenario{name: "its id with other points conflicts", given: given(adjusted("a-1", 25)), when: adjust("a-1", 26), refused: domain.ErrConflict},
		scenario{
			name: "its id with another reason conflicts", given: given(adjusted("a-1", 25)),
			when: with(func(c *account.Adjust) { c.Reason = "lost parcel" }), refused: domain.ErrConflict,
		},
		scenario{name: "one may give its limit", given: given(adjusted("a-1", 25)), when: capped("a-2", 25, 25), then: given(adjusted("a-2", 25))},
		scenario{name: "one may take its limit", when: capped("a-2", -25, 25), then: given(adjusted("a-2", -25))},
		scenario{name: "one may not give a point more", when: capped("a-2", 26, 25), refused: domain.ErrAdjustmentPoints},
		scenario{name: "nor take a point more", when: capped("a-2", -26, 25), refused: domain.ErrAdjustmentPoints},
		scenario{name: "one made before is the same under a lower limit", given: given(adjusted("a-1", 25)), when: capped("a-1", 25, 1)},
		scenario{name: "its id with more points conflicts, whatever the limit", given: given(adjusted("a-1", 25)), when: capped("a-1", 30, 1), refused: domain.ErrConflict},
	)
}

func TestAdjust_refuses_bad_input_by_field(t *testing.T) {
	bad := func(name string, points domain.Points, reason string, fields ...string) scenario {
		c := adjust("a-1", points)
		c.Reason = reason
		return scenario{name: name, given: []domain.Event{adjusted("a-1", 25)}, when: c, refused: domain.ErrInvalid, fields: fields}
	}
	check(t,
		bad("no points", 0, "why", "loyalty-points points_zero"),
		bad("too many", domain.MaxChange+1, "why", "loyalty-points points_out_of_range"),
		bad("too many to take", -domain.MaxChange-1, "why", "loyalty-points points_out_of_range"),
		bad("more than any integer could add", math.MaxInt64, "why", "loyalty-points points_out_of_range"),
		bad("the least integer", math.MinInt64, "why", "loyalty-points points_out_of_range"),
		bad("no reason", 25, "", "reason reason_missing"),
		bad("a reason of spaces", 25, "  ", "reason reason_missing"),
		bad("a reason too long", 25, strings.Repeat("x", domain.MaxReasonLength+1), "reason reason_too_long"),
		bad("a reason of two lines", 25, "a\nb", "reason reason_malformed"),
		bad("every mistake at once", 0, "", "loyalty-points points_zero", "reason reason_missing"),
	)
}

func TestAdjust_is_written_in_UTC(t *testing.T) {
	c := adjust("a-1", 25)
	c.At = noon.In(time.FixedZone("BST", 3600))
	events, err := account.Decide(c, account.State{})
	if err != nil || len(events) != 1 || events[0].Occurred().Location() != time.UTC || !events[0].Occurred().Equal(noon) {
		t.Errorf("%+v, %v", events, err)
	}
}

// Commands come in any order, with repeats and conflicts; the model is one map.
func TestAccount_agrees_with_a_simple_model_over_any_adjustments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state account.State
		made, sum := map[domain.LoyaltyID]domain.Points{}, domain.Points(0)
		for range rapid.IntRange(0, 30).Draw(t, "commands") {
			id := domain.LoyaltyID(rapid.SampledFrom([]string{"a-1", "a-2", "a-3", "a-4", "a-5"}).Draw(t, "id"))
			c := adjust(id, domain.Points(rapid.SampledFrom([]int64{-3, 25, int64(domain.MaxChange), -int64(domain.MaxChange)}).Draw(t, "points")))
			wantEvents, wantErr := 0, error(nil)
			switch earlier, known := made[id]; {
			case known && earlier == c.Points:
			case known:
				wantErr = domain.ErrConflict
			default:
				wantEvents = 1
				made[id] = c.Points
				sum += c.Points
			}
			events, err := account.Decide(c, state)
			if len(events) != wantEvents || !errors.Is(err, wantErr) {
				t.Fatalf("%+v leads to %d events, %v; want %d, %v", c, len(events), err, wantEvents, wantErr)
			}
			for _, e := range events {
				state = account.Evolve(state, e)
			}
			if state.Points != sum || len(state.Made) != len(made) {
				t.Fatalf("%d points by %d adjustments; want %d by %d", state.Points, len(state.Made), sum, len(made))
			}
		}
	})
}

// drawHistory draws what no account should hold: any points, any ids, foreign events, pointers, nothing at all.
func drawHistory(t *rapid.T) []domain.Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) domain.Event {
		id := domain.LoyaltyID(rapid.SampledFrom([]string{"a-1", "a-2", ""}).Draw(t, "id"))
		points := domain.Points(rapid.Int64().Draw(t, "points"))
		made := account.PointsAdjusted{LoyaltyID: id, Points: points}
		requested := account.AdjustmentRequested{LoyaltyID: id, Points: points, Actor: "support-8"}
		return rapid.SampledFrom([]domain.Event{
			made, made, requested, requested, account.AdjustmentApproved{LoyaltyID: id}, account.AdjustmentDeclined{LoyaltyID: id},
			account.CustomerForgotten{}, account.ErasureCertified{}, account.ProxyNameRevealed{}, &made, (*account.PointsAdjusted)(nil), order.Placed{}, nil,
		}).Draw(t, "event")
	}), 0, 12).Draw(t, "history")
}

func TestEvolve_never_panics_on_any_events_and_Decide_after_them_is_deterministic_and_changes_nothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := fold(drawHistory(t)...)
		before, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		c := rapid.SampledFrom([]account.Command{
			adjust("a-1", domain.Points(rapid.Int64().Draw(t, "points"))), approve("a-1", "support-7"), decline("a-1", "support-7"),
			forget, certify(clean),
		}).Draw(t, "command")
		events, err := account.Decide(c, state)
		again, errAgain := account.Decide(c, state)
		if diff := cmp.Diff(events, again); diff != "" || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("decided twice, %v and %v (-first +second):\n%s", err, errAgain, diff)
		}
		if after, err := json.Marshal(state); err != nil || string(after) != string(before) {
			t.Fatalf("the state was %s and is %s, %v", before, after, err)
		}
	})
}

func TestEvolve_ignores_what_is_not_an_accounts_event(t *testing.T) {
	want := fold(adjusted("a-1", 25))
	got := fold(adjusted("a-1", 25), order.PointsAwarded{Points: 5}, nil, (*account.PointsAdjusted)(nil))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestEvents_are_stored_under_names_that_never_change(t *testing.T) {
	for want, event := range map[string]domain.Event{
		"points-adjusted.v1":             account.PointsAdjusted{},
		"points-adjustment-requested.v1": account.AdjustmentRequested{},
		"points-adjustment-approved.v1":  account.AdjustmentApproved{},
		"points-adjustment-declined.v1":  account.AdjustmentDeclined{},
		"customer-forgotten.v1":          account.CustomerForgotten{},
		"erasure-certified.v1":           account.ErasureCertified{},
		"proxy-name-revealed.v1":         account.ProxyNameRevealed{},
		"allowance-used.v1":              account.AllowanceUsed{},
	} {
		if got := event.EventType(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
