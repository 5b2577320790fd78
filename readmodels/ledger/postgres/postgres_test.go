package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/ledgertest"
	"loyalty/readmodels/ledger/postgres/postgrestest"
	"loyalty/readmodels/ledger/postgres/schema"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

func place(t *testing.T) func(context.Context) (ledgertest.Ledger, error) {
	return placeAt(postgrestest.Shared(t).URL())
}

func placeAt(address string) func(context.Context) (ledgertest.Ledger, error) {
	return func(ctx context.Context) (ledgertest.Ledger, error) {
		l, err := migrated(ctx, address)
		if err != nil {
			return nil, err
		}
		l.perPiece, l.sampled, l.readers = 2, 100, 1 // the tests have few accounts, and mind in which goroutine they are
		return l, nil
	}
}

// migrated opens a ledger and brings its schema up to date.
func migrated(ctx context.Context, address string) (*Ledger, error) {
	l, err := Open(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	if err := l.Migrate(ctx, nil); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func TestLedger(t *testing.T) { ledgertest.Run(t, place) }

func opened(t *testing.T, address string) *Ledger {
	t.Helper()
	l, err := migrated(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// unmigrated opens what may be no ledger yet.
func unmigrated(t *testing.T, address string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestManyMayMigrateANewDatabaseAtOnce(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	ledgers, errs := make([]*Ledger, 8), make([]error, 8)
	var wait sync.WaitGroup
	for i := range ledgers {
		wait.Go(func() { ledgers[i], errs[i] = migrated(t.Context(), address) })
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("migrating it as number %d: %v", i, err)
			continue
		}
		if err := ledgers[i].Apply(t.Context(), ledger.Batch{From: domain.CheckpointAt(position(uint64(i))), To: domain.CheckpointAt(position(uint64(i + 1)))}); err != nil {
			t.Errorf("number %d: %v", i, err)
		}
		if err := ledgers[i].Close(); err != nil {
			t.Errorf("close number %d: %v", i, err)
		}
	}
}

func TestOpenAsksNothingOfTheServer(t *testing.T) {
	for name, c := range map[string]struct{ address, wrong string }{
		"what is no address":         {address: "postgres://user:geheim@host:port/db", wrong: "invalid port"},
		"a password cut off by a #":  {address: "postgres://user:1234#geheim@127.0.0.1:1/db", wrong: "%23"},
		"a password cut off by a /":  {address: "postgres://user:1234/geheim@127.0.0.1:1/db", wrong: "%2F"},
		"a password cut off by a ?":  {address: "postgres://user:1234?geheim@127.0.0.1:1/db", wrong: "%3F"},
		"a schema that is no name":   {address: "postgres://user:geheim@127.0.0.1:1/db?schema=a.b", wrong: "a schema is of"},
		"a schema of the server's":   {address: "postgres://user:geheim@127.0.0.1:1/db?schema=pg_toast", wrong: "a schema is of"},
		"the schema of a copy":       {address: "postgres://user:geheim@127.0.0.1:1/db?schema=ledger_copy_1", wrong: "a schema is of"},
		"a server that is not there": {address: "postgres://user:geheim@127.0.0.1:1/db"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Open(t.Context(), c.address, nil)
			if err != nil {
				if c.wrong == "" || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "geheim") {
					t.Errorf("got %v", err)
				}
				return
			}
			defer l.Close()
			if c.wrong != "" {
				t.Fatal("it was opened")
			}
			for name, call := range map[string]func() error{
				"Checkpoint": func() error { _, err := l.Checkpoint(t.Context()); return err },
				"Migrate":    func() error { return l.Migrate(t.Context(), nil) },
			} {
				if err := call(); !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), "geheim") {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// Every refusal says what to do, and passes once that is done.
func TestALedgerIsUsedOnceItsSchemaIsOfThisVersion(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	l := unmigrated(t, address)
	refused := func(l *Ledger, words ...string) {
		t.Helper()
		_, _, err := l.Account(t.Context(), "anna")
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("reading gives %v", err)
		}
		if apply := l.Apply(t.Context(), stretch(0)); !errors.Is(apply, domain.ErrUnavailable) {
			t.Errorf("writing gives %v", apply)
		}
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%q is not in %v", word, err)
			}
		}
	}
	// leave has the schema look as the program of another version leaves it.
	leave := func(version int) {
		t.Helper()
		if _, err := l.pool.Exec(t.Context(), `UPDATE ledger.goose_db_version SET version_id = $1
			WHERE version_id = (SELECT max(version_id) FROM ledger.goose_db_version)`, version); err != nil {
			t.Fatal(err)
		}
	}
	works := func(l *Ledger) {
		t.Helper()
		if _, _, err := l.Account(t.Context(), "anna"); err != nil {
			t.Error(err)
		}
	}
	refused(l, "there is no ledger in the schema ledger", "run loyalty migrate")
	if err := unmigrated(t, address).Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	works(l)

	leave(schema.Version() - 1)
	older := unmigrated(t, address)
	refused(older, fmt.Sprintf("has version %d, this program needs %d", schema.Version()-1, schema.Version()), "run loyalty migrate")
	leave(schema.Version() + 1)
	refused(older, fmt.Sprintf("this program is older than the ledger, whose schema has version %d", schema.Version()+1), "start the newer one")
	if err := older.Migrate(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "this program is older than the ledger") {
		t.Errorf("migrating gives %v", err)
	}
	// A process that was there before goes on, also on new connections, until it is replaced.
	l.pool.Reset()
	works(l)
	leave(schema.Version())
	works(older)
}

func TestAnAddressMaySetWhatTheDefaultsDoNot(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	for query, want := range map[string]int32{"": connections, "&pool_max_conns=3": 3} {
		if got := opened(t, address+query).pool.Config().MaxConns; got != want {
			t.Errorf("%q gives %d connections, want %d", query, got, want)
		}
	}
}

func TestWhoMayOnlyReadMayOpenALedgerThatIsThere(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	if err := opened(t, address).Apply(t.Context(), stretch(0)); err != nil {
		t.Fatal(err)
	}
	l := opened(t, address+"&default_transaction_read_only=on")
	if page, err := l.Trail(t.Context(), customerNumber(1), ledger.Filter{}, "", 1); err != nil || len(page.Entries) != 1 {
		t.Errorf("it reads %+v, %v", page, err)
	}
	// A server that was the primary and is a standby now says the same.
	if err := l.Apply(t.Context(), stretch(1)); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("it writes: %v", err)
	}
}

func TestAContextThatEndsIsTheErrorThatComesBack(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	l := opened(t, address)
	if err := l.Apply(t.Context(), stretch(0)); err != nil {
		t.Fatal(err)
	}
	// Given somebody who holds what a batch needs
	tx, err := l.pool.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `SELECT * FROM ledger.state FOR UPDATE`)
	}
	if err != nil {
		t.Fatal(err)
	}
	// When the context of a batch that waits for it ends
	ctx, cancel := context.WithCancel(t.Context())
	applied := make(chan error, 1)
	go func() { applied <- l.Apply(ctx, stretch(1)) }()
	waitUntil(t, func() bool {
		var waiting bool
		err := l.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting)
		return err == nil && waiting
	})
	cancel()
	if err := <-applied; !errors.Is(err, context.Canceled) || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	// Then nothing of it is in, and it goes in as soon as it can
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := follow(t.Context(), l, 1); err != nil {
		t.Fatal(err)
	}
	sound(t, l, 2)
}

func containsAll(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}

func waitUntil(t *testing.T, holds func() bool) {
	t.Helper()
	for start := time.Now(); !holds(); {
		if time.Since(start) > 30*time.Second {
			t.Fatal("it does not come to that")
		}
	}
}

func TestErrorsThatMayPassAreUnavailable(t *testing.T) {
	refused := func(code string) error { return fmt.Errorf("apply: %w", &pgconn.PgError{Code: code}) }
	for name, c := range map[string]struct {
		err         error
		unavailable bool
	}{
		"an end of the connection":      {io.ErrUnexpectedEOF, true},
		"a server that shuts down":      {refused("57P01"), true},
		"a server that starts":          {refused("57P03"), true},
		"too many connections":          {refused("53300"), true},
		"a full disk":                   {refused("53100"), true},
		"a deadlock":                    {refused("40P01"), true},
		"a lock that is not to be had":  {refused("55P03"), true},
		"a statement's own time limit":  {refused("57014"), true},
		"a server that only reads":      {refused("25006"), true},
		"a password that is wrong":      {refused("28P01"), true},
		"a role that is not there":      {refused("28000"), true},
		"a database that is not there":  {refused("3D000"), true},
		"a right that is missing":       {refused("42501"), true},
		"a table that is missing":       {refused("42P01"), true},
		"a column that is missing":      {refused("42703"), true},
		"an error of the server's own":  {refused("XX000"), true},
		"a page that is broken":         {refused("XX001"), true},
		"a pooler's own error":          {refused("08P01"), true},
		"a limit of a transaction":      {refused("25P04"), true},
		"an idle transaction's limit":   {refused("25P03"), true},
		"what nobody knows":             {refused("ZZ999"), true},
		"a code that Postgres has not":  {refused(""), true},
		"a key that is there":           {refused("23505"), false},
		"a number that does not fit":    {refused("22003"), false},
		"a text that can't be stored":   {refused("22021"), false},
		"a row that is too large":       {refused("54000"), false},
		"a statement that is none":      {refused("42601"), false},
		"a batch that is not for it":    {domain.ErrCheckpointMoved, false},
		"a copy that is behind":         {domain.ErrNotCaughtUp, false},
		"a cursor that is none":         {ledger.ErrCursor, false},
		"a wait of this package's own":  {context.DeadlineExceeded, true},
		"what was marked as it already": {domain.ErrUnavailable, true},
	} {
		got := classify(t.Context(), c.err)
		if errors.Is(got, domain.ErrUnavailable) != c.unavailable || !errors.Is(got, c.err) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if err := classify(t.Context(), nil); err != nil {
		t.Errorf("no error: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := classify(ended, io.ErrUnexpectedEOF); !errors.Is(err, context.Canceled) || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("after the context's end: %v", err)
	}
}

func TestReadsUseTheirKeys(t *testing.T) {
	l := opened(t, postgrestest.Shared(t).URL())
	if err := l.Apply(t.Context(), occurring(0, date(2026, 1, 1), date(2026, 2, 1), date(2026, 5, 1))); err != nil {
		t.Fatal(err)
	}
	// Such small tables are read whole, unless that is forbidden. A plan for any arguments is what a server settles on.
	tx, err := l.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	for _, setting := range []string{"enable_seqscan = off", "enable_bitmapscan = off", "plan_cache_mode = force_generic_plan"} {
		if _, err := tx.Exec(t.Context(), "SET LOCAL "+setting); err != nil {
			t.Fatal(err)
		}
	}
	days := []span{{date(2026, 1, 1), date(2026, 1, 2)}, {date(2026, 5, 1), date(2026, 5, 2)}}
	const ofDays = ", '2026-01-01Z', '2026-01-02Z', '2026-05-01Z', '2026-05-02Z'"
	statement := func(f ledger.Filter) string {
		text, _ := (&trail{customer: "anna", Filter: f}).statement(days)
		return text
	}
	for _, c := range []struct {
		query, arguments string
		wants            []string
	}{
		{selectAccount, "('anna')", []string{"Index Scan using accounts_pkey on accounts"}},
		{selectMonths, "('anna', 24312, 24316)", []string{"Index Scan using accounts_pkey on accounts", "sums_2026_01_pkey", "sums_2026_05_pkey"}},
		{statement(ledger.Filter{}), "('anna', 1, 1, 20" + ofDays + ")", []string{"Merge Append",
			"Index Scan Backward using entries_2026_01_01_pkey", "Index Scan Backward using entries_2026_05_01_pkey"}},
		{statement(ledger.Filter{Order: "web-1"}), "('anna', 1, 1, 20" + ofDays + ", '{web-1,store.web-1}')", []string{
			"Index Scan using entries_2026_01_01_order_id_idx", "Index Scan using entries_2026_05_01_order_id_idx"}},
		{statement(ledger.Filter{Kinds: []ledger.Kind{ledger.Reversal}}), "('anna', 1, 1, 20" + ofDays + ", '{reversal}')", []string{
			"Merge Append", "Index Scan Backward using entries_2026_05_01_customer_commit_position"}},
		{selectCustomer, "('web-1')", []string{"using accounts_pkey on accounts"}},
		{strings.ReplaceAll(selectFound, "<within>", within), "('{web-1,store.web-1}', 21, '2026-01-01Z', '2026-01-01Z', '2026-06-01Z')", []string{"Index Scan using entries_2026_01_01_order_id_idx",
			"Index Scan using entries_2026_01_01_return_id_idx", "Index Scan using entries_2026_05_01_loyalty_id_idx"}},
		{selectBucket, "(7)", []string{"Index Scan using accounts_drawer on accounts"}},
	} {
		if _, err := tx.Exec(t.Context(), "PREPARE read AS "+c.query); err != nil {
			t.Fatal(err)
		}
		found, err := tx.Query(t.Context(), "EXPLAIN EXECUTE read"+c.arguments)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		for _, want := range c.wants {
			if !strings.Contains(text, want) || strings.Contains(text, "Materialize") {
				t.Errorf("%s\nis planned as\n%s\nwant %s", c.query, text, want)
			}
		}
		if _, err := tx.Exec(t.Context(), "DEALLOCATE read"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManyWaitingReadersAreOneQuestion(t *testing.T) {
	l := opened(t, postgrestest.Shared(t).URL())
	writer := opened(t, l.pool.Config().ConnString())
	const readers = 300
	var wait sync.WaitGroup
	errs := make(chan error, readers)
	start := time.Now()
	for range readers {
		wait.Go(func() { errs <- l.Wait(t.Context(), position(10)) })
	}
	waitUntil(t, func() bool { return time.Since(start) > 10*pollInterval })
	if err := writer.Apply(t.Context(), stretch(0)); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	asked, most := l.pool.Stat().AcquireCount(), 2+int64(time.Since(start)/pollInterval)
	if asked > most {
		t.Errorf("%d readers have asked %d times, more than %d", readers, asked, most)
	}
}
