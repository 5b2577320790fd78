package account_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"loyalty/domain"
	"loyalty/domain/account"
)

func TestReveal(t *testing.T) {
	reveal := func(actor, reason string, customers ...domain.CustomerID) account.Reveal {
		return account.Reveal{ID: "k-1", Customers: customers, Reason: reason, Actor: actor, At: noon}
	}
	recorded := func(customers ...domain.CustomerID) (events []domain.Event) {
		for _, customer := range customers {
			about := domain.About{CustomerID: customer, OccurredAt: noon}
			events = append(events, account.ProxyNameRevealed{About: about, Reason: "a complaint", Actor: "support-7"})
		}
		return events
	}
	for _, c := range []struct {
		name    string
		given   []domain.Event
		when    account.Reveal
		then    []domain.Event
		refused error
	}{
		{"who looked at whom, and why, is recorded of each", nil, reveal("support-7", "a complaint", "a", "b"), recorded("a", "b"), nil},
		{"again changes nothing", recorded("a", "b"), reveal("support-7", "a complaint", "b", "a"), nil, nil},
		{"nor once one was forgotten", recorded("a", "b"), reveal("support-7", "a complaint", "b"), nil, nil},
		{"the id is not for somebody else's curiosity", recorded("a"), reveal("support-8", "a complaint", "a"), nil, domain.ErrConflict},
		{"nor for another reason", recorded("a"), reveal("support-7", "another", "a"), nil, domain.ErrConflict},
		{"nor for another customer", recorded("a"), reveal("support-7", "a complaint", "a", "b"), nil, domain.ErrConflict},
		{"it takes a reason", nil, reveal("support-7", "", "a"), nil, domain.ErrInvalid},
	} {
		var state account.Revealed
		for _, event := range c.given {
			state = account.EvolveRevealed(state, event)
		}
		state = account.EvolveRevealed(account.EvolveRevealed(state, nil), forgotten)
		got, err := account.DecideReveal(c.when, state)
		if !errors.Is(err, c.refused) || !slices.EqualFunc(got, c.then, func(a, b domain.Event) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%s: got %+v, %v", c.name, got, err)
		}
	}
}

func TestAStreamOfAReveal(t *testing.T) {
	if got := account.RevealStream("staff.k-1"); got != "reveal-staff.k-1" || strings.HasPrefix(got, account.Stream("")) {
		t.Errorf("it is %s", got)
	}
}
