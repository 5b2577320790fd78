package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"loyalty/api"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/readmodels/ledger"
)

type revealed struct {
	Customers []string
	Position  domain.Position
}

// revealing asks who has the name of a customer.
func revealing(t testing.TB, customer string) exchange {
	return exchange{
		as: revealer, method: "POST", path: "/reveals", status: 201,
		body: fmt.Sprintf(`{"proxyName": %q, "reason": "a complaint"}`, nameOf(t, customer)),
	}
}

func (s *stack) revealed(t *testing.T) {
	before := s.end()
	x := revealing(t, "ann")
	x.body = strings.Replace(x.body, nameOf(t, "ann"), strings.ToLower(nameOf(t, "ann")), 1)
	x.header = http.Header{"X-Request-Id": {"request-reveal"}, "Idempotency-Key": {"reveal-1"}}
	got := decode[revealed](t, s.do(t, x))
	if !slices.Equal(got.Customers, []string{"ann"}) || !before.Before(got.Position) || got.Position != s.end() {
		t.Errorf("revealed is %+v between %s and %s", got, before, s.end())
	}
	end := s.end()
	x.status, x.header["Idempotency-Key"] = 200, []string{`"reveal-1"`}
	again := s.do(t, x)
	if replayed(t, again, true); decode[revealed](t, again).Position != got.Position || s.end() != end {
		t.Errorf("revealed again is %s", again.body)
	}
	x.status, x.code, x.body = 409, "conflict", strings.Replace(x.body, "a complaint", "another", 1)
	s.do(t, x)
	stored, _, err := s.store.Load(t.Context(), "reveal-staff.reveal-1")
	if err != nil {
		t.Fatal(err)
	}
	last := stored[len(stored)-1]
	event, ok := last.Event.(account.ProxyNameRevealed)
	if !ok || event.CustomerID != "ann" || event.Actor != revealer.Subject || event.Reason != "a complaint" || last.Metadata.Correlation != "request-reveal" {
		t.Errorf("recorded is %+v of %+v", last.Event, last.Metadata)
	}
	gone := revealing(t, "gus")
	gone.status, gone.code = 404, "not_found"
	if got := s.do(t, gone); strings.Contains(string(got.body), "gus") || s.end() != end {
		t.Errorf("somebody who was forgotten is revealed: %s", got.body)
	}
}

// twins are two customers who share a proxy name under the secret of these tests.
var twins = []domain.CustomerID{"c-191159", "c-245815"}

// Given two customers with one proxy name
// When it is revealed
// Then both are told and recorded; and once one of them was forgotten, the other alone.
func TestANameOfTwoIsRevealedOfBoth(t *testing.T) {
	s := startStack(t, loadDocument(t))
	for _, twin := range twins {
		s.do(t, exchange{as: till, method: "POST", path: "/order/o-" + string(twin), body: orderOf(`10`, string(twin)), status: 201})
	}
	reveal := func(want []string) {
		t.Helper()
		if got := get[found](t, s, support, "/search?q="+strings.ReplaceAll(nameOf(t, want[0]), " ", "+")); got.ProxyName.Customers != len(want) {
			t.Errorf("the name is said to be of %d", got.ProxyName.Customers)
		}
		if got := decode[revealed](t, s.do(t, revealing(t, want[0]))); !slices.Equal(got.Customers, want) || got.Position != s.end() {
			t.Errorf("revealed is %+v, want %v at %s", got, want, s.end())
		}
	}
	reveal([]string{string(twins[0]), string(twins[1])})
	if _, err := s.commands.ForgetCustomer(t.Context(), commands.ForgetCustomer{Customer: twins[0], Reason: "asked to be"}); err != nil {
		t.Fatal(err)
	}
	reveal([]string{string(twins[1])})
	if got := get[acts](t, s, auditor, "/acts?kind=revealed"); len(got.Acts) != 3 {
		t.Errorf("recorded is %+v", got.Acts)
	}
}

// halfWay has the twins in its drawers, and records only some of them.
type halfWay struct {
	fixed
	recorded []domain.CustomerID
	err      error
}

func (halfWay) Bucket(context.Context, ledger.Bucket) ([]domain.CustomerID, error) {
	return slices.Clone(twins), nil
}

func (h halfWay) RevealProxyName(context.Context, commands.RevealProxyName) (commands.Revealed, error) {
	return commands.Revealed{Customers: h.recorded, Position: domain.Position{Commit: 7, Prepare: 7}}, h.err
}

// What could not be recorded is told of nobody; and who was forgotten before the ledger knew it is not told either.
func TestNobodyIsRevealedUnrecorded(t *testing.T) {
	for _, c := range []struct {
		behind halfWay
		status int
		code   string
	}{
		{halfWay{err: fmt.Errorf("deep inside: %w", domain.ErrUnavailable)}, 503, "unavailable"}, {halfWay{recorded: twins[:1]}, 201, ""}, {halfWay{}, 404, "not_found"},
	} {
		s := serve(t, loadDocument(t), func(config *api.Config) {
			config.Reveals, config.Ledger, config.Finder = c.behind, c.behind, c.behind
		})
		x := revealing(t, string(twins[0]))
		x.status, x.code = c.status, c.code
		body := string(s.do(t, x).body)
		if strings.Contains(body, string(twins[1])) || strings.Contains(body, string(twins[0])) != (c.status == 201) {
			t.Errorf("%d: the answer is %s", c.status, body)
		}
	}
}

func invalidReveals(t *testing.T) []exchange {
	reveal, none := revealing(t, "ann"), revealing(t, "nobody")
	none.name, none.status, none.code = "a name that nobody has", 404, "not_found"
	keyed := func(keys ...string) exchange { x := reveal; x.header = http.Header{"Idempotency-Key": keys}; return x }
	twice := bad(keyed("k-1", "k-1"), "two keys", reveal.body, "idempotency_key_repeated", "Idempotency-Key")
	twice.wordy = true // the document's reader takes the first
	of := func(name, reason string) string { return fmt.Sprintf(`{"proxyName": %s, "reason": %s}`, name, reason) }
	name, reason := fmt.Sprintf("%q", nameOf(t, "ann")), `"a complaint"`
	return []exchange{
		none, twice,
		bad(keyed(), "no key", reveal.body, "idempotency_key_missing", "Idempotency-Key"),
		bad(keyed("a key"), "key outside the alphabet", reveal.body, "id_malformed", "Idempotency-Key"),
		bad(keyed(long), "key too long", reveal.body, "id_too_long", "Idempotency-Key"),
		bad(reveal, "no name", of("null", reason), "proxy_name_missing", "proxyName"),
		bad(reveal, "an empty name", of(`""`, reason), "proxy_name_missing", "proxyName"),
		bad(reveal, "an id for a name", of(`"ann"`, reason), "proxy_name_malformed", "proxyName"),
		bad(reveal, "a number for a name", of("482913", reason), "proxy_name_malformed", "proxyName"),
		bad(reveal, "five digits", of(`"Amber Otter 48291"`, reason), "proxy_name_malformed", "proxyName"),
		bad(reveal, "no reason", of(name, "null"), "reason_missing", "reason"),
		bad(reveal, "a blank reason", of(name, `"  "`), "reason_missing", "reason"),
		bad(reveal, "reason is a number", of(name, "1"), "reason_malformed", "reason"),
		bad(reveal, "reason too long", of(name, `"`+strings.Repeat("x", 501)+`"`), "reason_too_long", "reason"),
		bad(reveal, "a field too many", `{"proxyName": `+name+`, "reason": "why", "customer": "ann"}`, "field_unknown", "customer"),
		bad(reveal, "reason twice", `{"proxyName": `+name+`, "reason": "why", "reason": "why"}`, "field_repeated", "reason"),
		bad(reveal, "two faults", `{}`, "invalid_input", ""),
	}
}
