package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/readmodels/ledger/postgres/schema"
)

// Advisory locks of the database, shared by all processes that use the ledger. They belong to no table and no schema, so that they hold
// across a switch.
const (
	// switchLock is held shared by writers, and exclusively by a switch.
	switchLock = 0x6c6f79_0002
	// partitionLock is held while partitions are created.
	partitionLock = 0x6c6f79_0003
)

// How transactions begin, in one round trip. They set aside what the role, the database or the address has set: the isolation, and limits of
// time, since every transaction has a bound of its own. A wait for a lock that is longer than the lock timeout is domain.ErrUnavailable.
//
// The advisory lock is taken before another statement of the transaction is parsed: parsing binds names to tables, and during the wait
// for the lock a switch may give the names to others.
var (
	// writing keeps a switch from running between the statements.
	writing = begin("", "10s", answerTimeout, fmt.Sprintf("pg_advisory_xact_lock_shared(%d)", switchLock))
	// switching waits for the writers, and keeps others from starting.
	switching = begin("", "10s", answerTimeout, fmt.Sprintf("pg_advisory_xact_lock(%d)", switchLock))
	// dropping has a short timeout, because readers queue behind a DROP that waits for its lock.
	dropping = begin("", "50ms", answerTimeout, "NULL")
	reading  = begin(" READ ONLY", "10s", answerTimeout, "NULL")
	// streaming has no bound but the caller's context.
	streaming = begin(" READ ONLY", "10s", 0, "NULL")
)

// begin makes a beginning. A limit of 0 is none.
func begin(mode, lockTimeout string, limit time.Duration, lock string) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: fmt.Sprintf(`BEGIN ISOLATION LEVEL READ COMMITTED%s; %s; SET LOCAL lock_timeout = '%s'; SELECT %s`,
		mode, schema.Limits(limit), lockTimeout, lock)}
}

// transaction runs do in one transaction, which commits if do returns nil.
func (l *Ledger) transaction(ctx context.Context, begin pgx.TxOptions, do func(context.Context, pgx.Tx) error) error {
	if l.distributed {
		// What is set here holds for the workers, too.
		begin.BeginQuery = strings.Replace(begin.BeginQuery, "; ", "; SET LOCAL citus.propagate_set_commands = 'local'; ", 1)
	}
	limited, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return classify(ctx, pgx.BeginTxFunc(limited, l.pool, begin, func(tx pgx.Tx) error { return do(limited, tx) }))
}
