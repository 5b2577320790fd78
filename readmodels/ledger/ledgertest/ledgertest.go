// Package ledgertest is the contract of a ledger, in clauses. Every adapter passes it with
//
//	func TestLedger(t *testing.T) { ledgertest.Run(t, place) }
package ledgertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Ledger is the interface of an adapter in the contract.
type Ledger interface {
	ledger.Reader
	ledger.Finder
	ledger.Auditor
	ledger.Seasons
	ledger.Earner
	ledger.Writer
	ledger.Rebuilder
	// Outstanding is the sum of all customers' totals, negative ones included. It must equal the sum of all entries.
	Outstanding(ctx context.Context) (domain.Points, error)
	// Close closes the ledger and keeps its contents. Methods called later return domain.ErrUnavailable.
	Close() error
}

// Place makes an empty store for one ledger and returns a function that opens the ledger in it: for the first time, after a Close, or a second
// time at once, as another process would.
type Place func(t *testing.T) (open func(ctx context.Context) (Ledger, error))

// Run runs the contract.
func Run(t *testing.T, place Place) {
	run(t, place, slices.Concat(applyClauses, trailClauses, filterClauses, findClauses, accountClauses, auditClauses, forgottenClauses, seasonClauses, earningClauses, sharingClauses, waitClauses, rebuildClauses, switchClauses))
	t.Run("any_history_equals_the_model", func(t *testing.T) { anyHistory(t, place) })
}

// Short runs the part of the contract in which several processes, copies and switches meet, and which asks for everything that a ledger answers: for another
// way to an adapter that passes the whole.
func Short(t *testing.T, place Place) {
	run(t, place, slices.Concat(accountClauses, sharingClauses, waitClauses, rebuildClauses, switchClauses))
}

func run(t *testing.T, place Place, clauses []clause) {
	for _, clause := range clauses {
		t.Run(strings.ReplaceAll(clause.says, " ", "_"), func(t *testing.T) {
			clause.check(given(t, place))
		})
	}
}

type clause struct {
	says  string
	check func(*fixture)
}

// fixture has the ledger of a test, in a store of its own, and the model that gets the same batches.
type fixture struct {
	*testing.T
	ctx   context.Context
	place Place
	open  func(ctx context.Context) (Ledger, error)
	Ledger
	model Model
}

// deadline bounds every test.
const deadline = time.Minute

func given(t *testing.T, place Place) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	f := &fixture{T: t, ctx: ctx, place: place, open: place(t)}
	f.Ledger = f.another()
	return f
}

// another opens the same ledger once more, as another process would.
func (f *fixture) another() Ledger {
	f.Helper()
	l, err := f.open(f.ctx)
	if err != nil {
		f.Fatalf("open: %v", err)
	}
	f.Cleanup(func() { _ = l.Close() })
	return l
}

// applied applies a batch, which must succeed.
func (f *fixture) applied(b ledger.Batch) {
	f.Helper()
	before := ledger.Batch{From: b.From, To: b.To, AsOf: b.AsOf, Entries: slices.Clone(b.Entries), AuditRecords: slices.Clone(b.AuditRecords)}
	if err := f.Apply(f.ctx, b); err != nil {
		f.Fatalf("apply: %v", err)
	}
	if diff := cmp.Diff(before, b); diff != "" {
		f.Fatalf("Apply changed the batch it was given:\n%s", diff)
	}
	if err := f.model.Apply(b); err != nil {
		f.Fatalf("the model refuses the batch: %v", err)
	}
}

// add applies the entries from the checkpoint to the last of them.
func (f *fixture) add(entries ...ledger.Entry) {
	f.Helper()
	f.applied(f.batch(entries...))
}

// batch makes a batch of the entries that starts at the model's checkpoint.
func (f *fixture) batch(entries ...ledger.Entry) ledger.Batch {
	return batchAfter(&f.model, entries, nil)
}

// did applies the audit records from the checkpoint to the last of them.
func (f *fixture) did(records ...ledger.AuditRecord) {
	f.Helper()
	f.applied(batchAfter(&f.model, nil, records))
}

func batchAfter(m *Model, entries []ledger.Entry, records []ledger.AuditRecord) ledger.Batch {
	from := m.State().Position
	to := from
	if len(entries) > 0 {
		to = entries[len(entries)-1].Position
	}
	if len(records) > 0 && to.Before(records[len(records)-1].Position) {
		to = records[len(records)-1].Position
	}
	return ledger.Batch{From: domain.CheckpointAt(from), To: domain.CheckpointAt(to), AsOf: moment(to.Commit), Entries: entries, AuditRecords: records}
}

// refused applies a batch that must fail, and makes sure that it changes nothing.
func (f *fixture) refused(b ledger.Batch, want error) {
	f.Helper()
	err := f.Apply(f.ctx, b)
	if err == nil || (want != nil && !errors.Is(err, want)) {
		f.Fatalf("apply: got %v, want %v", err, want)
	}
	for _, other := range []error{domain.ErrCheckpointMoved, domain.ErrUnavailable} {
		if errors.Is(err, other) && !errors.Is(other, want) {
			f.Fatalf("apply: %v is %q too", err, other)
		}
	}
	f.equalsModel()
}

// equalsModel compares every answer of the ledger with the model's.
func (f *fixture) equalsModel() {
	f.Helper()
	if err := compare(f.ctx, f.Ledger, &f.model); err != nil {
		f.Fatal(err)
	}
}

// moment is the time at which the tests' entry n occurred.
func moment(n uint64) time.Time {
	return time.Date(2026, 3, 1, 9, 0, int(n), 123_456_000, time.UTC)
}
