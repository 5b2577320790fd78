package domain_test

import (
	"slices"
	"strings"
	"testing"

	"loyalty/domain"

	"pgregory.net/rapid"
)

func TestFullID_names_the_issuer_first(t *testing.T) {
	for want, got := range map[domain.OrderID]domain.OrderID{
		"store.o-1":          domain.FullID[domain.OrderID](domain.Store.Issuer(), "o-1"),
		"staff.r-1":          domain.FullID[domain.OrderID](domain.Staff, "r-1"),
		"customer.alice.o-1": domain.FullID[domain.OrderID](domain.CustomerID("alice").Issuer(), "o-1"),
		"o-1":                domain.FullID[domain.OrderID]("", "o-1"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A customer may be called "store", "staff" or "customer", and an order as well.
func TestFullID_is_never_the_same_for_two_issuers_or_two_ids(t *testing.T) {
	word := rapid.OneOf(rapid.SampledFrom([]string{"store", "staff", "customer", "a", "o-1"}), rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`))
	issuer := rapid.OneOf(
		rapid.SampledFrom([]domain.Issuer{"", domain.Staff, domain.Website.Issuer(), domain.Mobile.Issuer(), domain.Store.Issuer()}),
		rapid.Map(word, func(id string) domain.Issuer { return domain.CustomerID(id).Issuer() }),
	)
	rapid.Check(t, func(t *rapid.T) {
		i, id := issuer.Draw(t, "issuer"), word.Draw(t, "id")
		other, otherID := issuer.Draw(t, "another issuer"), word.Draw(t, "another id")
		full := domain.FullID(i, id)
		if (full == domain.FullID(other, otherID)) != (i == other && id == otherID) {
			t.Fatalf("%q is the id %q of %q and the id %q of %q", full, id, i, otherID, other)
		}
		if parsed, err := domain.ParseFullID[string]("id", full); err != nil || parsed != full || len(full) > domain.MaxFullIDLength {
			t.Fatalf("%q is read as %q, %v", full, parsed, err)
		}
	})
}

func TestParseFullID_refuses_what_nobody_issues(t *testing.T) {
	long := strings.Repeat("x", domain.MaxIDLength+1)
	for text, code := range map[string]string{
		"": "id_missing", "store.": "id_missing", ".": "id_missing", "customer.alice.": "id_missing", "store." + long: "id_too_long", long: "id_too_long",
		".o-1": "id_malformed", "fax.o-1": "id_malformed", "Store.o-1": "id_malformed", "store.a b": "id_malformed", "customer.o-1": "id_malformed",
		"customer..o-1": "id_malformed", "customer.a b.o-1": "id_malformed", "customer." + long + ".o-1": "id_malformed", "store.store.o-1": "id_malformed",
		"customer.a.b.o-1": "id_malformed", "staff.alice.o-1": "id_malformed", " store.o-1": "id_malformed",
	} {
		_, err := domain.ParseFullID[domain.OrderID]("orderId", text)
		if err == nil || !strings.Contains(err.Error(), "orderId ("+code+")") {
			t.Errorf("%q: %v, want %s", text, err, code)
		}
	}
}

func TestFullIDs_of_a_bare_id_are_those_of_everyone_who_may_be_meant(t *testing.T) {
	for _, c := range []struct{ got, want []domain.OrderID }{
		{domain.FullIDs[domain.OrderID]("o-1"), []domain.OrderID{"o-1", "website.o-1", "mobile.o-1", "store.o-1", "staff.o-1"}},
		{domain.FullIDs[domain.OrderID]("o-1", "alice"), []domain.OrderID{"o-1", "website.o-1", "mobile.o-1", "store.o-1", "staff.o-1", "customer.alice.o-1"}},
		{domain.FullIDs[domain.OrderID]("store.o-1", "alice"), []domain.OrderID{"store.o-1"}},
		{domain.FullIDs[domain.OrderID]("customer.bob.o-1", "alice"), []domain.OrderID{"customer.bob.o-1"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

func TestLogID_leaves_the_customer_out(t *testing.T) {
	for full, want := range map[domain.OrderID]domain.OrderID{"customer.alice.o-1": "o-1", "store.o-1": "store.o-1", "o-1": "o-1", "customer.customer.customer": "customer"} {
		if got := domain.LogID(full); got != want {
			t.Errorf("%s is logged as %s, want %s", full, got, want)
		}
	}
}

func FuzzParseFullID(f *testing.F) {
	for _, seed := range []string{"o-1", "store.o-1", "staff.r-1", "customer.alice.o-1", "customer.o-1", ".o-1", "store.", "a.b.c.d", "customer.é.o-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := domain.ParseFullID[string]("id", text)
		if err != nil {
			if got != "" {
				t.Fatalf("%q is %q and refused with %v", text, got, err)
			}
			return
		}
		issuer, id := domain.SplitID(got)
		if _, err := domain.ParseID[string]("id", id); got != text || err != nil || domain.FullID(issuer, id) != text || len(text) > domain.MaxFullIDLength {
			t.Fatalf("%q is read as %q: the id %q of %q, %v", text, got, id, issuer, err)
		}
		if logged := domain.LogID(got); logged != got && logged != id {
			t.Fatalf("%q is logged as %q", got, logged)
		}
	})
}
