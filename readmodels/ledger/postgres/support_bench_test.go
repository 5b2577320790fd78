package postgres

import (
	"crypto/md5"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// entriesVariable says how many entries BenchmarkSupport is measured with, for those who can't wait for the ten million that its
// bars are set for, or have no 8 GB to spare.
const (
	entriesVariable = "LOYALTY_BENCH_ENTRIES"
	entriesHeld     = 10_000_000
	heavyEntries    = 100_000
	monthsHeld      = 18
)

// heavy is a customer with heavyEntries entries, spread evenly over the log. All others have ten each.
const heavy = domain.CustomerID("c_heavy")

// loadMonth fills one month's table with the entries $1 to $2 of the log, which started at time $3 and are $4 seconds apart. Of
// twenty stretches one holds reversals, and of two hundred one adjustments; each begins with an entry of heavy's. Ids come in no order. Totals play no part here.
const loadMonth = `INSERT INTO <table> (occurred_at, commit_position, prepare_position, revision, amount_minor, points, total, event_id,
		customer, kind, stream, order_id, return_id, currency, channel, actor, reason, loyalty_id, correlation)
	SELECT $3::timestamptz + n * $4::float8 * interval '1 second', n, n, 1, 1000, 1, 1, md5('event' || n)::uuid,
		CASE WHEN n % <every> = 0 THEN 'c_heavy' ELSE 'c_' || substr(md5('customer' || hashint8(n) % <customers>), 1, 12) END,
		CASE WHEN n / <every> % 20 = 10 THEN 'reversal' WHEN n / <every> % 200 = 11 THEN 'adjustment' ELSE 'award' END,
		'order-web-' || substr(md5('order' || n), 1, 13),
		CASE WHEN n / <every> % 200 = 11 THEN '' ELSE 'web-' || substr(md5('order' || n), 1, 13) END,
		CASE WHEN n / <every> % 20 = 10 THEN 'r-' || n % <every> ELSE '' END, 'GBP',
		CASE n / <every> % 3 WHEN 0 THEN 'website' WHEN 1 THEN 'mobile' ELSE 'store' END, '', '',
		CASE WHEN n / <every> % 200 = 11 THEN 'gift-' || n ELSE '' END, md5('request' || n)
	FROM generate_series($1::bigint, $2::bigint) n`

// loadAuditRecords adds an audit record of 400 agents for every twenty entries: most reveal a name, and of the requests 1 in 500 waits.
const loadAuditRecords = `INSERT INTO ledger.acts (occurred_at, commit_position, prepare_position, points, waiting, event_id, kind, customer, actor,
		loyalty_id, reason, correlation)
	SELECT now() + n * interval '1 second', 20 * n, 20 * n - 1, 700, n % 10000 = 3, md5('act' || n)::uuid,
		CASE WHEN n % 100 < 5 THEN 'requested' WHEN n % 100 < 9 THEN 'approved' WHEN n % 100 = 9 THEN 'declined'
			WHEN n % 10000 = 50 THEN 'forgotten' WHEN n % 10000 = 51 THEN 'certified' ELSE 'revealed' END,
		CASE WHEN n % 1000 = 77 THEN 'c_heavy' ELSE 'c_' || substr(md5('customer' || hashint8(n) % <customers>), 1, 12) END,
		'agent-' || abs(hashint8(n)) % 400, CASE WHEN n % 100 < 10 THEN 'gift-' || n ELSE '' END, 'they called about it', md5('call' || n)
	FROM generate_series(1::bigint, <acts>) n`

// supported is a ledger as support meets it: filled by the server itself, each month's table before it becomes a partition.
func supported(b *testing.B) (*Ledger, int) {
	b.Helper()
	entries := fromEnvironment(b, entriesVariable, heavyEntries, entriesHeld)
	began := time.Now()
	l, err := migrated(b.Context(), postgrestest.Start(b, "shared_buffers=512MB", "maintenance_work_mem=256MB", "max_wal_size=8GB").URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	first := monthOf(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	apart := (first + monthsHeld).start().Sub(first.start()).Seconds() / float64(entries+1)
	place := func(m month) int64 { return int64(m.start().Sub(first.start()).Seconds() / apart) }
	text := strings.NewReplacer("<every>", strconv.Itoa(entries/heavyEntries), "<customers>", strconv.Itoa(entries/10), "<acts>", strconv.Itoa(entries/20))
	for m := first; m < first+monthsHeld; m++ {
		table := "ledger." + m.formerPartition()
		run := func(statement string, arguments ...any) {
			if _, err := l.pool.Exec(b.Context(), statement, arguments...); err != nil {
				b.Fatalf("%s: %v", table, err)
			}
		}
		run(`CREATE TABLE ` + table + ` (LIKE ledger.entries)`)
		run(strings.Replace(text.Replace(loadMonth), "<table>", table, 1), place(m)+1, min(place(m+1), int64(entries)), first.start(), apart)
		run(fmt.Sprintf(`ALTER TABLE ledger.entries ATTACH PARTITION %s FOR VALUES FROM (to_timestamp(%d)) TO (to_timestamp(%d))`,
			table, m.start().Unix(), (m + 1).start().Unix()))
		if err := l.makePartitions(b.Context(), []partition{m.partition()}); err != nil {
			b.Fatal(err)
		}
		run(`INSERT INTO ledger.sums (customer, month, points, entries, reached_at, changed_commit, changed_prepare, first_commit, last_commit, days, others)
			SELECT customer, ` + strconv.Itoa(int(m)) + `, sum(points), count(*), max(occurred_at), max(commit_position), max(commit_position), min(commit_position), max(commit_position),
				bit_or(day), coalesce(bit_or(day) FILTER (WHERE kind <> 'award'), 0)
			FROM (SELECT *, 1 << (extract(day FROM occurred_at AT TIME ZONE 'UTC')::integer - 1) AS day FROM ` + table + `) e GROUP BY customer`)
	}
	for _, statement := range []string{
		text.Replace(loadAuditRecords),
		`INSERT INTO ledger.accounts (customer, points, reached_at, entries, drawer, commit_position, prepare_position, month)
			SELECT customer, sum(points), max(occurred_at), count(*), 1 + abs(hashtext(customer)) % 4096, max(commit_position), max(commit_position), 0
			FROM ledger.entries GROUP BY customer`,
		`UPDATE ledger.state SET (commit_position, prepare_position, entries, outstanding) =
			(SELECT max(commit_position), max(commit_position), count(*), sum(points) FROM ledger.entries)`,
		`VACUUM ANALYZE`,
	} {
		if _, err := l.pool.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%d entries in %d months were loaded in %s", entries, monthsHeld, time.Since(began).Round(time.Second))
	return l, entries
}

// measured times single calls, each of what prepare makes beforehand, and reports the median in milliseconds.
func measured(b *testing.B, name string, prepare func() func() error) {
	b.Run(name, func(b *testing.B) {
		var times []time.Duration
		for b.Loop() {
			call := prepare()
			start := time.Now()
			err := call()
			times = append(times, time.Since(start))
			if err != nil {
				b.Fatal(err)
			}
		}
		slices.Sort(times)
		b.ReportMetric(times[len(times)/2].Seconds()*1000, "ms(p50)")
	})
}

// BenchmarkSupport measures what support waits for: pages of 50 of a customer with 100,000 entries, the newest and from the middle
// of the trail on, with every filter; an entry that is to be explained; searches for ids that are there and one that is not; and
// pages of 50 audit records. The bars are 20 ms for a page and 50 ms for a search, in the median.
func BenchmarkSupport(b *testing.B) {
	l, entries := supported(b)
	choose := rand.New(rand.NewPCG(1, 1))
	every := entries / heavyEntries
	// placed is an entry that is an award or an adjustment, as loadMonth has them; the first of each such is heavy's.
	placed := func(kind int) int { return every * (200*choose.IntN(heavyEntries/200) + kind) }
	const award, adjustment = 5, 11
	when := func(at int) time.Time {
		var occurred time.Time
		if err := l.pool.QueryRow(b.Context(), `SELECT occurred_at FROM ledger.entries WHERE customer = $1 AND commit_position = $2`, heavy, at).Scan(&occurred); err != nil {
			b.Fatal(err)
		}
		return occurred
	}
	orderOf := func(at int) (order string) {
		err := l.pool.QueryRow(b.Context(), `SELECT order_id FROM ledger.entries WHERE event_id = md5('event' || $1::bigint)::uuid`, at).Scan(&order)
		if err != nil {
			b.Fatal(err)
		}
		return order
	}
	middle := when(entries / 2)
	for _, c := range []struct {
		name   string
		filter func() ledger.Filter
		deep   bool
		most   int
	}{
		{"newest", func() ledger.Filter { return ledger.Filter{} }, false, 50},
		{"deep", func() ledger.Filter { return ledger.Filter{} }, true, 50},
		{"reversals", func() ledger.Filter { return ledger.Filter{Kinds: []ledger.Kind{ledger.Reversal}} }, true, 50},
		{"adjustments", func() ledger.Filter { return ledger.Filter{Kinds: []ledger.Kind{ledger.Adjustment}} }, true, 50},
		{"channel", func() ledger.Filter { return ledger.Filter{Channel: domain.Store} }, true, 50},
		{"dates", func() ledger.Filter { return ledger.Filter{From: middle, Until: middle.AddDate(0, 1, 0)} }, false, 50},
		{"order", func() ledger.Filter { return ledger.Filter{Order: domain.OrderID(orderOf(placed(award)))} }, false, 1},
		{"since", func() ledger.Filter { return ledger.Filter{After: position(uint64(entries - entries/1000))} }, false, 50},
	} {
		measured(b, "TrailPage/"+c.name, func() func() error {
			filter, cursor := c.filter(), ""
			if c.deep {
				cursor = ledger.EncodeCursor(heavy, filter, position(uint64(entries/4+placed(award)/2)))
			}
			return func() error {
				page, err := l.Trail(b.Context(), heavy, filter, cursor, 50)
				return expected(len(page.Entries) > 0 && len(page.Entries) <= c.most, err)
			}
		})
	}
	measured(b, "Entry", func() func() error {
		id := uuid.UUID(md5.Sum(fmt.Append(nil, "event", placed(award)))).String()
		return func() error { _, err := l.Entry(b.Context(), heavy, id); return err }
	})
	for _, c := range []struct {
		name string
		id   func() string
		want int
	}{
		{"order", func() string { return orderOf(placed(award) + choose.IntN(every)) }, 1},
		{"customer", func() string { return string(heavy) }, 1},
		{"return", func() string { return fmt.Sprint("r-", choose.IntN(every)) }, ledger.MaxMatches},
		{"loyalty", func() string { return fmt.Sprint("gift-", placed(adjustment)+choose.IntN(every)) }, 1},
		{"nothing", func() string { return fmt.Sprint("nothing-", choose.Int()) }, 0},
	} {
		measured(b, "Search/"+c.name, func() func() error {
			id := c.id()
			return func() error {
				found, err := l.Search(b.Context(), id)
				return expected(len(found.Matches) == c.want, err)
			}
		})
	}
	proxies, err := domain.NewProxies([]byte("a secret of this benchmark"))
	if err != nil {
		b.Fatal(err)
	}
	measured(b, "Search/name", func() func() error {
		name := proxies.Key(customerNumber(choose.IntN(1000))).Name()
		return func() error { _, err := ledger.Named(b.Context(), l, proxies, name); return err }
	})
	for _, c := range []struct {
		name   string
		filter func() ledger.AuditFilter
		deep   bool
	}{
		{"newest", func() ledger.AuditFilter { return ledger.AuditFilter{} }, false},
		{"deep", func() ledger.AuditFilter { return ledger.AuditFilter{} }, true},
		{"waiting", func() ledger.AuditFilter { return ledger.AuditFilter{Waiting: true} }, false},
		{"kind", func() ledger.AuditFilter { return ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Forgotten}} }, false},
		{"kinds", func() ledger.AuditFilter {
			return ledger.AuditFilter{Kinds: []ledger.AuditKind{ledger.Approved, ledger.Declined}}
		}, true},
		{"customer", func() ledger.AuditFilter { return ledger.AuditFilter{Customer: heavy} }, false},
		{"actor", func() ledger.AuditFilter { return ledger.AuditFilter{Actor: fmt.Sprint("agent-", choose.IntN(400))} }, true},
	} {
		measured(b, "AuditLog/"+c.name, func() func() error {
			filter, cursor := c.filter(), ""
			if c.deep {
				cursor = ledger.EncodeAuditCursor(filter, position(uint64(entries/4+choose.IntN(entries/2))))
			}
			return func() error {
				page, err := l.AuditLog(b.Context(), filter, cursor, 50)
				return expected(len(page.Records) > 0 && len(page.Records) <= 50, err)
			}
		})
	}
}

func expected(right bool, err error) error {
	if err == nil && !right {
		err = errors.New("that is not what was to be found")
	}
	return err
}
