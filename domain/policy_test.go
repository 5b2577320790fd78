package domain_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"testing"

	"loyalty/domain"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPolicy_Points(t *testing.T) {
	usual := domain.DefaultPolicy()
	every := func(spend int64) domain.Policy {
		return domain.Policy{ID: "test", SpendPerPoint: map[domain.Currency]int64{domain.GBP: spend}}
	}
	for _, c := range []struct {
		policy domain.Policy
		amount string
		in     domain.Currency
		want   domain.Points
	}{
		{usual, "0.00", domain.GBP, 0},
		{usual, "4.99", domain.GBP, 0},
		{usual, "5.00", domain.GBP, 1},
		{usual, "14.99", domain.GBP, 1},
		{usual, "15.00", domain.GBP, 2},
		{usual, "129.99", domain.GBP, 13},
		{usual, "5.74", domain.EUR, 0},
		{usual, "5.75", domain.EUR, 1},
		{usual, "17.24", domain.EUR, 1},
		{usual, "17.25", domain.EUR, 2},
		{usual, "129.99", domain.EUR, 11},
		{every(1), "0.01", domain.GBP, 1},
		{every(1), "12.34", domain.GBP, 1234},
		{every(3), "0.01", domain.GBP, 0}, // an odd spend has no exact half: 1.5 pence lies between these two
		{every(3), "0.02", domain.GBP, 1},
		{every(999), "4.99", domain.GBP, 0},
		{every(999), "5.00", domain.GBP, 1},
		{every(domain.MaxMinor), "499999999999.99", domain.GBP, 0},
		{every(domain.MaxMinor), "500000000000.00", domain.GBP, 1},
	} {
		minor, err := domain.ParseAmount("amount", c.amount)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.policy.Points(domain.Money{Minor: minor, Currency: c.in})
		if err != nil || got != c.want {
			t.Errorf("%s %s at %d a point earns %d, %v; want %d", c.amount, c.in, c.policy.SpendPerPoint[c.in], got, err, c.want)
		}
	}
}

func TestPolicy_Points_refuses_what_would_pass_the_limit_and_never_overflows(t *testing.T) {
	const last = int64(domain.MaxChange)*1000 + 499
	policy := domain.DefaultPolicy()
	if got, err := policy.Points(domain.Money{Minor: last, Currency: domain.GBP}); err != nil || got != domain.MaxChange {
		t.Errorf("%d pence earn %d, %v; want %d", last, got, err, domain.MaxChange)
	}
	for _, minor := range []int64{last + 1, domain.MaxMinor, math.MaxInt64/2 + 1, math.MaxInt64} {
		if got, err := policy.Points(domain.Money{Minor: minor, Currency: domain.GBP}); !errors.Is(err, domain.ErrOrderPoints) || got != 0 {
			t.Errorf("%d pence earn %d, %v; want them refused", minor, got, err)
		}
	}
}

func TestPolicy_Points_refuses_what_it_has_no_price_for(t *testing.T) {
	pounds := domain.Policy{ID: "pounds", SpendPerPoint: map[domain.Currency]int64{domain.GBP: 1000}}
	for _, c := range []struct {
		name   string
		policy domain.Policy
		paid   domain.Money
		want   string
	}{
		{"a currency that is not in it", pounds, domain.Money{Minor: 500, Currency: domain.EUR}, "paymentDetails.currency currency_not_in_policy"},
		{"no currency", pounds, domain.Money{Minor: 500}, "paymentDetails.currency currency_not_in_policy"},
		{"a negative amount", pounds, domain.Money{Minor: -1, Currency: domain.GBP}, "paymentDetails.amount amount_negative"},
		{"anything, for the zero policy", domain.Policy{}, domain.Money{Minor: 500, Currency: domain.GBP}, "paymentDetails.currency currency_not_in_policy"},
		{"a spend that is not a spend", domain.Policy{SpendPerPoint: map[domain.Currency]int64{domain.GBP: -1}}, domain.Money{Currency: domain.GBP}, "paymentDetails.currency currency_not_in_policy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.policy.Points(c.paid)
			wantRefusals(t, err, c.want)
		})
	}
}

// drawMoneyAndPolicy draws any amount and any spend, with the interesting ones made likely.
func drawMoneyAndPolicy(t *rapid.T) (domain.Money, domain.Policy) {
	amounts := rapid.OneOf(rapid.Int64Range(0, 5000), rapid.Int64Range(0, domain.MaxMinor), rapid.Int64Range(0, math.MaxInt64))
	spends := rapid.OneOf(rapid.Int64Range(1, 5000), rapid.Int64Range(1, domain.MaxMinor), rapid.Int64Range(1, math.MaxInt64))
	money := domain.Money{Minor: amounts.Draw(t, "amount"), Currency: domain.EUR}
	return money, domain.Policy{ID: "drawn", SpendPerPoint: map[domain.Currency]int64{domain.EUR: spends.Draw(t, "spend")}}
}

func TestPolicy_Points_agrees_with_unbounded_integers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		money, policy := drawMoneyAndPolicy(t)
		amount, spend := big.NewInt(money.Minor), big.NewInt(policy.SpendPerPoint[domain.EUR])
		twice := func(n *big.Int) *big.Int { return new(big.Int).Lsh(n, 1) }
		want := new(big.Int).Div(new(big.Int).Add(twice(amount), spend), twice(spend))
		got, err := policy.Points(money)
		switch fits := want.Cmp(big.NewInt(int64(domain.MaxChange))) <= 0; {
		case fits && (err != nil || int64(got) != want.Int64()):
			t.Fatalf("got %d, %v; want %s", got, err, want)
		case !fits && !errors.Is(err, domain.ErrOrderPoints):
			t.Fatalf("got %d, %v; want %s refused", got, err, want)
		}
	})
}

// This is why a return never gives points: what is left of an order is never worth more than the whole.
func TestPolicy_Points_never_fall_as_the_amount_grows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		money, policy := drawMoneyAndPolicy(t)
		worth := func(minor int64) domain.Points {
			points, err := policy.Points(domain.Money{Minor: minor, Currency: money.Currency})
			if err != nil {
				return domain.MaxChange + 1
			}
			return points
		}
		part := rapid.Int64Range(0, money.Minor).Draw(t, "part")
		if worth(part) < 0 || worth(part) > worth(money.Minor) {
			t.Fatalf("%d of it earns %d, the whole %s %d", part, worth(part), money, worth(money.Minor))
		}
	})
}

func TestPolicy_Validate(t *testing.T) {
	type spends = map[domain.Currency]int64
	for _, c := range []struct {
		name   string
		policy domain.Policy
		want   []string
	}{
		{"the default stands", domain.DefaultPolicy(), nil},
		{"one currency is enough", domain.Policy{ID: "p", SpendPerPoint: spends{domain.EUR: 1}}, nil},
		{"the largest spend stands", domain.Policy{ID: "p", SpendPerPoint: spends{domain.GBP: domain.MaxMinor}}, nil},
		{"no id", domain.Policy{SpendPerPoint: spends{domain.GBP: 1000}}, []string{"policy.id policy_id_missing"}},
		{"no currency", domain.Policy{ID: "p"}, []string{"policy.spendPerPoint policy_empty"}},
		{"a spend of nothing", domain.Policy{ID: "p", SpendPerPoint: spends{domain.GBP: 0}}, []string{"policy.spendPerPoint.GBP policy_spend_out_of_range"}},
		{"a negative spend", domain.Policy{ID: "p", SpendPerPoint: spends{domain.GBP: -1000}}, []string{"policy.spendPerPoint.GBP policy_spend_out_of_range"}},
		{"too large a spend", domain.Policy{ID: "p", SpendPerPoint: spends{domain.GBP: domain.MaxMinor + 1}}, []string{"policy.spendPerPoint.GBP policy_spend_out_of_range"}},
		{"an unknown currency", domain.Policy{ID: "p", SpendPerPoint: spends{domain.GBP: 1000, "USD": 1200}}, []string{"policy.spendPerPoint.USD currency_unknown"}},
		{"every mistake at once, in the order of the currencies", domain.Policy{ID: "p", SpendPerPoint: spends{"USD": 0, domain.GBP: 0, "": 1, domain.EUR: 0}}, []string{
			"policy.spendPerPoint. currency_missing", "policy.spendPerPoint.EUR policy_spend_out_of_range", "policy.spendPerPoint.GBP policy_spend_out_of_range",
			"policy.spendPerPoint.USD currency_unknown", "policy.spendPerPoint.USD policy_spend_out_of_range",
		}},
	} {
		t.Run(c.name, func(t *testing.T) { wantRefusals(t, c.policy.Validate(), c.want...) })
	}
}

func TestPolicy_Equal_compares_id_and_every_price(t *testing.T) {
	usual := domain.DefaultPolicy()
	if !usual.Equal(domain.DefaultPolicy()) {
		t.Error("the default policy is not itself")
	}
	for name, change := range map[string]func(*domain.Policy){
		"another id":          func(p *domain.Policy) { p.ID = "2027-01" },
		"another price":       func(p *domain.Policy) { p.SpendPerPoint[domain.GBP] = 500 },
		"a currency the less": func(p *domain.Policy) { delete(p.SpendPerPoint, domain.EUR) },
	} {
		other := domain.DefaultPolicy()
		change(&other)
		if usual.Equal(other) || other.Equal(usual) {
			t.Errorf("equal in spite of %s", name)
		}
	}
}

func TestPolicy_is_stamped_whole(t *testing.T) {
	stored, err := json.Marshal(domain.DefaultPolicy())
	if err != nil || string(stored) != `{"id":"2026-01","spendPerPoint":{"EUR":1150,"GBP":1000}}` {
		t.Fatalf("stored as %s, %v", stored, err)
	}
	var read domain.Policy
	if err := json.Unmarshal(stored, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(domain.DefaultPolicy(), read); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}
