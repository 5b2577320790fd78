package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
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

func TestADaysPartitionIsThereBeforeTheDayBegins(t *testing.T) {
	l := opened(t, postgrestest.Shared(t).URL())
	if got := partitions(t, l); len(got) != 0 {
		t.Errorf("a new ledger has %v", got)
	}
	late := time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	if err := l.Apply(t.Context(), occurring(0, date(2021, 5, 1), late.In(time.FixedZone("east", 3600)))); err != nil {
		t.Fatal(err)
	}
	if got, want := partitions(t, l), []string{"ledger.entries_2021_05_01", "ledger.entries_2026_12_31", "ledger.entries_2027_01_01"}; !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	var count int
	if err := l.pool.QueryRow(t.Context(), `SELECT count(*) FROM ledger.entries_2026_12_31`).Scan(&count); err != nil || count != 1 {
		t.Errorf("the last day of December has %d entries, %v", count, err)
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
	var wanted []partition
	for d := range day(24) {
		wanted = append(wanted, (dayOf(date(2025, 1, 1)) + d).partition())
	}
	var wait sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		l := opened(t, address)
		wait.Go(func() { errs[i] = l.makePartitions(t.Context(), wanted) })
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

func TestANewDayWaitsForNoReaderAndHoldsNoneUp(t *testing.T) {
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
	// When entries of new days come, they go in, and the analyst goes on
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
	if _, err := l.pool.Exec(t.Context(), `DROP TABLE ledger.entries_2026_01_01, ledger.entries_2026_01_02`); err != nil {
		t.Fatal(err)
	}
	if err := l.Apply(t.Context(), occurring(1, date(2026, 1, 1), date(2026, 1, 2))); err != nil {
		t.Fatal(err)
	}
	if got := partitions(t, l); len(got) != 3 {
		t.Errorf("there are %v", got)
	}
}

func TestADayIsCountedInUTC(t *testing.T) {
	for _, c := range []struct {
		when          time.Time
		entries, sums string
	}{
		{date(2026, 3, 1), "entries_2026_03_01", "sums_2026_03"},
		{date(2026, 3, 1).Add(-time.Nanosecond), "entries_2026_02_28", "sums_2026_02"},
		{date(2026, 1, 1).In(time.FixedZone("west", -3600)), "entries_2026_01_01", "sums_2026_01"},
		{date(1969, 12, 31), "entries_1969_12_31", "sums_1969_12"},
		{date(1970, 1, 1).Add(-time.Nanosecond), "entries_1969_12_31", "sums_1969_12"},
		{time.Time{}, "entries_0001_01_01", "sums_0001_01"},
		{date(0, 12, 31), "entries_0000_12_31", "sums_0000_12"},
	} {
		d, m := dayOf(c.when), monthOf(c.when)
		if got := d.partition().name; got != c.entries || c.when.Before(d.start()) || !c.when.Before((d + 1).start()) || !endOf(got).Equal((d + 1).start()) {
			t.Errorf("%s is in %s, from %s to %s; want %s", c.when, got, d.start(), (d + 1).start(), c.entries)
		}
		if got := m.partition().name; got != c.sums || c.when.Before(m.start()) || !c.when.Before((m + 1).start()) {
			t.Errorf("%s is in %s, from %s to %s; want %s", c.when, got, m.start(), (m + 1).start(), c.sums)
		}
	}
	if name := (monthOf(date(2026, 12, 5)) + 1).partition().name; name != "sums_2027_01" {
		t.Errorf("after December comes %s", name)
	}
}

// Given a ledger of before version 9, with a partition for a month
// When entries of that month and the next come
// Then that month has no partitions of days, and the next has
func TestAMonthThatHasAPartitionKeepsIt(t *testing.T) {
	l := opened(t, postgrestest.Shared(t).URL())
	formerMonth(t, l, monthOf(date(2026, 1, 1)))
	if err := l.Apply(t.Context(), occurring(0, date(2026, 1, 30), date(2026, 1, 31))); err != nil {
		t.Fatal(err)
	}
	if got, want := partitions(t, l), []string{"ledger.entries_2026_01", "ledger.entries_2026_02_01"}; !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
}

// formerMonth makes a partition of entries for a whole month, as versions before 9 did.
func formerMonth(t *testing.T, l *Ledger, m month) {
	t.Helper()
	p := partition{m.formerPartition(), m.formerPartition(), "entries", since1970(m.start()), since1970((m + 1).start())}
	if err := l.makePartitions(t.Context(), []partition{p, m.partition()}); err != nil {
		t.Fatal(err)
	}
}

// Given a season from noon of one day to noon of another months later, and a customer who bought on both
// When the partition of the last day is taken out of the ledger
// Then the season can't be loaded, and says what is missing; the months between can
func TestASeasonSaysWhichOfItsDaysWereTakenAway(t *testing.T) {
	l := opened(t, postgrestest.Shared(t).URL())
	noon := date(2026, 1, 10).Add(12 * time.Hour)
	if err := l.Apply(t.Context(), occurring(0, noon, date(2026, 2, 5), date(2026, 3, 20))); err != nil {
		t.Fatal(err)
	}
	load := func(from, until time.Time) (points domain.Points, err error) {
		_, err = l.AccountsWithin(t.Context(), from, until, ledger.InTurn(func(a ledger.Account, _ domain.Position) error {
			points += a.Points
			return nil
		}))
		return points, err
	}
	until := date(2026, 3, 20).Add(12 * time.Hour)
	before, err := load(noon, until)
	if _, failed := l.pool.Exec(t.Context(), `ALTER TABLE ledger.entries DETACH PARTITION ledger.entries_2026_03_20`); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if _, err := load(noon, until); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "entries_2026_03_20") {
		t.Errorf("it was loaded without its last day: %v", err)
	}
	if months, err := load(date(2026, 1, 1), date(2026, 4, 1)); err != nil || months != before {
		t.Errorf("its months have %d points, %v; want %d", months, err, before)
	}
}

// Given a server with few locks for all its sessions, and a ledger with more days than that
// When it is read, searched, rebuilt and the former one is dropped
// Then no statement needs a lock of every day
func TestALedgerOfManyDaysNeedsFewLocks(t *testing.T) {
	server := postgrestest.Start(t, "max_locks_per_transaction=32", "max_connections=40")
	l := opened(t, server.URL())
	const days = 500
	var times []time.Time
	for d := range days {
		times = append(times, date(2025, 1, 1).AddDate(0, 0, d))
	}
	fill := func(l ledger.Writer) {
		t.Helper()
		for at := uint64(0); at < days; at += 50 {
			if err := l.Apply(t.Context(), occurring(at, times[at:at+50]...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(l)
	for range 2 {
		c, err := l.Copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fill(c)
		if err := c.Switch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	left, err := l.leftovers(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("%v are left (%v)", left, err)
	}
	first := occurring(0, times[0]).Entries[0]
	found, err := l.Search(t.Context(), string(first.Order))
	if err != nil || len(found.Matches) != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
	entries := 0
	for page, err := range ledger.Pages(t.Context(), l, first.Customer, ledger.Filter{}, 7) {
		if err != nil {
			t.Fatal(err)
		}
		entries += len(page.Entries)
	}
	account, _, err := l.Account(t.Context(), first.Customer)
	if err != nil || int64(entries) != account.Entries {
		t.Errorf("the trail has %d entries, the account %d (%v)", entries, account.Entries, err)
	}
}
