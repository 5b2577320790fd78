package ledgertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

var findClauses = []clause{
	{"an entry is found by its customer and event id, and by nobody else's", func(f *fixture) {
		f.add(award(1, "anna", 5), reversal(2, "anna", -1), adjustment(3, "bob", 4))
		for customer, n := range map[domain.CustomerID]uint64{"anna": 2, "bob": 3} {
			got, err := f.Entry(f.ctx, customer, eventID(n))
			want, _ := f.model.Entry(customer, eventID(n))
			if diff := gocmp.Diff(want, got); err != nil || diff != "" {
				f.Errorf("%v (-want +got):\n%s", err, diff)
			}
		}
		for _, id := range []string{eventID(3), eventID(4), "", "1", "no UUID", strings.Repeat("x", 1000), "\x00"} {
			if got, err := f.Entry(f.ctx, "anna", id); !errors.Is(err, domain.ErrNotFound) || got != (ledger.Entry{}) {
				f.Errorf("%q gives %+v, %v", id, got, err)
			}
		}
	}},

	{"an id leads to whatever has it, exactly", func(f *fixture) {
		back, gift, named := reversal(3, "anna", -1), adjustment(4, "bob", 2), award(5, "cleo", 1)
		back.Order, back.Return, gift.Loyalty, named.Order = "order_1", "r-1", "g-1", "anna"
		f.add(award(1, "anna", 5), award(2, "bob", 5), back, gift, named)
		for id, want := range map[string][]ledger.Match{
			"order_1": {{By: ledger.ByOrder, Customer: "anna", Order: "order_1", EventID: eventID(1), OccurredAt: moment(1)}},
			"r-1":     {{By: ledger.ByReturn, Customer: "anna", Order: "order_1", EventID: eventID(3), OccurredAt: moment(3)}},
			"g-1":     {{By: ledger.ByLoyalty, Customer: "bob", EventID: eventID(4), OccurredAt: moment(4)}},
			"bob":     {{By: ledger.ByCustomer, Customer: "bob"}},
			"anna": {{By: ledger.ByCustomer, Customer: "anna"},
				{By: ledger.ByOrder, Customer: "cleo", Order: "anna", EventID: eventID(5), OccurredAt: moment(5)}},
			"Order_1": nil, "order_": nil, "order_11": nil, "%": nil, "": nil, "no id": nil, "é": nil, "\x00": nil,
			strings.Repeat("x", 1<<16): nil,
		} {
			got, err := f.Search(f.ctx, id)
			if diff := gocmp.Diff(ledger.Found{Matches: want, State: f.model.State()}, got); err != nil || diff != "" {
				f.Errorf("%.20q: %v (-want +got):\n%s", id, err, diff)
			}
		}
	}},

	{"a bare id leads to what each channel and support have under it, a full one to that alone", func(f *fixture) {
		var entries []ledger.Entry
		at := uint64(0)
		add := func(customer domain.CustomerID, order domain.OrderID, returned domain.ReturnID, gift domain.LoyaltyID) ledger.Match {
			at++
			e := award(at, customer, 5)
			match := ledger.Match{By: ledger.ByOrder}
			switch {
			case returned != "":
				e, match.By = reversal(at, customer, -1), ledger.ByReturn
			case gift != "":
				e, match.By = adjustment(at, customer, 1), ledger.ByLoyalty
			}
			e.Order, e.Return, e.Loyalty = order, returned, gift
			entries = append(entries, e)
			match.Customer, match.Order, match.EventID, match.OccurredAt = customer, order, eventID(at), moment(at)
			return match
		}
		bare, web, shop := add("anna", "o-1", "", ""), add("anna", "website.o-1", "", ""), add("bob", "store.o-1", "", "")
		own := add("bob", "customer.bob.o-1", "", "")
		back, backByStaff := add("bob", "store.o-1", "store.r-1", ""), add("anna", "o-1", "staff.r-1", "")
		gift, phoned := add("anna", "", "", "staff.g-1"), add("anna", "", "", "mobile.g-1")
		f.add(entries...)
		for id, want := range map[string][]ledger.Match{
			"o-1": {bare, web, shop}, "website.o-1": {web}, "store.o-1": {shop}, "mobile.o-1": nil, "customer.bob.o-1": {own}, "customer.anna.o-1": nil,
			"r-1": {back, backByStaff}, "store.r-1": {back}, "staff.r-1": {backByStaff}, "g-1": {gift, phoned}, "staff.g-1": {gift},
			"bob.o-1": nil, "fax.o-1": nil, ".o-1": nil, "store.": nil, "tore.o-1": nil, "1": nil,
		} {
			got, err := f.Search(f.ctx, id)
			if diff := gocmp.Diff(ledger.Found{Matches: want, State: f.model.State()}, got); err != nil || diff != "" {
				f.Errorf("%q: %v (-want +got):\n%s", id, err, diff)
			}
		}
		for order, want := range map[domain.OrderID]int{"o-1": 3, "store.o-1": 2, "customer.bob.o-1": 1, "customer.anna.o-1": 0, "website.o-1": 0, "o": 0, "1": 0} {
			page, err := f.Trail(f.ctx, "bob", ledger.Filter{Order: order}, "", 10)
			if err != nil || len(page.Entries) != want {
				f.Errorf("bob has %d entries of order %s, %v; want %d", len(page.Entries), order, err, want)
			}
		}
	}},

	{"an id that many have gives so many of them, and tells that there are more", func(f *fixture) {
		var entries []ledger.Entry
		for n := range uint64(ledger.MaxMatches) {
			e := reversal(n+1, domain.CustomerID(fmt.Sprintf("c%d", n)), -1)
			e.Return = "1"
			entries = append(entries, e)
		}
		f.add(entries...)
		if found, err := f.Search(f.ctx, "1"); err != nil || len(found.Matches) != ledger.MaxMatches || found.More {
			f.Errorf("%d matches, more: %v, %v", len(found.Matches), found.More, err)
		}
		e := adjustment(1000, "bob", 1)
		e.Loyalty = "1"
		f.add(e)
		if found, err := f.Search(f.ctx, "1"); err != nil || len(found.Matches) != ledger.MaxMatches || !found.More {
			f.Errorf("%d matches, more: %v, %v", len(found.Matches), found.More, err)
		}
		f.equalsModel()
	}},

	{"a bucket holds the customers who came with it", func(f *fixture) {
		in := func(e ledger.Entry, bucket ledger.Bucket) ledger.Entry { e.Bucket = bucket; return e }
		f.add(in(award(1, "anna", 5), 7), in(award(2, "bob", 0), 7), in(award(3, "cleo", 5), 8), in(award(4, "dora", 5), 0), in(award(5, "anna", 5), 7))
		f.add(in(award(6, "anna", 5), 7), in(award(7, "dora", 5), 7), in(award(8, "cleo", 5), 0))
		for bucket, want := range map[ledger.Bucket][]domain.CustomerID{7: {"anna", "bob"}, 8: {"cleo"}, 9: nil, 0: nil, -1: nil} {
			if got, err := sortedBucket(f.ctx, f, bucket); err != nil || !slices.Equal(got, want) {
				f.Errorf("bucket %d holds %v, %v; want %v", bucket, got, err, want)
			}
		}
		f.refused(f.batch(in(award(9, "eva", 1), 4097)), nil)
	}},

	{"a proxy name leads to its customer, and to nobody else of the bucket", func(f *fixture) {
		proxies, err := domain.NewProxies([]byte("a secret of these tests"))
		if err != nil {
			f.Fatal(err)
		}
		name := proxies.Key("anna").Name()
		var entries []ledger.Entry
		for n, customer := range []domain.CustomerID{"bob", "anna", "cleo"} {
			e := award(uint64(n+1), customer, 1)
			e.Bucket = ledger.BucketOf(name)
			entries = append(entries, e)
		}
		f.add(entries...)
		for _, written := range []string{name, strings.ToUpper(name), "  " + strings.ReplaceAll(name, " ", " \t ")} {
			if got, err := ledger.Named(f.ctx, f, proxies, written); err != nil || !slices.Equal(got, []domain.CustomerID{"anna"}) {
				f.Errorf("%q is the name of %v, %v", written, got, err)
			}
		}
		for _, other := range []string{"", "Amber Otter", proxies.Key("bob").Name(), name + "0", strings.ReplaceAll(name, " ", "")} {
			if got, err := ledger.Named(f.ctx, f, proxies, other); err != nil || len(got) > 0 {
				f.Errorf("%q is the name of %v, %v", other, got, err)
			}
		}
	}},

	{"a ledger tells whose names it has", func(f *fixture) {
		ours, err := domain.NewProxies([]byte("a secret of these tests"))
		others, otherErr := domain.NewProxies([]byte("another secret of these tests"))
		if err := errors.Join(err, otherErr); err != nil {
			f.Fatal(err)
		}
		is := func(want bool, proxies domain.Proxies) {
			f.Helper()
			if got, err := ledger.NamedBy(f.ctx, f, proxies); err != nil || got != want {
				f.Errorf("got %v, %v; want %v", got, err, want)
			}
		}
		is(true, ours)
		is(true, others)
		var entries []ledger.Entry
		for n := range uint64(20) {
			e := award(n+1, domain.CustomerID(fmt.Sprint("c-", n)), 1)
			if n%4 == 0 { // as of before there were buckets
				e.Bucket = ledger.BucketOf(ours.Key(e.Customer).Name())
			}
			entries = append(entries, e)
		}
		f.add(entries...)
		is(true, ours)
		is(false, others)
	}},

	{"what is to be found goes over to a copy, and not what it has not", func(f *fixture) {
		in := func(e ledger.Entry) ledger.Entry { e.Bucket = 7; return e }
		f.add(in(award(1, "anna", 5)), in(award(2, "bob", 5)))
		c := f.copied()
		c.add(in(award(1, "anna", 6)), in(adjustment(2, "cleo", 1)), reversal(3, "anna", -1))
		f.equalsModel()
		c.switched()
		f.model = c.model
		f.equalsModel()
	}},
}

// sortedBucket reads a bucket and sorts it.
func sortedBucket(ctx context.Context, l ledger.Finder, bucket ledger.Bucket) ([]domain.CustomerID, error) {
	got, err := l.Bucket(ctx, bucket)
	slices.SortFunc(got, cmp.Compare)
	return got, err
}

// compareFound compares the answers of ledger.Finder with the model's: for every id, every entry and every bucket.
func compareFound(ctx context.Context, l Ledger, m *Model) error {
	ids, seen := map[string]bool{"nothing": true}, map[ledger.Bucket]bool{1: true}
	for _, e := range m.entries {
		for _, id := range []string{string(e.Customer), string(e.Order), string(e.Return), string(e.Loyalty)} {
			ids[id] = true
		}
		seen[m.buckets[e.EventID]] = true
	}
	// Of a large history, only the ids of the newest entries are searched.
	const most = 8
	for id := range ids {
		if len(ids) > most && !slices.ContainsFunc(m.entries[max(0, len(m.entries)-most/4):], func(e ledger.Entry) bool {
			return id == string(e.Customer) || id == string(e.Order) || id == string(e.Return) || id == string(e.Loyalty)
		}) {
			continue
		}
		if err := compareSearch(ctx, l, m, id); err != nil {
			return err
		}
	}
	for _, e := range m.entries[max(0, len(m.entries)-most):] {
		if got, err := l.Entry(ctx, e.Customer, e.EventID); err != nil || got != e {
			return fmt.Errorf("the entry %s is %+v, %v; want %+v", e.EventID, got, err, e)
		}
	}
	for bucket := range seen {
		if got, err := sortedBucket(ctx, l, bucket); err != nil || !slices.Equal(got, m.Bucket(bucket)) {
			return fmt.Errorf("bucket %d holds %v, %v; want %v", bucket, got, err, m.Bucket(bucket))
		}
	}
	return nil
}

func compareSearch(ctx context.Context, l Ledger, m *Model, id string) error {
	got, err := l.Search(ctx, id)
	if err != nil || got.State != m.State() {
		return fmt.Errorf("the search for %q, in %+v: %w", id, got.State, err)
	}
	want := m.Search(id)
	if len(want) <= ledger.MaxMatches {
		if !slices.Equal(got.Matches, want) || got.More {
			return fmt.Errorf("the search for %q finds %+v, more: %v; want %+v", id, got.Matches, got.More, want)
		}
		return nil
	}
	foreign := func(match ledger.Match) bool { return !slices.Contains(want, match) }
	if len(got.Matches) != ledger.MaxMatches || !got.More || slices.ContainsFunc(got.Matches, foreign) {
		return fmt.Errorf("the search for %q finds %+v, more: %v; want %d of %+v", id, got.Matches, got.More, ledger.MaxMatches, want)
	}
	return nil
}
