package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger/ledgertest"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// oddSettings are what a DBA may have set for a database, or for a role, that would change answers or end work if it were left to hold.
var oddSettings = []string{
	"client_encoding = LATIN1", "DateStyle = 'German, DMY'", "IntervalStyle = sql_standard", "TimeZone = 'Asia/Kathmandu'", "array_nulls = off",
	"transform_null_equals = on", "standard_conforming_strings = off", "search_path = nowhere", "default_transaction_isolation = serializable",
	"statement_timeout = '1s'", "lock_timeout = '10ms'", "idle_in_transaction_session_timeout = '100ms'",
}

// On the newest PostgreSQL, behind a pooler, and whatever a DBA has set, a ledger is a ledger.
func TestLedgerOnTheNewestPostgresBehindAPoolerAndWithOddSettings(t *testing.T) {
	pooler := postgrestest.StartPooler(t, postgrestest.StartNewest(t))
	ledgertest.Short(t, func(t *testing.T) func(context.Context) (ledgertest.Ledger, error) {
		address, _ := pooler.URL(oddSettings...)
		return func(ctx context.Context) (ledgertest.Ledger, error) { return migrated(ctx, address+"&schema=points") }
	})
}

// Given new databases behind a pooler that has few connections
// When three processes at a time migrate each of them
// Then all succeed, the tables are in the ledger's schema alone, and no lock is left
func TestProcessesBehindAPoolerTakeTurnsToMigrate(t *testing.T) {
	pooler := postgrestest.StartPooler(t, postgrestest.Shared(t), "default_pool_size=3")
	var all sync.WaitGroup
	errs := make(chan error, 18)
	var past []string
	for range 6 {
		through, direct := pooler.URL()
		past = append(past, direct)
		for range 3 {
			all.Go(func() {
				l, err := migrated(t.Context(), through)
				if err == nil {
					_, err = l.Checkpoint(t.Context())
					err = errors.Join(err, l.Close())
				}
				errs <- err
			})
		}
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	for _, address := range past {
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		var inLedger, elsewhere, locks int
		err = conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = 'ledger'),
			(SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('ledger', 'pg_catalog', 'information_schema')),
			(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).
			Scan(&inLedger, &elsewhere, &locks)
		if err != nil || inLedger != 7 || elsewhere != 0 || locks != 0 {
			t.Errorf("%d tables are in the schema, %d elsewhere, and %d locks are left (%v)", inLedger, elsewhere, locks, err)
		}
		if err := errors.Join(opened(t, address).Migrate(t.Context(), nil), conn.Close(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// An address that asks for statements by name works by luck behind a pooler. The error says what to change.
func TestStatementsPreparedByNameAreFoundOutBehindAPooler(t *testing.T) {
	through, _ := postgrestest.StartPooler(t, postgrestest.Shared(t), "default_pool_size=2").URL()
	_ = opened(t, through)
	one, other := unmigrated(t, through+"&default_query_exec_mode=cache_statement"), unmigrated(t, through+"&default_query_exec_mode=cache_statement")
	_, _, err := one.Account(t.Context(), "anna")
	if _, _, again := other.Account(t.Context(), "anna"); err == nil {
		err = again
	}
	const remedy = "take default_query_exec_mode out"
	if !errors.Is(err, domain.ErrUnavailable) || !containsAll(fmt.Sprint(err), "pooler", remedy) {
		t.Errorf("got %v", err)
	}
}
