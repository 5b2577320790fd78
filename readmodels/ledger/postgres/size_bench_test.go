package postgres

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// The variables of BenchmarkApplyAtSize: how many accounts and entries the ledger holds. The mission's size is 10000000 and 30000000.
const (
	sizeAccountsVariable = "LOYALTY_BENCH_SIZE_ACCOUNTS"
	sizeEntriesVariable  = "LOYALTY_BENCH_SIZE_ENTRIES"
	smallAccounts        = 300_000
	smallEntries         = 1_000_000
)

// sizedCustomer is customerNumber of n, for the server.
const sizedCustomer = `'c_' || lpad(n::text, 8, '0') || '-' || lpad(to_hex(n * 7919 % 16777215), 6, '0')`

// The entries of the ledger are 10 million a day, evenly, up to noon of the day whose index is written to.
const (
	perDay = 10_000_000
	apart  = 24 * time.Hour / perDay
)

var lastNoon = time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)

// fillEntries adds the entries that occurred from $1 until $2, like those of entriesFrom: of customers in no order, with random event ids and orders.
const fillEntries = `INSERT INTO <table> (occurred_at, commit_position, prepare_position, revision, amount_minor, points, total, event_id,
		customer, kind, stream, order_id, return_id, currency, channel, actor, reason, loyalty_id, correlation)
	SELECT $1::timestamptz + (position - $2::bigint) * interval '8.64 milliseconds', position, position, 1, 5000, 5, 50, md5('event' || position)::uuid,
		<customer>, 'award', 'order-web-' || substr(md5('order' || position), 1, 13), 'web-' || substr(md5('order' || position), 1, 13),
		'', 'GBP', 'website', '', '', '', ''
	FROM (SELECT position, abs(hashint8extended(position, 7)) % <accounts> AS n FROM generate_series($2::bigint, $3::bigint) position) e`

const fillAccounts = `INSERT INTO ledger.accounts (customer, points, reached_at, entries, drawer, commit_position, prepare_position, month, month_points, month_entries,
		month_reached_at, month_changed_commit, month_changed_prepare, month_first_commit, month_days)
	SELECT <customer>, 50, '2026-02-19Z', 10, 1 + n % 4096, 1, 1, <month>, 15, 3, '2026-02-19Z', 1, 1, 1, 7 << 17 FROM generate_series(0::bigint, <accounts> - 1) n`

// sized is a ledger of the size of the mission, or of a part. The server makes it itself, each day without indexes, which are built afterwards.
func sized(b *testing.B, s *postgrestest.Server) (l *Ledger, accounts, entries int) {
	b.Helper()
	accounts, entries = fromEnvironment(b, sizeAccountsVariable, 1000, smallAccounts), fromEnvironment(b, sizeEntriesVariable, 1000, smallEntries)
	began := time.Now()
	l, err := migrated(b.Context(), s.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	text := strings.NewReplacer("<customer>", sizedCustomer, "<accounts>", strconv.Itoa(accounts), "<entries>", strconv.Itoa(entries), "<month>", strconv.Itoa(int(monthOf(lastNoon))))
	run := func(statement string, arguments ...any) {
		if _, err := l.pool.Exec(b.Context(), text.Replace(statement), arguments...); err != nil {
			b.Fatalf("%.60s: %v", statement, err)
		}
	}
	for from := 1; from <= entries; {
		occurred := lastNoon.Add(-time.Duration(entries-from) * apart)
		p := dayOf(occurred).partition()
		to := min(entries, from+int((dayOf(occurred)+1).start().Add(-1).Sub(occurred)/apart))
		run(`CREATE TABLE ledger.` + p.name + ` (LIKE ledger.entries INCLUDING DEFAULTS)`)
		run(strings.ReplaceAll(fillEntries, "<table>", "ledger."+p.name), occurred, from, to)
		run(`ALTER TABLE ledger.entries ATTACH PARTITION ledger.` + p.name + ` FOR VALUES FROM (` + p.from + `) TO (` + p.until + `)`)
		from = to + 1
	}
	run(fillAccounts)
	run(`UPDATE ledger.state SET commit_position = <entries>, prepare_position = <entries>, entries = <entries>, outstanding = 50::bigint * <accounts>`)
	run(`VACUUM ANALYZE`)
	run(`CHECKPOINT`)
	var size string
	if err := l.pool.QueryRow(b.Context(), `SELECT pg_size_pretty(pg_database_size(current_database()))`).Scan(&size); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d accounts and %d entries, %s, were made in %s", accounts, entries, size, time.Since(began).Round(time.Second))
	return l, accounts, entries
}

// BenchmarkApplyAtSize feeds batches of random customers to a ledger that is as large as the mission's, or a part of it: with all of it in memory, as far as
// the machine has that; and held to little, by direct I/O, which leaves the database nothing but its own buffers. That takes PostgreSQL 16 or later, which is
// fetched.
func BenchmarkApplyAtSize(b *testing.B) {
	production := []string{"fsync=on", "full_page_writes=on", "max_wal_size=8GB", "maintenance_work_mem=512MB"}
	// On the first of a month each account's sums of the last one move to their table, too.
	for _, memory := range []struct {
		name     string
		settings []string
	}{
		{"in-memory", []string{"shared_buffers=4GB"}},
		{"held-to-2GB", []string{"shared_buffers=2GB", "debug_io_direct=data"}},
	} {
		b.Run(memory.name, func(b *testing.B) {
			l, accounts, held := sized(b, postgrestest.StartNewest(b, append(production, memory.settings...)...))
			at := uint64(held)
			for _, days := range []struct {
				name  string
				first time.Time
			}{{"afternoon", lastNoon}, {"first-of-a-month", lastNoon.AddDate(0, 0, 9)}} {
				b.Run(days.name, func(b *testing.B) {
					first := at
					at = applyBatches(b, l, at, accounts, func(n uint64) time.Time { return days.first.Add(time.Duration(n-first) * apart) })
				})
			}
		})
	}
}
