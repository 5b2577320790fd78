package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// The schemas of the ledgers.
const (
	live = "ledger"
	// A number follows in the schema of a copy, which a rebuild fills.
	copyPrefix = "ledger_copy_"
	// former is the ledger that a switch has replaced, until it is removed.
	former = "ledger_past"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate creates the ledger's schema if it is missing, and migrates it. Neither the migrations nor goose's version table name a
// schema: the connection's search path sets it.
func (l *Ledger) migrate(ctx context.Context) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*l.pool.Config().ConnConfig, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET search_path = "+l.schema)
		return err
	}))
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(2) // one holds the lock and one migrates
	unlock, err := lock(ctx, db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	// Without a check first, a user with read permission alone could not open the ledger, and no one a standby.
	var missing bool
	if err := db.QueryRowContext(ctx, "SELECT to_regnamespace($1) IS NULL", l.schema).Scan(&missing); err != nil {
		return err
	}
	if missing {
		if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+l.schema); err != nil {
			return err
		}
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// lock takes the migration lock on a connection of its own. The lock ends with the connection.
func lock(ctx context.Context, db *sql.DB) (unlock func() error, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
		return errors.Join(err, conn.Close())
	}, nil
}
