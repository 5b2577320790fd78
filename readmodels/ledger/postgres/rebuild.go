package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Copy makes an empty ledger in a schema of its own beside the live one's; see ledger.Rebuilder. It uses the connections of
// this ledger, and is of no more use once that is closed.
func (l *Ledger) Copy(ctx context.Context) (ledger.Copy, error) {
	c := &rebuilt{Ledger: newLedger(l.pool, "")}
	left, err := l.leftovers(ctx)
	for _, schema := range left {
		if err == nil {
			err = l.drop(ctx, schema)
		}
	}
	if err == nil {
		// A transaction's number never comes again, so no other copy ever has the name, and none is mistaken for this one.
		err = l.pool.QueryRow(ctx, `SELECT $1 || pg_current_xact_id()`, copyPrefix).Scan(&c.schema)
	}
	if err == nil {
		err = c.migrate(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("ledger copy: %w", classify(ctx, err))
	}
	return c, nil
}

// leftovers are the schemas of copies that nobody switched to or discarded, and of a former ledger.
func (l *Ledger) leftovers(ctx context.Context) ([]string, error) {
	found, err := l.pool.Query(ctx, `SELECT nspname FROM pg_namespace WHERE starts_with(nspname, $1) OR nspname = $2`, copyPrefix, past)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// rebuilt is a copy.
type rebuilt struct {
	*Ledger
	switched bool
}

// Close is the live ledger's: the copy has no connections of its own.
func (c *rebuilt) Close() error { return nil }

// Switch puts the copy in the live ledger's place; see ledger.Copy. It renames two schemas in one transaction, which touches
// no table, waits for no reader and takes milliseconds. The former ledger is removed as soon as nobody reads it any more;
// where that takes longer than removeTimeout, the next Copy removes it.
func (c *rebuilt) Switch(ctx context.Context) error {
	err := c.transaction(ctx, alone, func(ctx context.Context, tx pgx.Tx) error {
		if err := c.check(ctx, tx); err != nil {
			return err
		}
		for _, statement := range []string{
			// What the live ledger was known to be complete at, a copy that has come as far is.
			`UPDATE ` + c.schema + `.state SET as_of = greatest(as_of, (SELECT as_of FROM ledger.state))`,
			`ALTER SCHEMA ` + live + ` RENAME TO ` + past,
			`ALTER SCHEMA ` + c.schema + ` RENAME TO ` + live,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ledger switch: %w", err)
	}
	c.switched = true
	_ = c.drop(ctx, past) // a Copy will, if this can't
	return nil
}

// check makes sure that the copy is there, and not behind.
func (c *rebuilt) check(ctx context.Context, tx pgx.Tx) error {
	var gone, behind bool
	err := tx.QueryRow(ctx, `SELECT to_regnamespace($1) IS NULL`, c.schema).Scan(&gone)
	if err == nil && gone {
		err = errors.New("the copy is gone: it was switched to or discarded, or another rebuild has begun")
	}
	if err != nil {
		return err
	}
	err = tx.QueryRow(ctx, `SELECT (c.commit_position, c.prepare_position) < (l.commit_position, l.prepare_position)
		FROM `+c.schema+`.state c, ledger.state l`).Scan(&behind)
	if err == nil && behind {
		err = domain.ErrNotCaughtUp
	}
	return err
}

// Discard removes the copy; see ledger.Copy.
func (c *rebuilt) Discard(ctx context.Context) error {
	if c.switched {
		return nil
	}
	if err := c.drop(ctx, c.schema); err != nil {
		return fmt.Errorf("discard the ledger's copy: %w", err)
	}
	return nil
}

// removeTimeout is how long a schema is tried to be removed while somebody uses it.
const removeTimeout = 30 * time.Second

// drop removes a schema, if it is there.
func (l *Ledger) drop(ctx context.Context, schema string) error {
	trying, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	for {
		err := l.transaction(trying, removing, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `DROP SCHEMA IF EXISTS `+pgx.Identifier{schema}.Sanitize()+` CASCADE`)
			return err
		})
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != lockNotAvailable {
			return classify(ctx, err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-trying.Done():
			return classify(ctx, err)
		}
	}
}
