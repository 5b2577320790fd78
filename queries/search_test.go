package queries_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/queries"
	"loyalty/readmodels/ledger"
)

func TestASearchFindsByIDAndCountsByProxyName(t *testing.T) {
	s := open(t)
	// Given a customer with an order
	s.trail(s.place("o-1", 12999), "alice")
	name := s.proxies.Key("alice").Name()

	for text, want := range map[string]struct {
		by        ledger.By
		name      string
		customers int
	}{
		"alice":               {by: ledger.ByCustomer},
		"o-1":                 {by: ledger.ByOrder},
		name:                  {name: name, customers: 1},
		strings.ToLower(name): {name: name, customers: 1},
		"Amber Otter 000000":  {name: "Amber Otter 000000"},
		"Amber Otter":         {},
	} {
		// When somebody searches
		found, err := queries.Search(bounded(t), s.ledger, s.proxies, text)
		if err != nil {
			t.Fatal(err)
		}
		// Then an id leads to the customer, and a proxy name only to how many have it
		if found.ProxyName != want.name || found.Customers != want.customers || found.More || found.Position == (domain.Position{}) {
			t.Errorf("%s: found is %+v", text, found)
		}
		if want.by == "" && len(found.Matches) != 0 || want.by != "" && (len(found.Matches) != 1 || found.Matches[0].By != want.by || found.Matches[0].Customer != "alice") {
			t.Errorf("%s: the matches are %+v", text, found.Matches)
		}
	}

	// And once they are forgotten nobody has the name
	at := must[domain.Position](t)(s.do.ForgetCustomer(bounded(t), commands.ForgetCustomer{Caller: agent, Customer: "alice", Reason: "asked for it"}))
	s.trail(at, "alice")
	if found, err := queries.Search(bounded(t), s.ledger, s.proxies, name); err != nil || found.ProxyName != name || found.Customers != 0 {
		t.Errorf("of a forgotten customer's name found is %+v, %v", found, err)
	}
}

// bucketless is a ledger that can't be reached for what is behind a proxy name.
type bucketless struct{ ledger.Finder }

func (bucketless) Bucket(context.Context, ledger.Bucket) ([]domain.CustomerID, error) {
	return nil, domain.ErrUnavailable
}

func TestASearchWithoutTheLedgerIsUnavailable(t *testing.T) {
	s := open(t)
	if _, err := queries.Search(bounded(t), bucketless{s.ledger}, s.proxies, "Amber Otter 482913"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := queries.Search(ended, s.ledger, s.proxies, "o-1"); err == nil {
		t.Error("a search that was given up has a result")
	}
}
