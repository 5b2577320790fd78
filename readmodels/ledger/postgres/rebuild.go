package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/schema"
)

// Copy creates an empty ledger in a schema of its own; see ledger.Rebuilder. It uses the connections of this ledger, and must not be used
// once that is closed.
func (l *Ledger) Copy(ctx context.Context) (ledger.Copy, error) {
	c := &rebuilt{Ledger: &Ledger{pool: l.pool, live: l.live, credentials: l.credentials, progress: ledger.NewProgress(), perPiece: l.perPiece, distributed: l.distributed, readers: l.readers, sampled: l.sampled, checked: l.checked}}
	left, err := l.leftovers(ctx)
	for _, schema := range left {
		if err == nil {
			err = l.drop(ctx, schema)
		}
	}
	if err == nil {
		// Transaction ids are never reused, so that no two copies ever have the same name.
		err = l.pool.QueryRow(ctx, `SELECT $1::text || pg_current_xact_id()`, l.live+copyInfix).Scan(&c.schema)
	}
	if err == nil {
		err = c.tables().Migrate(ctx, schema.Version(), nil)
	}
	if err != nil {
		return nil, fmt.Errorf("ledger copy: %w", classify(ctx, err))
	}
	return c, nil
}

// leftovers are the schemas of copies that were neither switched to nor discarded, and of a former ledger.
func (l *Ledger) leftovers(ctx context.Context) ([]string, error) {
	found, err := l.pool.Query(ctx, `SELECT nspname FROM pg_namespace WHERE starts_with(nspname, $1) OR nspname = $2`, l.live+copyInfix, l.live+formerSuffix)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// rebuilt is a ledger.Copy.
type rebuilt struct {
	*Ledger
	switched bool
}

// Close does nothing: the connections are the live ledger's.
func (c *rebuilt) Close() error { return nil }

// Switch replaces the live ledger with the copy; see ledger.Copy. It renames two schemas in one transaction, which touches no table,
// waits for no reader and takes milliseconds. Then it drops the former ledger, once nobody reads it any more; if that takes longer than
// dropTimeout, the next Copy drops it.
func (c *rebuilt) Switch(ctx context.Context) error {
	return c.replace(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var behind bool
		var asOf *time.Time
		err := tx.QueryRow(ctx, `SELECT (c.commit_position, c.prepare_position) < (l.commit_position, l.prepare_position), l.as_of
			FROM `+c.schema+`.state c, `+c.live+`.state l`).Scan(&behind, &asOf)
		if err == nil && behind {
			err = domain.ErrNotCaughtUp
		}
		if err != nil {
			return err
		}
		// The copy has reached the live ledger's checkpoint, so its AsOf holds for the copy too.
		_, err = tx.Exec(ctx, `UPDATE `+c.schema+`.state SET as_of = greatest(as_of, $1)`, asOf)
		return err
	})
}

// Replace replaces the live ledger with the copy whatever its checkpoint is; see ledger.Copy.
func (c *rebuilt) Replace(ctx context.Context) error {
	return c.replace(ctx, func(context.Context, pgx.Tx) error { return nil })
}

// replace switches if may agrees, in the same transaction.
func (c *rebuilt) replace(ctx context.Context, may func(context.Context, pgx.Tx) error) error {
	err := c.transaction(ctx, switching, func(ctx context.Context, tx pgx.Tx) error {
		if err := c.exists(ctx, tx); err != nil {
			return err
		}
		if err := may(ctx, tx); err != nil {
			return err
		}
		for _, statement := range []string{
			`ALTER SCHEMA ` + c.live + ` RENAME TO ` + c.live + formerSuffix,
			`ALTER SCHEMA ` + c.schema + ` RENAME TO ` + c.live,
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
	_ = c.drop(ctx, c.live+formerSuffix) // if it fails, the next Copy drops it
	return nil
}

// exists makes sure that the copy still exists.
func (c *rebuilt) exists(ctx context.Context, tx pgx.Tx) error {
	var gone bool
	err := tx.QueryRow(ctx, `SELECT to_regnamespace($1) IS NULL`, c.schema).Scan(&gone)
	if err == nil && gone {
		err = errors.New("the copy is gone: it was switched to or discarded, or another rebuild has begun")
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

// dropTimeout is for how long drop retries while the schema is in use.
const dropTimeout = 30 * time.Second

// drop drops a schema, if it exists: its partitions some at a time, because each of them and of their indexes takes a lock of those that the server has for
// all its sessions.
func (l *Ledger) drop(ctx context.Context, name string) error {
	for {
		parts, err := l.pool.Query(ctx, `SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
			WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' LIMIT $2`, name, partitionsAtOnce)
		if err != nil {
			return classify(ctx, err)
		}
		some, err := pgx.CollectRows(parts, pgx.RowTo[string])
		if err != nil {
			return classify(ctx, err)
		}
		if len(some) == 0 {
			return l.dropNow(ctx, `DROP SCHEMA IF EXISTS `+pgx.Identifier{name}.Sanitize()+` CASCADE`)
		}
		if err := l.dropNow(ctx, `DROP TABLE IF EXISTS `+strings.Join(some, ", ")); err != nil {
			return err
		}
	}
}

// dropNow runs a statement that drops something, again as long as that is in use.
func (l *Ledger) dropNow(ctx context.Context, statement string) error {
	limited, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	for {
		err := l.transaction(limited, dropping, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, statement)
			return err
		})
		if schema.CodeOf(err) != schema.LockNotAvailable {
			return classify(ctx, err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-limited.Done():
			return classify(ctx, err)
		}
	}
}
