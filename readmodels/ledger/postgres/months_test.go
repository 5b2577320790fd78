package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// occurring is a batch whose entries occur at the times.
func occurring(from uint64, times ...time.Time) ledger.Batch {
	b := ledger.Batch{From: domain.CheckpointAt(position(from)), To: domain.CheckpointAt(position(from + uint64(len(times)))), Entries: entriesFrom(from+1, len(times), 3)}
	for i := range times {
		b.Entries[i].OccurredAt = times[i]
	}
	return b
}

func partitions(t *testing.T, l *Ledger) []string {
	t.Helper()
	found, err := l.pool.Query(t.Context(), `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ledger.entries'::regclass`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestAMonthsPartitionIsThereBeforeTheMonthBegins(t *testing.T) {
	l := opened(t, postgrestest.Shared(t).URL())
	if got := partitions(t, l); len(got) != 0 {
		t.Errorf("a new ledger has %v", got)
	}
	late := time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	if err := l.Apply(t.Context(), occurring(0, date(2021, 5, 1), late.In(time.FixedZone("east", 3600)))); err != nil {
		t.Fatal(err)
	}
	if got, want := partitions(t, l), []string{"ledger.entries_2021_05", "ledger.entries_2026_12", "ledger.entries_2027_01"}; !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	var count int
	if err := l.pool.QueryRow(t.Context(), `SELECT count(*) FROM ledger.entries_2026_12`).Scan(&count); err != nil || count != 1 {
		t.Errorf("December has %d entries, %v", count, err)
	}
}

func TestTimesBeyondTheOrdinaryAreKept(t *testing.T) {
	for _, when := range []time.Time{{}, time.Unix(0, 0), time.Unix(-1, 999_999_000), date(0, 1, 1), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		l := opened(t, postgrestest.Shared(t).URL())
		b := occurring(0, when)
		b.AsOf = when
		if err := l.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		page, err := l.Trail(t.Context(), b.Entries[0].Customer, ledger.Filter{}, "", 1)
		if err != nil || !page.AsOf.Equal(when) || !page.Entries[0].OccurredAt.Equal(when) || !page.Account.ReachedAt.Equal(when) {
			t.Errorf("%s came back as %+v, %v", when, page, err)
		}
	}
}

func TestManyMayMakeTheSamePartitions(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	var wanted []month
	for m := range month(24) {
		wanted = append(wanted, monthOf(date(2025, 1, 1))+m)
	}
	var wait sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		l := opened(t, address)
		wait.Go(func() { errs[i] = l.makeMonths(t.Context(), wanted) })
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("number %d: %v", i, err)
		}
	}
	if got := partitions(t, opened(t, address)); len(got) != len(wanted) {
		t.Errorf("there are %d, want %d", len(got), len(wanted))
	}
}

func TestANewMonthWaitsForNoReaderAndHoldsNoneUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l := opened(t, postgrestest.Shared(t).URL())
	if err := l.Apply(ctx, occurring(0, date(2026, 1, 1))); err != nil {
		t.Fatal(err)
	}
	// Given an analyst who has read all entries in a transaction, and has not ended it
	tx, err := l.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	count := func(from interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	}) (n int) {
		t.Helper()
		if err := from.QueryRow(ctx, `SELECT count(*) FROM ledger.entries`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	count(tx)
	// When entries of new months come, they go in, and the analyst goes on
	if err := l.Apply(ctx, occurring(1, date(2026, 6, 1), date(2019, 1, 1))); err != nil {
		t.Fatal(err)
	}
	count(tx)
	if n := count(l.pool); n != 3 {
		t.Errorf("there are %d entries", n)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestPartitionsThatAreGoneAreMadeAgain(t *testing.T) {
	l := opened(t, postgrestest.Shared(t).URL())
	if err := l.Apply(t.Context(), occurring(0, date(2026, 1, 1))); err != nil {
		t.Fatal(err)
	}
	if _, err := l.pool.Exec(t.Context(), `DROP TABLE ledger.entries_2026_01, ledger.entries_2026_02`); err != nil {
		t.Fatal(err)
	}
	if err := l.Apply(t.Context(), occurring(1, date(2026, 1, 31), date(2026, 2, 1))); err != nil {
		t.Fatal(err)
	}
	if got := partitions(t, l); len(got) != 3 {
		t.Errorf("there are %v", got)
	}
}

func TestAMonthIsCountedInUTC(t *testing.T) {
	for _, c := range []struct {
		when time.Time
		name string
	}{
		{date(2026, 3, 1), "entries_2026_03"},
		{date(2026, 3, 1).Add(-time.Nanosecond), "entries_2026_02"},
		{date(2026, 1, 1).In(time.FixedZone("west", -3600)), "entries_2026_01"},
		{time.Time{}, "entries_0001_01"},
		{date(0, 12, 31), "entries_0000_12"},
	} {
		m := monthOf(c.when)
		if got := m.partition(); got != c.name || c.when.Before(m.start()) || !c.when.Before((m + 1).start()) {
			t.Errorf("%s is in %s, from %s to %s; want %s", c.when, got, m.start(), (m + 1).start(), c.name)
		}
	}
	if name := fmt.Sprint((monthOf(date(2026, 12, 5)) + 1).partition()); name != "entries_2027_01" {
		t.Errorf("after December comes %s", name)
	}
}
