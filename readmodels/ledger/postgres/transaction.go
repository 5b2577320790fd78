package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Advisory locks of the database, which all processes that use the ledger share. They belong to no table and no schema, so
// that they hold across a switch.
const (
	// migrationLock is held while a schema is made or changed.
	migrationLock = 0x6c6f79_0001
	// switchLock is shared by those who write, and taken alone by a switch.
	switchLock = 0x6c6f79_0002
	// partitionLock is held while partitions are made.
	partitionLock = 0x6c6f79_0003
)

// How transactions begin, in one round trip. Whoever waits for a lock longer than is said here is unavailable.
//
// The advisory lock is taken before anything else is even parsed. A statement that was parsed earlier in the transaction
// would go on to use the tables that had the names then, though the lock was waited for while a switch took place.
var (
	// besideOthers is for those who write: no switch comes in between their statements.
	besideOthers = begin("10s", fmt.Sprintf("pg_advisory_xact_lock_shared(%d)", switchLock))
	// alone waits for those who write, and keeps others from starting.
	alone = begin("10s", fmt.Sprintf("pg_advisory_xact_lock(%d)", switchLock))
	// removing gives up soon, because others wait behind whoever waits for a table to be dropped.
	removing = begin("50ms", "NULL")
)

func begin(lockTimeout, lock string) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: "BEGIN; SET LOCAL lock_timeout = '" + lockTimeout + "'; SELECT " + lock}
}

// transaction runs what do does in one transaction, which commits if it returns nil.
func (l *Ledger) transaction(ctx context.Context, begin pgx.TxOptions, do func(context.Context, pgx.Tx) error) error {
	limited, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return classify(ctx, pgx.BeginTxFunc(limited, l.pool, begin, func(tx pgx.Tx) error { return do(limited, tx) }))
}
