package postgres

import (
	"fmt"
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

// fillEntries adds entries like those of entriesFrom: of customers in no order, with random event ids and orders.
const fillEntries = `INSERT INTO <table> (occurred_at, commit_position, prepare_position, revision, amount_minor, points, total, event_id,
		customer, kind, stream, order_id, return_id, currency, channel, actor, reason, loyalty_id, correlation)
	SELECT $1::timestamptz + position * interval '1 microsecond', position, position, 1, 5000, 5, 50, md5('event' || position)::uuid,
		<customer>, 'award', 'order-web-' || substr(md5('order' || position), 1, 13), 'web-' || substr(md5('order' || position), 1, 13),
		'', 'GBP', 'website', '', '', '', ''
	FROM (SELECT position, abs(hashint8extended(position, 7)) % <accounts> AS n FROM generate_series(1::bigint, <entries>::bigint) position) e`

const fillAccounts = `INSERT INTO ledger.accounts (customer, points, reached_at, entries, drawer, commit_position, prepare_position)
	SELECT <customer>, 50, now(), 10, 1 + n % 4096, 1, 1 FROM generate_series(0::bigint, <accounts> - 1) n`

// sized is a ledger of the size of the mission, or of a part, whose entries are all of one month. The server makes it itself, without indexes, which
// are built afterwards.
func sized(b *testing.B, s *postgrestest.Server) (l *Ledger, accounts, entries int) {
	b.Helper()
	accounts, entries = fromEnvironment(b, sizeAccountsVariable, 1000, smallAccounts), fromEnvironment(b, sizeEntriesVariable, 1000, smallEntries)
	began := time.Now()
	l, err := migrated(b.Context(), s.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	m := monthOf(entriesBegin)
	text := strings.NewReplacer("<table>", "ledger."+m.formerPartition(), "<customer>", sizedCustomer, "<accounts>", strconv.Itoa(accounts), "<entries>", strconv.Itoa(entries))
	run := func(statement string, arguments ...any) {
		if _, err := l.pool.Exec(b.Context(), text.Replace(statement), arguments...); err != nil {
			b.Fatalf("%.60s: %v", statement, err)
		}
	}
	run(`CREATE TABLE <table> (LIKE ledger.entries)`)
	run(fillEntries, entriesBegin)
	run(fmt.Sprintf(`ALTER TABLE ledger.entries ATTACH PARTITION <table> FOR VALUES FROM (to_timestamp(%d)) TO (to_timestamp(%d))`, m.start().Unix(), (m + 1).start().Unix()))
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
	production := []string{"fsync=on", "full_page_writes=on", "max_wal_size=8GB", "maintenance_work_mem=512MB", "wal_compression=on"}
	for _, memory := range []struct {
		name     string
		settings []string
	}{
		{"in-memory", []string{"shared_buffers=4GB"}},
		{"held-to-2GB", []string{"shared_buffers=2GB", "debug_io_direct=data"}},
	} {
		b.Run(memory.name, func(b *testing.B) {
			l, accounts, held := sized(b, postgrestest.StartNewest(b, append(production, memory.settings...)...))
			applyBatches(b, l, uint64(held), accounts)
		})
	}
}
