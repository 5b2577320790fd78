package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// The schemas of the ledgers.
const (
	// defaultSchema is where the live ledger is, unless the address says otherwise.
	defaultSchema = "ledger"
	// The schema of a copy, which a rebuild fills, has this and a number after the name of the live one.
	copyInfix = "_copy_"
	// The ledger that a switch has replaced has this after the name of the live one, until it is removed.
	formerSuffix = "_past"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migration is a step of the schema, from one version to the next. Its statements name no schema: the search path of its transaction sets it.
type migration struct {
	version  int
	up, down string
}

// allMigrations are the steps in order.
var allMigrations = sync.OnceValue(func() (all []migration) {
	files, err := fs.ReadDir(migrations, "migrations")
	for _, file := range files {
		text, failed := migrations.ReadFile("migrations/" + file.Name())
		number, _, _ := strings.Cut(file.Name(), "_")
		version, malformed := strconv.Atoi(number)
		if err = cmp.Or(err, failed, malformed); err != nil {
			break
		}
		up, down, _ := strings.Cut(string(text), "-- +goose Down")
		all = append(all, migration{version, up, down})
	}
	if err != nil {
		panic(err) // the files are part of the program
	}
	return all
})

// schemaVersion is the version of the schema that this program needs.
func schemaVersion() int { return allMigrations()[len(allMigrations())-1].version }

// Report is told what is being done, how much of it is done, and the total, 0 if that is not known.
type Report = func(doing string, done, total uint64)

// Migrate makes the ledger's schema, or brings it up to date. Processes that do so at once take turns; this may be repeated, also after it was
// interrupted. report, if it is not nil, is called with what is being done. Errors: domain.ErrUnavailable if the server can't be reached or refuses, as it
// does without the right to; one for a schema that a newer program has migrated.
func (l *Ledger) Migrate(ctx context.Context, report Report) error {
	if err := l.migrate(ctx, report); err != nil {
		return fmt.Errorf("migrate the ledger: %w", classify(ctx, err))
	}
	return nil
}

// migrationPause is between two attempts to get a lock.
const migrationPause = 100 * time.Millisecond

// migrate brings the ledger's schema up to date, on connections of its own, which nothing checks.
func (l *Ledger) migrate(ctx context.Context, report Report) (err error) {
	if report == nil {
		report = func(string, uint64, uint64) {}
	}
	var options []stdlib.OptionOpenDB
	if l.credentials != nil {
		options = append(options, stdlib.OptionBeforeConnect(l.credentials))
	}
	db := stdlib.OpenDB(*l.pool.Config().ConnConfig, options...)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(2) // one holds the lock and one migrates
	turn, err := takeTurn(ctx, db, report)
	if err != nil {
		return err
	}
	defer func() {
		if ended := turn.Rollback(); !errors.Is(ended, sql.ErrTxDone) {
			err = errors.Join(err, ended)
		}
	}()
	// Whoever owns the schema may lack the right to make one.
	var missing bool
	if err := db.QueryRowContext(ctx, "SELECT to_regnamespace($1) IS NULL", l.schema).Scan(&missing); err != nil {
		return err
	}
	if missing {
		if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+l.schema); err != nil {
			return err
		}
	}
	provider, err := l.provider(db, report)
	if err != nil {
		return err
	}
	at, err := provider.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if at > int64(schemaVersion()) {
		return newer(int(at))
	}
	for {
		_, err := provider.Up(ctx)
		if codeOf(err) != lockNotAvailable {
			return err
		}
		report("waiting for a table that somebody uses", 0, 0)
		if err := pause(ctx, migrationPause); err != nil {
			return err
		}
	}
}

// takeTurn waits until no other process migrates a ledger in this database, and returns the transaction that says so: its lock ends with it, also
// behind a pooler. It asks again and again, since whoever waits in a transaction takes a connection from a pooler.
func takeTurn(ctx context.Context, db *sql.DB, report Report) (*sql.Tx, error) {
	for {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return nil, err
		}
		_, err = tx.ExecContext(ctx, unlimited)
		var mine bool
		if err == nil {
			err = tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(migrationLock)).Scan(&mine)
		}
		if err == nil && mine {
			return tx, nil
		}
		if err = errors.Join(err, tx.Rollback()); err != nil {
			return nil, err
		}
		report("waiting for another process that migrates", 0, 0)
		if err := pause(ctx, migrationPause); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// provider has goose run the migrations. Nothing is left to the session: the schema is in the name of goose's table, and in the search path of
// each migration's transaction.
func (l *Ledger) provider(db *sql.DB, report Report) (*goose.Provider, error) {
	step := func(version int, statements string) *goose.GoFunc {
		return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			report(fmt.Sprintf("migrating the schema to version %d", version), 0, 0)
			// Whoever comes later waits behind a statement that waits for its lock, so it gives up soon and is tried again.
			_, err := tx.ExecContext(ctx, unlimited+"; SET LOCAL lock_timeout = '1s'; SET LOCAL search_path = "+l.schema+"; "+statements)
			return err
		}}
	}
	var all []*goose.Migration
	for _, m := range allMigrations() {
		all = append(all, goose.NewGoMigration(int64(m.version), step(m.version, m.up), step(m.version-1, m.down)))
	}
	return goose.NewProvider(goose.DialectPostgres, db, nil, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(all...),
		goose.WithTableName(l.schema+".goose_db_version"))
}
