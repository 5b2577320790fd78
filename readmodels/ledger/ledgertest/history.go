package ledgertest

import (
	"errors"
	"flag"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// anyHistory drives a ledger and the model through random histories of entries and audit records in random batches, with redelivered batches,
// totals beyond the limit and reopening in between. It compares the account and trail of one customer at each step, and
// all answers every few steps and at the end.
func anyHistory(t *testing.T, place Place) {
	fewer(t)
	rapid.Check(t, func(r *rapid.T) {
		f := given(t, place)
		defer func() { _ = f.Close() }()
		h := &history{fixture: f}
		r.Repeat(map[string]func(*rapid.T){
			"":                   h.sometimes,
			"batch":              h.batch,
			"accounts meanwhile": h.accountsMeanwhile,
			"redeliver":          h.redeliver,
			"riches":             h.riches,
			"reopen":             h.reopen,
			"page":               h.page,
			"walk":               h.walk,
			"walk audit records": h.walkAuditLog,
			"earnings":           h.earnings,
		})
		h.same(r)
	})
}

// fewer has a random test make 40 histories, unless -rapid.checks says how many: each is a database of its own, and takes seconds.
func fewer(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return
	}
	if err := checks.Value.Set("20"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) }) // which it has had
}

type history struct {
	*fixture
	// next is the number of the next event of the log.
	next uint64
	// sent are the applied batches with at least one entry or audit record.
	sent  []ledger.Batch
	steps int
}

var someCustomers = rapid.SampledFrom([]domain.CustomerID{"anna", "bob", "cleo", "Anna", "d-_9"})

var someOrders = rapid.SampledFrom([]domain.OrderID{"o-1", "o-2", "1", "O-1", "store.o-1", "website.1", "customer.anna.o-1", "customer.bob.1"})

func (h *history) entry(r *rapid.T) ledger.Entry {
	h.next += rapid.Uint64Range(1, 3).Draw(r, "gap")
	customer := someCustomers.Draw(r, "customer")
	points := domain.Points(rapid.Int64Range(0, 40).Draw(r, "points"))
	var e ledger.Entry
	switch rapid.SampledFrom([]ledger.Kind{ledger.Award, ledger.Reversal, ledger.Adjustment}).Draw(r, "kind") {
	case ledger.Award:
		e = award(h.next, customer, points)
	case ledger.Reversal:
		e = reversal(h.next, customer, -points)
	default:
		e = adjustment(h.next, customer, points-20)
	}
	// Ids that were used before: returns of an order, and ids that need not be unique.
	if e.Order != "" && rapid.Bool().Draw(r, "order again") {
		e.Order = someOrders.Draw(r, "order")
	}
	if e.Return != "" {
		e.Return = rapid.SampledFrom([]domain.ReturnID{"1", "2", "anna", "staff.1", "store.2"}).Draw(r, "return")
	}
	if e.Loyalty != "" && rapid.Bool().Draw(r, "gift again") {
		e.Loyalty = rapid.SampledFrom([]domain.LoyaltyID{"1", "gift", "o-1", "staff.gift", "website.1"}).Draw(r, "gift")
	}
	e.Bucket = rapid.SampledFrom([]ledger.Bucket{0, 1, 2, 4096}).Draw(r, "bucket")
	if rapid.IntRange(1, 3).Draw(r, "another channel") == 1 {
		e.Channel = rapid.SampledFrom([]domain.Channel{"", domain.Mobile, domain.Store, domain.Website}).Draw(r, "channel")
	}
	e.OccurredAt = e.OccurredAt.Add(time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(r, "jitter")))
	if rapid.IntRange(1, 3).Draw(r, "far") == 1 {
		e.OccurredAt = e.OccurredAt.Add(time.Duration(rapid.IntRange(-50, 50).Draw(r, "hours")) * time.Hour)
	}
	return e
}

var (
	someKinds  = rapid.SampledFrom(append(ledger.AuditKinds(), ledger.Requested))
	someActors = rapid.SampledFrom([]string{"agent-7", "lead-1", "Lead-1", "zoë"})
)

func (h *history) record(r *rapid.T) ledger.AuditRecord {
	h.next += rapid.Uint64Range(1, 3).Draw(r, "gap")
	a := did(h.next, someKinds.Draw(r, "audit record"), someCustomers.Draw(r, "customer"))
	a.Actor = someActors.Draw(r, "actor")
	if a.Loyalty != "" {
		a.Loyalty = rapid.SampledFrom([]domain.LoyaltyID{"1", "gift"}).Draw(r, "request")
	}
	a.OccurredAt = a.OccurredAt.Add(time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(r, "jitter")))
	return a
}

func (h *history) draw(r *rapid.T) ledger.Batch {
	b := ledger.Batch{From: domain.CheckpointAt(h.model.State().Position)}
	for range rapid.IntRange(0, 12).Draw(r, "entries and audit records") {
		if rapid.IntRange(1, 4).Draw(r, "an audit record") == 1 {
			b.AuditRecords = append(b.AuditRecords, h.record(r))
			continue
		}
		b.Entries = append(b.Entries, h.entry(r))
	}
	// A filtered subscription may lead on past the last entry.
	h.next += rapid.Uint64Range(0, 2).Draw(r, "beyond")
	if b.To = domain.CheckpointAt(at(h.next)); h.next == 0 {
		b.To = b.From
	}
	b.AsOf = moment(rapid.Uint64Range(0, 3600).Draw(r, "as of"))
	return b
}

func (h *history) batch(r *rapid.T) {
	b := h.draw(r)
	err, want := h.Apply(h.ctx, b), h.model.Apply(b)
	if err != nil || want != nil {
		r.Fatalf("apply: %v, in the model: %v", err, want)
	}
	if len(b.Entries)+len(b.AuditRecords) > 0 {
		h.sent = append(h.sent, b)
	}
}

// accountsMeanwhile reads all accounts, and applies batches between any two of them.
func (h *history) accountsMeanwhile(r *rapid.T) {
	all := newReading(h.model)
	all.read(h.ctx, h, r, func(ledger.Account) {
		if rapid.Bool().Draw(r, "a batch meanwhile") {
			h.batch(r)
			all.remember(h.model)
		}
	})
}

func (h *history) redeliver(r *rapid.T) {
	if len(h.sent) == 0 {
		return
	}
	b := rapid.SampledFrom(h.sent).Draw(r, "batch")
	if err := h.Apply(h.ctx, b); !errors.Is(err, domain.ErrCheckpointMoved) {
		r.Fatalf("a batch delivered again: %v", err)
	}
}

// riches takes a customer far beyond 32 bits, up or down.
func (h *history) riches(r *rapid.T) {
	b := h.draw(r)
	customer, most := someCustomers.Draw(r, "customer"), rapid.SampledFrom([]domain.Points{domain.MaxChange, -domain.MaxChange}).Draw(r, "most")
	for range 20 {
		h.next++
		b.Entries = append(b.Entries, adjustment(h.next, customer, most))
	}
	b.To = domain.CheckpointAt(at(h.next))
	if err := errors.Join(h.Apply(h.ctx, b), h.model.Apply(b)); err != nil {
		r.Fatal(err)
	}
}

// reopen is rarer than the others, because it takes longest.
func (h *history) reopen(r *rapid.T) {
	if rapid.IntRange(1, 4).Draw(r, "reopen") < 4 {
		return
	}
	if err := h.Close(); err != nil {
		r.Fatalf("close: %v", err)
	}
	l, err := h.open(h.ctx)
	if err != nil {
		r.Fatalf("open: %v", err)
	}
	h.Ledger = l
}

// page reads one account, and its trail in pages of a random size.
func (h *history) page(r *rapid.T) {
	customer := someCustomers.Draw(r, "customer")
	account, state, err := h.Account(h.ctx, customer)
	if err != nil || account != h.model.Account(customer) || state != h.model.State() {
		r.Fatalf("%s has %+v in %+v, %v; want %+v in %+v", customer, account, state, err, h.model.Account(customer), h.model.State())
	}
	got, err := wholeTrail(h.ctx, h, customer, rapid.IntRange(1, 20).Draw(r, "limit"))
	want := h.model.Entries(customer)
	if err != nil || len(got) != len(want) {
		r.Fatalf("%d entries of %d, %v", len(got), len(want), err)
	}
	for i := range got {
		if got[i] != want[i] {
			r.Fatalf("entry %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func (h *history) sometimes(r *rapid.T) {
	if h.steps++; h.steps%6 == 0 {
		h.same(r)
	}
}

func (h *history) same(r *rapid.T) {
	if err := compare(h.ctx, h.Ledger, &h.model); err != nil {
		r.Fatal(err)
	}
}

// walk reads matching entries page by page while batches arrive. All pages together must be what the model had when the first was read, and
// without a filter their sum the customer's total then.
func (h *history) walk(r *rapid.T) {
	customer, filter := someCustomers.Draw(r, "customer"), h.filter(r)
	limit := rapid.IntRange(1, 5).Draw(r, "limit")
	want, has := h.model.Filtered(customer, filter), h.model.Account(customer).Points
	var got []ledger.Entry
	var sum domain.Points
	for page, err := range ledger.Pages(h.ctx, h, customer, filter, limit) {
		if err != nil || len(page.Entries) > limit || (len(page.Entries) < limit && page.Next != "") {
			r.Fatalf("a page of %d entries, next %q, %v", len(page.Entries), page.Next, err)
		}
		if page.Account != h.model.Account(customer) || page.State != h.model.State() {
			r.Fatalf("it came with %+v in %+v", page.Account, page.State)
		}
		for _, e := range page.Entries {
			got, sum = append(got, e), sum+e.Points
		}
		if rapid.IntRange(1, 3).Draw(r, "meanwhile") == 1 {
			h.batch(r)
		}
	}
	if !slices.Equal(got, want) {
		r.Fatalf("%+v lets through %+v, want %+v", filter, got, want)
	}
	if reflect.DeepEqual(filter, ledger.Filter{}) && sum != has {
		r.Fatalf("the trail adds up to %d points, the account had %d", sum, has)
	}
}

func (h *history) filter(r *rapid.T) (f ledger.Filter) {
	some := func(what string) bool { return rapid.IntRange(1, 3).Draw(r, what) == 1 }
	around := func(what string) time.Time {
		return moment(rapid.Uint64Range(0, h.next).Draw(r, what)).Add(time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(r, what+" about")))
	}
	if some("by kind") {
		f.Kinds = rapid.SliceOfN(rapid.SampledFrom([]ledger.Kind{ledger.Award, ledger.Reversal, ledger.Adjustment}), 1, 4).Draw(r, "kinds")
	}
	if some("by channel") {
		f.Channel = rapid.SampledFrom([]domain.Channel{domain.Website, domain.Store, domain.Mobile}).Draw(r, "channel")
	}
	if some("by order") {
		f.Order = someOrders.Draw(r, "order")
	}
	if some("from") {
		f.From = around("from when")
	}
	if some("until") {
		f.Until = around("until when")
	}
	if some("after") {
		f.After = at(rapid.Uint64Range(0, h.next+1).Draw(r, "after what"))
	}
	return f
}

// walkAuditLog reads matching audit records page by page while batches arrive. All pages together must be what the model had when the first was
// read, except that requests may be decided meanwhile; if only waiting requests are selected, no batches arrive.
func (h *history) walkAuditLog(r *rapid.T) {
	var filter ledger.AuditFilter
	some := func(what string) bool { return rapid.IntRange(1, 3).Draw(r, what) == 1 }
	if some("by kind") {
		filter.Kinds = rapid.SliceOfN(someKinds, 1, 4).Draw(r, "kinds")
	}
	if some("by customer") {
		filter.Customer = someCustomers.Draw(r, "whose")
	}
	if some("by actor") {
		filter.Actor = someActors.Draw(r, "who")
	}
	if some("since") {
		filter.From = moment(rapid.Uint64Range(0, h.next).Draw(r, "from when"))
	}
	if some("until") {
		filter.Until = moment(rapid.Uint64Range(0, h.next).Draw(r, "until when"))
	}
	filter.Waiting = some("waiting")
	limit := rapid.IntRange(1, 5).Draw(r, "limit")
	want := h.model.AuditLog(filter)
	var got []ledger.AuditRecord
	for cursor := ""; ; {
		page, err := h.AuditLog(h.ctx, filter, cursor, limit)
		if err != nil || len(page.Records) > limit || (len(page.Records) < limit && page.Next != "") || page.State != h.model.State() {
			r.Fatalf("a page of %d audit records in %+v, next %q, %v", len(page.Records), page.State, page.Next, err)
		}
		got = append(got, page.Records...)
		if cursor = page.Next; cursor == "" {
			break
		}
		if !filter.Waiting && rapid.IntRange(1, 3).Draw(r, "meanwhile") == 1 {
			h.batch(r)
		}
	}
	undecided := func(records []ledger.AuditRecord) []ledger.AuditRecord {
		records = slices.Clone(records)
		for i := range records {
			records[i].Decided = false
		}
		return records
	}
	if !slices.Equal(undecided(got), undecided(want)) {
		r.Fatalf("%+v lets through %+v, want %+v", filter, got, want)
	}
}
