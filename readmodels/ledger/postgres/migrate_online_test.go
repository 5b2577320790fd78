package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
	"loyalty/readmodels/ledger/postgres/schema"
)

// early makes a ledger of version 1 with so many entries of four months.
func early(t *testing.T, l *Ledger, address string, entries int) {
	t.Helper()
	if err := l.tables().Migrate(t.Context(), 1, nil); err != nil {
		t.Fatal(err)
	}
	conn := connected(t, address)
	statements := `SET search_path = ledger;`
	for m := range 4 {
		month := monthOf(day2026) + month(m)
		statements += fmt.Sprintf(`CREATE TABLE %s (LIKE entries, UNIQUE (event_id));
			ALTER TABLE entries ATTACH PARTITION %[1]s FOR VALUES FROM (to_timestamp(%d)) TO (to_timestamp(%d));`, month.formerPartition(), month.start().Unix(), (month + 1).start().Unix())
	}
	statements += fmt.Sprintf(`
		INSERT INTO entries SELECT '2026-01-01Z'::timestamptz + n * interval '100 days' / %d, n, n, n, 100, n %% 7, n, gen_random_uuid(), 'c' || n %% 1000,
			CASE WHEN n %% 11 = 0 THEN 'reversal' WHEN n %% 13 = 0 THEN 'adjustment' ELSE 'award' END, 's', 'o' || n, CASE WHEN n %% 11 = 0 THEN 'r' || n ELSE '' END, 'EUR',
			CASE n %% 3 WHEN 0 THEN '' WHEN 1 THEN 'store' ELSE 'mobile' END, '', '' FROM generate_series(1, %[1]d) n;
		INSERT INTO accounts SELECT max(occurred_at), count(*), sum(points), customer FROM entries GROUP BY customer;
		UPDATE state SET commit_position = %[1]d, prepare_position = %[1]d, as_of = now(), entries = %[1]d, outstanding = (SELECT sum(points) FROM entries)`, entries)
	if _, err := conn.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

var day2026 = month(2026 * 12).start()

func connected(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// writeAsBefore adds an entry as programs of the versions 1 to 3 do. Nothing waits for a lock for longer than a second.
const writeAsBefore = `BEGIN; SET LOCAL lock_timeout = '1s';
	UPDATE ledger.state SET commit_position = commit_position + 1, prepare_position = prepare_position + 1, entries = entries + 1, outstanding = outstanding + 5;
	INSERT INTO ledger.accounts AS a (customer, points, reached_at, entries) VALUES ('anna', 5, now(), 1)
		ON CONFLICT (customer) DO UPDATE SET points = a.points + 5, entries = a.entries + 1;
	INSERT INTO ledger.entries (occurred_at, commit_position, prepare_position, revision, amount_minor, points, total, event_id, customer, kind, stream, order_id,
			return_id, currency, channel, actor, reason)
		SELECT '2026-04-03Z', commit_position, commit_position, 1, 100, 5, 5, gen_random_uuid(), 'anna', 'award', 's', 'o', '', 'EUR', 'store', '', '' FROM ledger.state;
	COMMIT`

const readAsBefore = `BEGIN; SET LOCAL lock_timeout = '1s'; SELECT count(*) FROM ledger.entries WHERE customer = 'c7'; SELECT * FROM ledger.state; COMMIT`

// wrongSums counts hours and channels whose sums are not those of the entries.
const wrongSums = `WITH of_entries AS (SELECT date_trunc('hour', occurred_at, 'UTC') AS at, count(*) FILTER (WHERE kind = 'award') AS awards,
		count(*) FILTER (WHERE kind = 'reversal') AS reversals, count(*) FILTER (WHERE kind = 'adjustment') AS adjustments,
		coalesce(sum(points) FILTER (WHERE kind = 'award'), 0) AS awarded, coalesce(sum(points) FILTER (WHERE kind = 'reversal'), 0) AS reversed,
		coalesce(sum(points) FILTER (WHERE kind = 'adjustment'), 0) AS adjusted, channel FROM ledger.entries GROUP BY at, channel)
	SELECT count(*) FROM ((TABLE of_entries EXCEPT TABLE ledger.earnings) UNION ALL (TABLE ledger.earnings EXCEPT TABLE of_entries)) different`

// Given a ledger of version 1
// When its indexes are built and its sums added up, while programs of that version go on reading and writing
// Then none of them waits for long, and the sums are those of all entries
func TestALedgerIsMigratedWhileItIsReadAndWritten(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	l := unmigrated(t, address)
	early(t, l, address, 100_000)
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	var errs [2]error
	var times [2]int
	for i, statements := range []string{writeAsBefore, readAsBefore} {
		conn := connected(t, address)
		others.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				_, errs[i] = conn.Exec(t.Context(), statements)
				times[i]++
			}
		})
	}
	var pieces int
	err := l.tables().Migrate(t.Context(), 4, func(_ string, _, total uint64) {
		if total > 0 {
			pieces++
		}
	})
	stop()
	others.Wait()
	if err := errors.Join(err, errs[0], errs[1]); err != nil {
		t.Fatal(err)
	}
	if pieces < 4*4+4 || times[0] < pieces || times[1] < pieces {
		t.Errorf("%d pieces, %d writes, %d reads", pieces, times[0], times[1])
	}
	// Somebody of the version before writes once more, between two steps.
	conn := connected(t, address)
	if _, err := conn.Exec(t.Context(), writeAsBefore); err != nil {
		t.Fatal(err)
	}
	if err := l.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var entries, wrong int
	if err := errors.Join(conn.QueryRow(t.Context(), wrongSums).Scan(&wrong), conn.QueryRow(t.Context(), `SELECT entries FROM ledger.state`).Scan(&entries)); err != nil {
		t.Fatal(err)
	}
	if wrong != 0 || entries != 100_000+times[0]+1 {
		t.Errorf("%d sums are wrong; there are %d entries after %d writes", wrong, entries, times[0])
	}
	t.Logf("%d pieces, %d writes, %d reads", pieces, times[0], times[1])
}

// Given a ledger of version 1, behind a pooler
// When its migration is interrupted at every report, and repeated
// Then its schema is that of a new ledger, and its sums are right
func TestAnInterruptedMigrationGoesOnWhereItWas(t *testing.T) {
	fresh := postgrestest.Shared(t).URL()
	newest := opened(t, fresh)
	for m := range 4 {
		formerMonth(t, newest, monthOf(day2026)+month(m))
	}
	want := schemaOf(t, fresh)
	pooler := postgrestest.StartPooler(t, postgrestest.Shared(t))
	through, direct := pooler.URL()
	l := unmigrated(t, through)
	early(t, l, direct, 20_000)
	interrupted := 0
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		reports := 0
		err := l.Migrate(ctx, func(string, uint64, uint64) {
			if reports++; reports == n {
				cancel()
			}
		})
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		interrupted++
	}
	if interrupted < 6 {
		t.Errorf("it was interrupted %d times", interrupted)
	}
	var wrong int
	if err := connected(t, direct).QueryRow(t.Context(), wrongSums).Scan(&wrong); err != nil || wrong != 0 {
		t.Errorf("%d sums are wrong (%v)", wrong, err)
	}
	got := schemaOf(t, direct)
	if !slices.Equal(got, want) {
		for _, one := range got {
			if !slices.Contains(want, one) {
				t.Errorf("there is %s", one)
			}
		}
		for _, one := range want {
			if !slices.Contains(got, one) {
				t.Errorf("there is no %s", one)
			}
		}
		t.Errorf("the schema has %d parts instead of %d", len(got), len(want))
	}
}

// Given a ledger of version 1 with an index that somebody who was interrupted left unfinished, and a limit of time that ends building it again beside
// somebody who writes
// When it is built, and the writer ends
// Then it is complete, and the migration takes it
func TestAnIndexIsBuiltThoughALimitOfTheRoleEndsIt(t *testing.T) {
	address := postgrestest.Shared(t).URL("lock_timeout = '5ms'")
	l := unmigrated(t, address)
	early(t, l, address, 1_000)
	conn := connected(t, address)
	if _, err := conn.Exec(t.Context(), `BEGIN; UPDATE ledger.entries SET kind = kind WHERE commit_position = 1`); err != nil {
		t.Fatal(err)
	}
	// The writer is before the index, so that building it waits for him.
	other := connected(t, address)
	if _, err := other.Exec(t.Context(), `CREATE INDEX CONCURRENTLY entries_2026_01_order ON ledger.entries_2026_01 (order_id COLLATE "C")`); schema.CodeOf(err) != schema.LockNotAvailable {
		t.Fatalf("got %v", err)
	}
	db := stdlib.OpenDB(*l.pool.Config().ConnConfig)
	defer db.Close()
	waited := false
	err := l.tables().BuildIndex(t.Context(), db, "entries_2026_01_order", "entries_2026_01", `(order_id COLLATE "C")`, func(string, uint64, uint64) {
		if !waited {
			_, err := conn.Exec(t.Context(), `ROLLBACK`)
			waited = err == nil
		}
	})
	var valid bool
	err = errors.Join(err, conn.QueryRow(t.Context(), `SELECT indisvalid FROM pg_index WHERE indexrelid = 'ledger.entries_2026_01_order'::regclass`).Scan(&valid))
	if err != nil || !waited || !valid {
		t.Errorf("waited: %v, valid: %v (%v)", waited, valid, err)
	}
	if err := l.Migrate(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// Given a ledger of version 4, which is too large to be written anew while nobody reads
// When another one is folded in a schema beside it
// Then the former stays as it is, and a rebuild in its own place is refused
func TestALedgerIsFoldedBesideOneOfAnEarlierVersion(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	l := unmigrated(t, address)
	early(t, l, address, 100)
	if err := l.tables().Migrate(t.Context(), 4, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Copy(t.Context()); !errors.Is(err, domain.ErrUnavailable) || !containsAll(fmt.Sprint(err), "version 4", "loyalty migrate") {
		t.Errorf("got %v", err)
	}
	separator := "?"
	if strings.Contains(address, separator) {
		separator = "&"
	}
	beside := opened(t, address+separator+"schema=points")
	if err := beside.Apply(t.Context(), ledger.Batch{To: domain.CheckpointAt(position(5)), Entries: entriesFrom(1, 5, 5)}); err != nil {
		t.Fatal(err)
	}
	var version int
	if err := connected(t, address).QueryRow(t.Context(), `SELECT max(version_id) FROM ledger.goose_db_version`).Scan(&version); err != nil || version != 4 {
		t.Errorf("it has version %d (%v)", version, err)
	}
}

// schemaOf describes all tables, columns, constraints, indexes, triggers and functions, without the names of indexes, and the defaults of partitions, which
// nothing uses.
func schemaOf(t *testing.T, address string) []string {
	t.Helper()
	rows, err := connected(t, address).Query(t.Context(), `
		WITH tables AS (SELECT c.oid, relname, relispartition FROM pg_class c WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'p', 'v'))
		SELECT relname || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull || ' ' || CASE WHEN relispartition THEN '' ELSE coalesce(pg_get_expr(adbin, adrelid), '') END
			FROM tables t JOIN pg_attribute a ON attrelid = t.oid LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0 AND NOT attisdropped
		UNION ALL SELECT relname || ' ' || pg_get_constraintdef(c.oid) FROM tables t JOIN pg_constraint c ON conrelid = t.oid
		UNION ALL SELECT relname || ' ' || regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \w+', '') || ' valid:' || indisvalid || ' attached:' ||
			EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid) FROM tables t JOIN pg_index ON indrelid = t.oid
		UNION ALL SELECT relname || ' ' || tgname FROM tables t JOIN pg_trigger ON tgrelid = t.oid
		UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace
		UNION ALL SELECT relname FROM tables ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}
