package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// Given limits of time that no read of a whole table keeps
// When everything that reads whole tables does so, slowly
// Then it has all of it: reads are in pieces, or have a bound of their own
func TestLimitsOfARoleEndNothing(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	l := opened(t, address)
	if err := l.Apply(t.Context(), stretch(0)); err != nil {
		t.Fatal(err)
	}
	const many = 50_000
	if _, err := l.pool.Exec(t.Context(), fmt.Sprintf(`INSERT INTO ledger.accounts (customer, points, reached_at, entries, drawer, commit_position, prepare_position, month)
		SELECT 'm-' || i, i %% 1000 + 1, now(), 1, 0, 0, 0, 0 FROM generate_series(1, %d) i;
		INSERT INTO ledger.earnings SELECT to_timestamp(i * 3600), 1, 0, 0, 1, 0, 0, '' FROM generate_series(1, 20000) i`, many)); err != nil {
		t.Fatal(err)
	}
	limited := unmigrated(t, address)
	if _, err := l.pool.Exec(t.Context(), "ALTER DATABASE "+databaseOf(t, address)+` SET statement_timeout = '10ms'`); err != nil {
		t.Fatal(err)
	}
	if _, err := l.pool.Exec(t.Context(), "ALTER DATABASE "+databaseOf(t, address)+` SET idle_in_transaction_session_timeout = '20ms'`); err != nil {
		t.Fatal(err)
	}
	slowly := func() error { // as somebody who reads over a slow line
		_, err := l.pool.Exec(t.Context(), "SELECT pg_sleep(0.05)")
		return err
	}
	until := time.Now().AddDate(1, 0, 0)
	for name, read := range map[string]func(count func() error) error{
		"all accounts": func(count func() error) error {
			_, err := limited.Accounts(t.Context(), ledger.InTurn(func(ledger.Account, domain.Position) error { return count() }))
			return err
		},
		"a season": func(count func() error) error {
			_, err := limited.AccountsWithin(t.Context(), time.Unix(0, 0), until, ledger.InTurn(func(ledger.Account, domain.Position) error { return count() }))
			return err
		},
		"the hours": func(count func() error) error {
			_, err := limited.Hours(t.Context(), func(ledger.Earning) error { return count() })
			return err
		},
		"the sums of some years": func(count func() error) error {
			sums, err := limited.Earnings(t.Context(), time.Unix(0, 0), time.Unix(20_000*3600, 0), ledger.Day)
			for range sums.Rows {
				if err == nil {
					err = count()
				}
			}
			return err
		},
	} {
		n := 0
		err := repeated(t.Context(), func() error {
			n = 0
			return read(func() error {
				if n++; n == 5 {
					return slowly()
				}
				return nil
			})
		})
		want := map[string]int{"all accounts": many + 5, "a season": 5, "the hours": 20001, "the sums of some years": 834}[name]
		if err != nil || n < want {
			t.Errorf("%s: %d of %d, %v", name, n, want, err)
		}
	}
	if err := repeated(t.Context(), func() error { return limited.Apply(t.Context(), stretch(1)) }); err != nil {
		t.Errorf("a batch: %v", err)
	}
}

// repeated repeats what a limit of some milliseconds may end even before it has begun: a connection's first question, a BEGIN.
func repeated(ctx context.Context, do func() error) (err error) {
	for range 100 {
		if err = do(); err == nil || !errors.Is(err, domain.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func databaseOf(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(parsed.Path, "/")
}

func TestALedgerMayBeInASchemaOfAnyNameBesideOthers(t *testing.T) {
	address := postgrestest.Shared(t).URL("search_path = nowhere")
	one, other := opened(t, address+"&schema=points"), opened(t, address)
	if err := errors.Join(one.Apply(t.Context(), stretch(0)), other.Apply(t.Context(), stretch(0)), other.Apply(t.Context(), stretch(1))); err != nil {
		t.Fatal(err)
	}
	c, err := one.Copy(t.Context())
	if err == nil {
		err = errors.Join(c.Apply(t.Context(), stretch(0)), c.Switch(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	for l, want := range map[*Ledger]domain.Position{one: position(10), other: position(20)} {
		if at, err := l.Checkpoint(t.Context()); err != nil || at.Position != want {
			t.Errorf("%s is at %s, %v; want %s", l.schema, at, err, want)
		}
	}
	sound(t, other, 2)
	var schemas []string
	found, err := one.pool.Query(t.Context(), `SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information' ORDER BY 1`)
	if err == nil {
		schemas, err = pgx.CollectRows(found, pgx.RowTo[string])
	}
	if err != nil || strings.Join(schemas, " ") != "ledger points public" {
		t.Errorf("the schemas are %q, %v", schemas, err)
	}
}

func TestADatabaseThatCannotHoldEveryTextIsRefused(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	l := opened(t, address)
	name := databaseOf(t, address) + "_latin"
	if _, err := l.pool.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING LATIN1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), address)
		if err == nil {
			_, err = conn.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
			err = errors.Join(err, conn.Close(context.Background()))
		}
		if err != nil {
			t.Error(err)
		}
	})
	refused := unmigrated(t, strings.Replace(address, databaseOf(t, address), name, 1))
	if _, err := refused.Checkpoint(t.Context()); !errors.Is(err, domain.ErrUnavailable) || !containsAll(fmt.Sprint(err), "LATIN1", "ENCODING 'UTF8'") {
		t.Errorf("got %v", err)
	}
}

// administering runs statements as the administrator of a server; the database shop in them is that of the address.
func administering(t *testing.T, address string) func(statements string) {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	return func(statements string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), strings.ReplaceAll(statements, "shop", databaseOf(t, address))); err != nil {
			t.Fatal(err)
		}
	}
}

// The rights that docs/operations.md lists are enough, also after a rebuild, and no fewer are.
func TestEachUserNeedsOnlyTheRightsOfItsRole(t *testing.T) {
	address := postgrestest.Start(t).URL()
	exec := administering(t, address)
	exec(`CREATE ROLE loyalty_project LOGIN; CREATE ROLE loyalty_query LOGIN; REVOKE ALL ON DATABASE shop FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC;
		GRANT CONNECT ON DATABASE shop TO loyalty_query`)
	project, query := unmigrated(t, strings.Replace(address, "loyalty@", "loyalty_project@", 1)), unmigrated(t, strings.Replace(address, "loyalty@", "loyalty_query@", 1))
	unavailable := func(who string, err error) {
		t.Helper()
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v", who, err)
		}
	}
	// A right that is missing may be given: whoever waits goes on then.
	unavailable("projecting without a right", project.Migrate(t.Context(), nil))
	exec(`GRANT CONNECT, CREATE ON DATABASE shop TO loyalty_project`)
	if err := errors.Join(project.Migrate(t.Context(), nil), project.Apply(t.Context(), stretch(0))); err != nil {
		t.Fatal(err)
	}
	_, err := query.Checkpoint(t.Context())
	unavailable("reading without a right", err)
	exec(`ALTER DEFAULT PRIVILEGES FOR ROLE loyalty_project GRANT USAGE ON SCHEMAS TO loyalty_query;
		ALTER DEFAULT PRIVILEGES FOR ROLE loyalty_project GRANT SELECT ON TABLES TO loyalty_query;
		GRANT USAGE ON SCHEMA ledger TO loyalty_query; GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO loyalty_query`)
	reads := func() {
		t.Helper()
		n := 0
		_, err := query.Accounts(t.Context(), ledger.InTurn(func(ledger.Account, domain.Position) error { n++; return nil }))
		_, trail := query.Trail(t.Context(), customerNumber(1), ledger.Filter{}, "", 5)
		_, search := query.Search(t.Context(), "anna")
		_, audit := query.AuditLog(t.Context(), ledger.AuditFilter{}, "", 5)
		_, earnings := query.Earnings(t.Context(), time.Time{}, time.Time{}, ledger.Day)
		if err := errors.Join(err, trail, search, audit, earnings); err != nil || n == 0 {
			t.Errorf("it reads %d accounts, %v", n, err)
		}
	}
	reads()
	c, err := project.Copy(t.Context())
	if err == nil {
		err = errors.Join(c.Apply(t.Context(), stretch(0)), c.Switch(t.Context()), project.Apply(t.Context(), stretch(1)))
	}
	if err != nil {
		t.Fatal(err)
	}
	reads()
	unavailable("writing with the right to read", query.Apply(t.Context(), stretch(2)))
	if err := query.Migrate(t.Context(), nil); err != nil {
		t.Errorf("nothing is to be migrated: %v", err)
	}
}

// Given an address that is read again for each connection
// When the user in it may no longer log in, and then another takes its place
// Then the ledger is unavailable in between, and goes on without being opened again.
func TestTheUserIsReadAgainForEachConnection(t *testing.T) {
	address := postgrestest.Start(t).URL()
	exec := administering(t, address)
	exec("CREATE ROLE first SUPERUSER LOGIN; CREATE ROLE second SUPERUSER LOGIN")
	var user atomic.Value
	user.Store("first")
	again := func() (string, error) { return strings.Replace(address, "loyalty@", user.Load().(string)+"@", 1), nil }
	l, err := Open(t.Context(), address, again)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(l.Migrate(t.Context(), nil), l.Apply(t.Context(), stretch(0))); err != nil {
		t.Fatal(err)
	}
	exec("ALTER ROLE first NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'first'")
	if _, err := l.Checkpoint(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("with a user that may not log in: %v", err)
	}
	user.Store("second")
	if err := l.Apply(t.Context(), stretch(1)); err != nil {
		t.Errorf("with the other: %v", err)
	}
	if err := l.Migrate(t.Context(), nil); err != nil {
		t.Errorf("with the other: %v", err)
	}
}

// Given somebody who holds a connection of the pool
// When a read of another is ended by a limit of time that is set for the database
// Then that read is made again without the limit, and the connection stays in the pool: only what breaks one has all made anew.
func TestAReadThatALimitEndsLeavesOthersTheirConnections(t *testing.T) {
	l := opened(t, postgrestest.Shared(t).URL("statement_timeout = '100ms'"))
	held, err := l.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	attempts, number := 0, held.Conn().PgConn().PID()
	_, err = ask(t.Context(), l, func(ctx context.Context, q querier) (slept string, err error) {
		attempts++
		return slept, q.QueryRow(ctx, "SELECT pg_sleep(0.2)::text").Scan(&slept)
	})
	if err != nil || attempts != 2 {
		t.Errorf("after %d attempts: %v", attempts, err)
	}
	held.Release()
	stays := false
	for _, each := range l.pool.AcquireAllIdle(t.Context()) {
		stays = stays || each.Conn().PgConn().PID() == number
		each.Release()
	}
	if !stays {
		t.Error("the connection that somebody held is gone")
	}
}
