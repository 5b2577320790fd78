// Package schema makes the tables of the ledger in Postgres, and brings those of an earlier version up to date while others read and write.
package schema

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migration is a step of the schema, from one version to the next. Its statements name no schema: the search path of their transaction sets it.
// A step that begins is online: see prepare.
type migration struct {
	version                int
	up, down               string
	begin, piece, progress string
}

// allMigrations are the steps in order. A line such as "-- +goose Up" in a file says what the statements after it are.
var allMigrations = sync.OnceValue(func() (all []migration) {
	files, err := fs.ReadDir(migrations, "migrations")
	for _, file := range files {
		text, failed := migrations.ReadFile("migrations/" + file.Name())
		number, _, _ := strings.Cut(file.Name(), "_")
		version, malformed := strconv.Atoi(number)
		if err = cmp.Or(err, failed, malformed); err != nil {
			break
		}
		m := migration{version: version}
		for _, part := range strings.Split("\n"+string(text), "\n-- +")[1:] {
			title, statements, _ := strings.Cut(part, "\n")
			switch title {
			case "goose Up":
				m.up = statements
			case "goose Down":
				m.down = statements
			case "online Begin":
				m.begin = statements
			case "online Piece":
				m.piece = statements
			case "online Progress":
				m.progress = statements
			default:
				panic(file.Name() + ": " + title)
			}
		}
		all = append(all, m)
	}
	if err != nil {
		panic(err) // the files are part of the program
	}
	return all
})

// Version is the version of the schema that this program needs.
func Version() int { return allMigrations()[len(allMigrations())-1].version }

// Report is told what is being done, how much of it is done, and the total, 0 if that is not known.
type Report = func(doing string, done, total uint64)

// Schema is where the tables of a ledger are, or are to be.
type Schema struct {
	// Name is that of the Postgres schema.
	Name string
	// Distributed says that the tables are spread over the workers of a coordinator of Citus, to which Config leads.
	Distributed bool
	// Config says how to connect, without checks of what is there.
	Config *pgx.ConnConfig
	// Credentials sets the user and the password of a new connection; nil if they stay.
	Credentials func(context.Context, *pgx.ConnConfig) error
}

// migrationPause is between two attempts to get a lock.
const migrationPause = 100 * time.Millisecond

// Migrate makes the tables, or brings them to a version at least. Processes that do so at once take turns; it may be repeated, also after it was
// interrupted, and goes on where it was. report, if it is not nil, is called with what is being done. It is an error if a newer program has migrated.
func (s Schema) Migrate(ctx context.Context, version int, report Report) (err error) {
	if report == nil {
		report = func(string, uint64, uint64) {}
	}
	var options []stdlib.OptionOpenDB
	if s.Credentials != nil {
		options = append(options, stdlib.OptionBeforeConnect(s.Credentials))
	}
	db := stdlib.OpenDB(*s.Config, options...)
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
	if err := db.QueryRowContext(ctx, "SELECT to_regnamespace($1) IS NULL", s.Name).Scan(&missing); err != nil {
		return err
	}
	if missing {
		if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+s.Name); err != nil {
			return err
		}
	}
	provider, err := s.Provider(db, report)
	if err != nil {
		return err
	}
	at, err := provider.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if at > int64(Version()) {
		return Newer(int(at))
	}
	for _, m := range allMigrations() {
		if m.version <= int(at) || m.version > version {
			continue
		}
		if err := s.prepare(ctx, db, m, report); err != nil {
			return fmt.Errorf("version %d: %w", m.version, err)
		}
		err := patiently(ctx, report, func() error {
			_, err := provider.UpTo(ctx, int64(m.version))
			return err
		})
		if err != nil {
			return err
		}
	}
	if s.Distributed && version == Version() {
		report("spreading the tables over the workers", 0, 0)
		return s.within(ctx, db, longWait, func(tx *sql.Tx) error { return execute(ctx, tx, distribute) })
	}
	return nil
}

// patiently repeats what needs a lock that somebody holds.
func patiently(ctx context.Context, report Report, do func() error) error {
	for {
		err := do()
		if CodeOf(err) != LockNotAvailable {
			return err
		}
		report("waiting for a table that somebody uses", 0, 0)
		if err := pause(ctx, migrationPause); err != nil {
			return err
		}
	}
}

// lock is an advisory lock of the database, held while a ledger is made or migrated.
const lock = 0x6c6f79_0001

// takeTurn waits until no other process migrates a ledger in this database, and returns the transaction that says so: its lock ends with it, also
// behind a pooler. It asks again and again, since whoever waits in a transaction takes a connection from a pooler.
func takeTurn(ctx context.Context, db *sql.DB, report Report) (*sql.Tx, error) {
	for {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return nil, err
		}
		var mine bool
		err = tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(lock)).Scan(&mine)
		if err == nil {
			// This comes last, because without parameters it ends the snapshot of the statement before, for which an index would wait.
			_, err = tx.ExecContext(ctx, unlimited)
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

// Provider has goose run the migrations. Nothing is left to the session: the schema is in the name of goose's table, and in the search path of
// each migration's transaction.
func (s Schema) Provider(db *sql.DB, report Report) (*goose.Provider, error) {
	step := func(version int, statements string) *goose.GoFunc {
		return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			report(fmt.Sprintf("migrating the schema to version %d", version), 0, 0)
			_, err := tx.ExecContext(ctx, s.settings(shortWait)+statements)
			return err
		}}
	}
	var all []*goose.Migration
	for _, m := range allMigrations() {
		all = append(all, goose.NewGoMigration(int64(m.version), step(m.version, m.begin+m.up), step(m.version-1, m.down)))
	}
	return goose.NewProvider(goose.DialectPostgres, db, nil, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(all...),
		goose.WithTableName(s.Name+".goose_db_version"))
}

// prepare does beforehand, while others read and write, what would keep them waiting in the transaction of a step: it begins, builds the step's
// indexes, and does its pieces, each in a transaction of its own. The step's transaction then begins, too, finds all that done, and does what is left.
// What is done is found out from the database, so that this may be interrupted anywhere. A ledger without entries needs none of it.
func (s Schema) prepare(ctx context.Context, db *sql.DB, m migration, report Report) error {
	if m.begin == "" {
		return nil
	}
	var some bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM "+s.Name+".state WHERE entries > 0)").Scan(&some); err != nil || !some {
		return err
	}
	report(fmt.Sprintf("preparing version %d of the schema", m.version), 0, 0)
	err := patiently(ctx, report, func() error {
		return s.within(ctx, db, shortWait, func(tx *sql.Tx) error { return execute(ctx, tx, m.begin) })
	})
	if err != nil {
		return err
	}
	if err := s.buildIndexes(ctx, db, m, report); err != nil || m.piece == "" {
		return err
	}
	for {
		var done, total uint64
		err := s.within(ctx, db, longWait, func(tx *sql.Tx) error { return tx.QueryRowContext(ctx, m.progress).Scan(&done, &total) })
		if err != nil {
			return err
		}
		report(fmt.Sprintf("preparing version %d of the schema, piece by piece", m.version), done, total)
		if done == total {
			return nil
		}
		err = patiently(ctx, report, func() error {
			return s.within(ctx, db, longWait, func(tx *sql.Tx) error { return execute(ctx, tx, m.piece) })
		})
		if err != nil {
			return err
		}
	}
}

// createIndex is a statement of a step that creates an index: its name, table, and definition.
var createIndex = regexp.MustCompile(`(?m)^CREATE INDEX (?:IF NOT EXISTS )?(\w+) ON (\w+) (.*);$`)

// buildIndexes builds the indexes of a step: on every partition of a table that has partitions, where the step's transaction finds them. Those
// on partitions that are made meanwhile are left to that.
func (s Schema) buildIndexes(ctx context.Context, db *sql.DB, m migration, report Report) error {
	type index struct{ name, table, definition string }
	var all []index
	for _, found := range createIndex.FindAllStringSubmatch(m.up, -1) {
		name, table, definition := found[1], found[2], found[3]
		// An ordinary table is listed itself.
		var names string
		err := db.QueryRowContext(ctx, `SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class c
			WHERE relkind = 'r' AND (oid = $1::regclass OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid AND inhparent = $1::regclass))`,
			s.Name+"."+table).Scan(&names)
		if err != nil {
			return err
		}
		for _, part := range strings.Fields(names) {
			all = append(all, index{part + strings.TrimPrefix(name, table), part, definition})
		}
	}
	for i, one := range all {
		report(fmt.Sprintf("building the indexes of version %d of the schema", m.version), uint64(i), uint64(len(all)))
		if err := s.BuildIndex(ctx, db, one.name, one.table, one.definition, report); err != nil {
			return fmt.Errorf("the index %s: %w", one.name, err)
		}
	}
	return nil
}

// BuildIndex builds an index, if it is not there, while others read and write. What an interrupted attempt has left is dropped. Both are single statements
// outside a transaction, so that a limit of time that is set for the role holds for them; if it ends one, the index is built in a transaction
// without limits, and who writes to this table waits.
func (s Schema) BuildIndex(ctx context.Context, db *sql.DB, name, table, definition string, report Report) error {
	var valid sql.NullBool
	err := db.QueryRowContext(ctx, `SELECT (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1))`, s.Name+"."+name).Scan(&valid)
	if err != nil || valid.Bool {
		return err
	}
	target := name + " ON " + s.Name + "." + table + " " + definition
	if err = nil; valid.Valid {
		_, err = db.ExecContext(ctx, "DROP INDEX CONCURRENTLY "+s.Name+"."+name)
	}
	if err == nil {
		_, err = db.ExecContext(ctx, "CREATE INDEX CONCURRENTLY "+target)
	}
	if code := CodeOf(err); ctx.Err() != nil || code != QueryCanceled && code != LockNotAvailable && code != TransactionTimeout {
		return err
	}
	return patiently(ctx, report, func() error {
		return s.within(ctx, db, shortWait, func(tx *sql.Tx) error {
			return execute(ctx, tx, "DROP INDEX IF EXISTS "+s.Name+"."+name+"; CREATE INDEX "+target)
		})
	})
}

// within runs do in a transaction of a migration.
func (s Schema) within(ctx context.Context, db *sql.DB, lockTimeout time.Duration, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	if err = execute(ctx, tx, s.settings(lockTimeout)); err == nil {
		err = do(tx)
	}
	if err != nil {
		if ended := tx.Rollback(); !errors.Is(ended, sql.ErrTxDone) {
			err = errors.Join(err, ended)
		}
		return err
	}
	return tx.Commit()
}

func execute(ctx context.Context, tx *sql.Tx, statements string) error {
	_, err := tx.ExecContext(ctx, statements)
	return err
}

// Whoever comes later waits behind a statement that waits for the lock of a table, so it gives up soon and is tried again. A piece waits for
// rows alone, and nobody behind it.
const (
	shortWait = 500 * time.Millisecond
	longWait  = 10 * time.Second
)

// settings are what a transaction of a migration sets before its statements.
func (s Schema) settings(lockTimeout time.Duration) string {
	return fmt.Sprintf("%s; SET LOCAL lock_timeout = %d; SET LOCAL search_path = %s; ", unlimited, lockTimeout.Milliseconds(), s.Name)
}

// Newer is the error for a schema that a newer program has migrated.
func Newer(version int) error {
	return fmt.Errorf("this program is older than the ledger, whose schema has version %d and not %d: start the newer one", version, Version())
}

// Limits are the statements that set a transaction's limits of time; 0 is none. Servers before version 17 have no transaction_timeout.
func Limits(limit time.Duration) string {
	return fmt.Sprintf(`SET LOCAL statement_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %[1]d;
		SELECT set_config('transaction_timeout', '%[1]d', true) WHERE current_setting('server_version_num')::integer >= 170000`, limit.Milliseconds())
}

// unlimited sets aside all limits of time in a transaction.
var unlimited = Limits(0)

// Error codes (PostgreSQL documentation, appendix A).
const (
	LockNotAvailable = "55P03"
	QueryCanceled    = "57014"
	// TransactionTimeout is of servers since version 17.
	TransactionTimeout = "25P04"
)

// CodeOf is the code of Postgres's error, "" if it is none of Postgres.
func CodeOf(err error) string {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server.Code
	}
	return ""
}

// distribute spreads the tables of a ledger over the workers of Citus, once. What belongs to a customer lies together, in one shard on each worker: so what is
// written to a worker is one transaction there, and what is read of one customer is of one moment. The rest is on every node.
const distribute = `DO $distribute$
	BEGIN
		IF EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'accounts'::regclass) THEN
			RETURN;
		END IF;
		PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true);
		PERFORM create_reference_table(name) FROM (VALUES ('state'), ('acts'), ('earnings')) tables (name);
		PERFORM create_distributed_table('accounts', 'customer', shard_count =>
			(SELECT count(*)::integer FROM pg_dist_node WHERE noderole = 'primary' AND isactive AND shouldhaveshards));
		PERFORM create_distributed_table('entries', 'customer', colocate_with => 'accounts');
		PERFORM create_distributed_table('sums', 'customer', colocate_with => 'accounts');
	END $distribute$`
