package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// tables are the tables of a ledger. A copy has the same in the same file, with a prefix of its own.
var tables = []string{"state", "accounts", "entries", "acts", "earnings"}

// indexes are the indexes of a ledger, as in the migrations. After a switch, a copy's indexes keep their names: no statement uses one.
var indexes = []struct{ name, on string }{
	{"accounts_drawer", "accounts (drawer) WHERE drawer > 0"},
	{"entries_order", "entries (id >> 14, order_id)"},
	{"entries_return", "entries (id >> 14, return_id) WHERE return_id <> ''"},
	{"entries_loyalty", "entries (id >> 14, loyalty_id) WHERE loyalty_id <> ''"},
	{"acts_kind", "acts (kind, commit_position, prepare_position)"},
	{"acts_customer", "acts (customer, commit_position, prepare_position)"},
	{"acts_actor", "acts (actor, commit_position, prepare_position)"},
	{"acts_waiting", "acts (waiting, commit_position, prepare_position) WHERE waiting = 1"},
}

const (
	copyPrefix = "copy_"
	// formerPrefix is of the ledger that a switch has replaced, until it is removed.
	formerPrefix = "past_"
)

// Copy creates an empty ledger in tables of its own; see ledger.Rebuilder. It uses the connections of this ledger, and must not be used
// once that is closed; the two ledgers write by turns.
func (l *Ledger) Copy(ctx context.Context) (ledger.Copy, error) {
	c := &rebuilt{Ledger: &Ledger{writer: l.writer, readers: l.readers, progress: ledger.NewProgress()}}
	err := l.dropTables(ctx, copyPrefix, formerPrefix)
	if err == nil {
		err = c.create(ctx)
	}
	if err == nil {
		err = c.prepare(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("ledger copy: %w", classify(err))
	}
	return c, nil
}

// rebuilt is a ledger.Copy.
type rebuilt struct {
	*Ledger
	switched bool
}

// Close does nothing: the connections are the live ledger's.
func (c *rebuilt) Close() error { return nil }

// create creates the copy's tables with the definitions of the live ones. The number in their prefix is the file's schema version, which
// every change of the schema increments, so that no two copies ever have the same prefix.
func (c *rebuilt) create(ctx context.Context) error {
	return c.transaction(ctx, func(tx *sql.Tx) error {
		var version int64
		if err := tx.QueryRowContext(ctx, `PRAGMA schema_version`).Scan(&version); err != nil {
			return err
		}
		c.prefix = fmt.Sprintf("%s%d_", copyPrefix, version)
		for _, table := range tables {
			var made string
			if err := tx.QueryRowContext(ctx, `SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?`, table).Scan(&made); err != nil {
				return err
			}
			_, definition, _ := strings.Cut(made, "(")
			if _, err := tx.ExecContext(ctx, `CREATE TABLE main.`+c.prefix+table+` (`+definition); err != nil {
				return err
			}
		}
		for _, index := range indexes {
			if _, err := tx.ExecContext(ctx, `CREATE INDEX main.`+c.prefix+index.name+` ON `+c.prefix+index.on); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, c.in(`INSERT INTO main.state (id, commit_position, prepare_position, entries, outstanding, origin) VALUES (1, 0, 0, 0, 0, '')`))
		return err
	})
}

// Switch replaces the live ledger with the copy; see ledger.Copy. It renames the tables in one transaction, and then drops the former
// ones; if that fails, the next Copy drops them. The file does not shrink; its free pages are used again.
func (c *rebuilt) Switch(ctx context.Context) error {
	return c.replace(ctx, func(tx *sql.Tx) error {
		var behind bool
		err := tx.QueryRowContext(ctx, `SELECT (n.commit_position, n.prepare_position) < (l.commit_position, l.prepare_position)
			FROM main.`+c.prefix+`state n, main.state l`).Scan(&behind)
		if err == nil && behind {
			err = domain.ErrNotCaughtUp
		}
		if err != nil {
			return err
		}
		// The copy has reached the live ledger's checkpoint, so its AsOf holds for the copy too.
		_, err = tx.ExecContext(ctx, `UPDATE main.`+c.prefix+`state SET as_of = l.as_of
			FROM main.state l WHERE l.as_of > coalesce(main.`+c.prefix+`state.as_of, l.as_of - 1)`)
		return err
	})
}

// Replace replaces the live ledger with the copy whatever its checkpoint is; see ledger.Copy.
func (c *rebuilt) Replace(ctx context.Context) error {
	return c.replace(ctx, func(*sql.Tx) error { return nil })
}

// replace switches if may agrees, in the same transaction.
func (c *rebuilt) replace(ctx context.Context, may func(*sql.Tx) error) error {
	err := c.transaction(ctx, func(tx *sql.Tx) error {
		if there, err := tablesWith(ctx, tx, c.prefix); err != nil || len(there) == 0 {
			return errors.Join(err, errCopyGone)
		}
		if err := may(tx); err != nil {
			return err
		}
		for _, table := range tables {
			if _, err := tx.ExecContext(ctx, `ALTER TABLE main.`+table+` RENAME TO `+formerPrefix+table); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `ALTER TABLE main.`+c.prefix+table+` RENAME TO `+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ledger switch: %w", classify(err))
	}
	c.switched = true
	_ = c.closeStatements()
	_ = c.dropTables(ctx, formerPrefix) // if it fails, the next Copy drops them
	return nil
}

var errCopyGone = errors.New("the copy is gone: it was switched to or discarded, or another rebuild has begun")

// Discard removes the copy; see ledger.Copy.
func (c *rebuilt) Discard(ctx context.Context) error {
	if c.switched {
		return nil
	}
	if err := errors.Join(c.closeStatements(), c.dropTables(ctx, c.prefix)); err != nil {
		return fmt.Errorf("discard the ledger's copy: %w", classify(err))
	}
	return nil
}

// dropTables drops every table whose name starts with one of the prefixes, each in a transaction of its own.
func (l *Ledger) dropTables(ctx context.Context, prefixes ...string) error {
	for _, prefix := range prefixes {
		var all []string
		err := l.transaction(ctx, func(tx *sql.Tx) (err error) { all, err = tablesWith(ctx, tx, prefix); return err })
		if err != nil {
			return err
		}
		for _, table := range all {
			if _, err := l.writer.ExecContext(ctx, `DROP TABLE IF EXISTS main.`+table); err != nil {
				return err
			}
		}
	}
	return nil
}

// tablesWith lists the tables whose names start with a prefix.
func tablesWith(ctx context.Context, tx *sql.Tx, prefix string) (all []string, err error) {
	found, err := tx.QueryContext(ctx, `SELECT name FROM main.sqlite_schema WHERE type = 'table' AND substr(name, 1, length(?1)) = ?1`, prefix)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var name string
		if err := found.Scan(&name); err != nil {
			return nil, err
		}
		all = append(all, name)
	}
	return all, found.Err()
}
