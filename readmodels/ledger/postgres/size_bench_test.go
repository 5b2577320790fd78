package postgres

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// The variables of BenchmarkApplyAtSize: how many accounts and entries the ledger holds, for those who have the twenty minutes and
// 20 GB that the mission's size takes: 10000000 and 30000000.
const (
	sizeAccountsVariable = "LOYALTY_BENCH_SIZE_ACCOUNTS"
	sizeEntriesVariable  = "LOYALTY_BENCH_SIZE_ENTRIES"
	smallAccounts        = 300_000
	smallEntries         = 1_000_000
	// applied is how many entries are in a batch.
	applied = 1000
)

// Entries of one month, as the projection would have added them: customers in no order, event ids and orders of random bytes, 0.3 seconds apart.
const fillEntries = `INSERT INTO <table> (occurred_at, commit_position, prepare_position, revision, amount_minor, points, total, event_id,
		customer, kind, stream, order_id, return_id, currency, channel, actor, reason, loyalty_id, correlation)
	SELECT $1::timestamptz + n * interval '<apart> microseconds', n, n, 1, 5000, 5, 50, md5('event' || n)::uuid,
		'c_' || lpad((abs(hashint8extended(n, 7)) % <accounts>)::text, 8, '0'), 'award', 'order-web-' || substr(md5('order' || n), 1, 13),
		'web-' || substr(md5('order' || n), 1, 13), '', 'GBP', 'website', '', '', '', md5('request' || n)
	FROM generate_series(1::bigint, <entries>::bigint) n`

const fillAccounts = `INSERT INTO ledger.accounts (customer, points, reached_at, entries, drawer, commit_position, prepare_position)
	SELECT 'c_' || lpad(n::text, 8, '0'), 50, now(), 10, 1 + n % 4096, 1, 1 FROM generate_series(0, <accounts> - 1) n`

func sizeFromEnvironment(b *testing.B, variable string, otherwise int) int {
	b.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		b.Fatalf("%s is %q: want a number from 1000 on", variable, text)
	}
	return n
}

// sized is a ledger of the size of the mission, or of a part, whose entries are all of this month. The server makes it itself, without indexes, which
// are built afterwards.
func sized(b *testing.B, s *postgrestest.Server) (l *Ledger, accounts, entries int) {
	b.Helper()
	accounts, entries = sizeFromEnvironment(b, sizeAccountsVariable, smallAccounts), sizeFromEnvironment(b, sizeEntriesVariable, smallEntries)
	began := time.Now()
	l, err := migrated(b.Context(), s.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	m := monthOf(sizeMonth)
	table := "ledger." + m.partition()
	text := strings.NewReplacer("<table>", table, "<accounts>", strconv.Itoa(accounts), "<entries>", strconv.Itoa(entries),
		"<apart>", strconv.FormatInt((20*24*time.Hour).Microseconds()/int64(entries), 10))
	run := func(statement string, arguments ...any) {
		if _, err := l.pool.Exec(b.Context(), text.Replace(statement), arguments...); err != nil {
			b.Fatalf("%.60s: %v", statement, err)
		}
	}
	run(`CREATE TABLE <table> (LIKE ledger.entries)`)
	run(fillEntries, m.start())
	run(`ALTER TABLE <table> ADD UNIQUE (event_id)`)
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

var sizeMonth = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// entriesAtSize is a batch of the entries after a position: of random customers, as buyers are, with ids of random bytes.
func entriesAtSize(random *rand.Rand, first uint64, accounts int) []ledger.Entry {
	entries := make([]ledger.Entry, applied)
	for i := range entries {
		at := first + uint64(i)
		id := uuid.NewSHA1(uuid.NameSpaceURL, binary.BigEndian.AppendUint64(nil, at)).String()
		order := domain.OrderID("web-" + id[:13])
		entries[i] = ledger.Entry{
			EventID: id, Customer: domain.CustomerID(fmt.Sprintf("c_%08d", random.IntN(accounts))), Kind: ledger.Award, Points: 5,
			OccurredAt: sizeMonth.Add(20*24*time.Hour + time.Duration(at)*time.Microsecond), Position: position(at),
			Stream: "order-" + string(order), Revision: 1, Order: order, Amount: domain.Money{Minor: 5000, Currency: domain.GBP}, Channel: domain.Website,
			Correlation: id,
		}
	}
	return entries
}

// BenchmarkApplyAtSize feeds batches of random customers to a ledger that is as large as the mission's, or a part of it: with all of it in memory, as far as the machine has
// that; and held to little, by direct I/O, which leaves the database nothing but its own buffers. That takes PostgreSQL 16 or later, which is fetched.
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
			random, at := rand.New(rand.NewPCG(1, 7)), uint64(held)
			var times []time.Duration
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				batch := ledger.Batch{From: domain.CheckpointAt(position(at)), To: domain.CheckpointAt(position(at + applied)), Entries: entriesAtSize(random, at+1, accounts)}
				at += applied
				b.StartTimer()
				start := time.Now()
				if err := l.Apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
			}
			median(b, times, applied, "entries/s(median)")
			b.ReportMetric(float64(len(times)*applied)/b.Elapsed().Seconds(), "entries/s(mean)")
		})
	}
}
