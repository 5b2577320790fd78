package order_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/order"

	"github.com/google/go-cmp/cmp"
)

// scenario reads: given these events, when this command comes, then these events follow, or it is refused.
type scenario struct {
	name  string
	given []domain.Event
	when  order.Command
	then  []domain.Event
	// refused is the error of the vocabulary; fields says which it names, as "field code".
	refused error
	fields  []string
}

func check(t *testing.T, scenarios ...scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			got, err := order.Decide(s.when, fold(s.given...))
			if !errors.Is(err, s.refused) {
				t.Fatalf("refused with %v, want %v", err, s.refused)
			}
			if diff := cmp.Diff(s.fields, refusals(err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(s.then, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func fold(events ...domain.Event) order.State {
	var state order.State
	for _, e := range events {
		state = order.Evolve(state, e)
	}
	return state
}

func refusals(err error) (all []string) {
	var invalid *domain.InvalidError
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			all = append(all, f.Field+" "+f.Code)
		}
	}
	return all
}

var (
	noon  = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	later = noon.Add(72 * time.Hour)
)

func pounds(minor int64) domain.Money { return domain.Money{Minor: minor, Currency: domain.GBP} }

func about(at time.Time) domain.About { return domain.About{CustomerID: "c-1", OccurredAt: at} }

// place is the order of most scenarios, with what a scenario changes about it.
func place(minor int64, changes ...func(*order.Place)) order.Place {
	c := order.Place{
		Order: "o-1", Customer: "c-1", Items: []string{"tea", "mug"}, Paid: pounds(minor), Method: "card",
		Policy: domain.DefaultPolicy(), At: noon,
	}
	for _, change := range changes {
		change(&c)
	}
	return c
}

// placed is the history that the order of place leaves.
func placed(minor int64, points domain.Points) []domain.Event {
	return []domain.Event{
		order.Placed{About: about(noon), OrderID: "o-1", Items: []string{"tea", "mug"}, Paid: pounds(minor), Method: "card"},
		order.PointsAwarded{About: about(noon), OrderID: "o-1", Points: points, Paid: pounds(minor), Policy: domain.DefaultPolicy()},
	}
}

func giveBack(id domain.ReturnID, minor int64) order.Return {
	return order.Return{Order: "o-1", Return: id, Amount: minor, Reason: "chipped", At: later}
}

// returned is the pair of events of a return that leaves net of before.
func returned(id domain.ReturnID, before, net int64, reversed domain.Points) []domain.Event {
	return []domain.Event{
		order.ItemsReturned{About: about(later), OrderID: "o-1", ReturnID: id, Refunded: pounds(before - net), Reason: "chipped"},
		order.PointsReversed{
			About: about(later), OrderID: "o-1", ReturnID: id, Points: reversed,
			NetBefore: pounds(before), NetAfter: pounds(net), Policy: domain.DefaultPolicy(), Reason: "chipped",
		},
	}
}

func history(parts ...[]domain.Event) []domain.Event { return slices.Concat(parts...) }
