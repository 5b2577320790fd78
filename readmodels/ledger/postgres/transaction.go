package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Advisory locks of the database, shared by all processes that use the ledger. They belong to no table and no schema, so that they hold
// across a switch.
const (
	// migrationLock is held while a schema is created or migrated.
	migrationLock = 0x6c6f79_0001
	// switchLock is held shared by writers, and exclusively by a switch.
	switchLock = 0x6c6f79_0002
	// partitionLock is held while partitions are created.
	partitionLock = 0x6c6f79_0003
)

// How transactions begin, in one round trip. A wait for a lock that is longer than the lock timeout is domain.ErrUnavailable.
//
// The advisory lock is taken before another statement of the transaction is parsed: parsing binds names to tables, and during the wait
// for the lock a switch may give the names to others.
var (
	// writing keeps a switch from running between the statements.
	writing = begin("10s", fmt.Sprintf("pg_advisory_xact_lock_shared(%d)", switchLock))
	// switching waits for the writers, and keeps others from starting.
	switching = begin("10s", fmt.Sprintf("pg_advisory_xact_lock(%d)", switchLock))
	// dropping has a short timeout, because readers queue behind a DROP that waits for its lock.
	dropping = begin("50ms", "NULL")
)

func begin(lockTimeout, lock string) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: "BEGIN; SET LOCAL lock_timeout = '" + lockTimeout + "'; SELECT " + lock}
}

// transaction runs do in one transaction, which commits if do returns nil.
func (l *Ledger) transaction(ctx context.Context, begin pgx.TxOptions, do func(context.Context, pgx.Tx) error) error {
	limited, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return classify(ctx, pgx.BeginTxFunc(limited, l.pool, begin, func(tx pgx.Tx) error { return do(limited, tx) }))
}
