// Package postgres keeps the ledger in PostgreSQL 15 or later, or in an engine that speaks as it does.
//
// All is in the schema ledger of the database that the address names; a copy that is being folded beside the live ledger
// is in one whose name starts with ledger_copy_. Any number of processes may open, read and feed the same ledger.
//
// A batch is one transaction, its checkpoint included, and is on the disk when Apply returns. Who would rather have it there
// a moment later may set synchronous_commit=off in the address's options: what a crash of the server then takes away goes
// with its checkpoint, and is folded again from the log, which is forced to the disk.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Ledger is a ledger in a Postgres database. It is a ledger.Reader, Finder, Auditor, Earner, Writer and Rebuilder.
type Ledger struct {
	pool *pgxpool.Pool
	// schema is where the ledger is: live, but for a copy.
	schema   string
	progress progress
	months   months
}

var (
	_ ledger.Reader    = (*Ledger)(nil)
	_ ledger.Finder    = (*Ledger)(nil)
	_ ledger.Auditor   = (*Ledger)(nil)
	_ ledger.Earner    = (*Ledger)(nil)
	_ ledger.Writer    = (*Ledger)(nil)
	_ ledger.Rebuilder = (*Ledger)(nil)
)

// What holds where the address says nothing else.
const (
	connections    = 16
	connectTimeout = 5 * time.Second
	// answerTimeout bounds what a caller's context leaves open, so that a server that has vanished without a word is
	// unavailable in the end. Accounts is without it: it takes as long as it takes.
	answerTimeout = time.Minute
)

// Open connects to the ledger in the database at address (postgres://user:password@host/database?…), and makes its schema or
// brings it up to date where needed; processes that open it at once take turns. The address may set what libpq's may, and
// pool_max_conns (default 16) and connect_timeout (in seconds, default 5). Close it after use.
func Open(ctx context.Context, address string) (*Ledger, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("the ledger's address: %w", err)
	}
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = connections
	}
	if !strings.Contains(address, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if _, set := config.ConnConfig.RuntimeParams["application_name"]; !set {
		config.ConnConfig.RuntimeParams["application_name"] = "loyalty"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", classify(ctx, err))
	}
	l := newLedger(pool, live)
	if err := l.migrate(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("ledger: %w", classify(ctx, err))
	}
	return l, nil
}

func newLedger(pool *pgxpool.Pool, schema string) *Ledger {
	return &Ledger{pool: pool, schema: schema, progress: newProgress()}
}

// in is a statement that names its tables in the schema ledger, for the schema that the ledger is in.
func (l *Ledger) in(statement string) string {
	if l.schema == live {
		return statement
	}
	return strings.ReplaceAll(statement, live+".", l.schema+".")
}

// Close waits for what is running and closes all connections. Every method then returns domain.ErrUnavailable.
func (l *Ledger) Close() error {
	l.pool.Close()
	return nil
}

// classify marks an error after which trying again may succeed as domain.ErrUnavailable: every one but the ledger's own
// answers, the end of the caller's context, and what Postgres says about the content or the statement.
func classify(ctx context.Context, err error) error {
	for _, final := range []error{nil, domain.ErrInvalid, domain.ErrNotFound, domain.ErrCheckpointMoved, domain.ErrPointsLimit, domain.ErrNotCaughtUp, domain.ErrUnavailable} {
		if errors.Is(err, final) {
			return err
		}
	}
	if ended := ctx.Err(); ended != nil && err != nil {
		if errors.Is(err, ended) {
			return err
		}
		return fmt.Errorf("%w: %w", ended, err)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && !passing(refused.Code) {
		return err
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}

const lockNotAvailable = "55P03"

// passing tells whether a condition of the server's (appendix A of its manual) may pass by itself.
func passing(code string) bool {
	switch code {
	case "25006", // read_only_sql_transaction: the server has become a standby
		lockNotAvailable,
		"57014": // query_canceled, though not by the caller, whose context is still good
		return true
	}
	switch code[:min(2, len(code))] {
	case "08", // connection exception
		"40", // transaction rollback: a deadlock, a serialization failure
		"53", // insufficient resources
		"57", // operator intervention: shutdown, crash, start-up
		"58": // system error outside the server
		return true
	}
	return false
}

// ask runs a read that may be repeated. A connection that was cut since it was last used says nothing about the server, so
// the read gets a second try, on a new one; not being able to connect does.
func ask[T any](ctx context.Context, l *Ledger, read func(context.Context) (T, error)) (answer T, err error) {
	limited, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		answer, err = read(limited)
		err = classify(ctx, err)
		if attempt == 2 || !errors.Is(err, domain.ErrUnavailable) || limited.Err() != nil {
			return answer, err
		}
		if _, unreachable := errors.AsType[*pgconn.ConnectError](err); unreachable {
			return answer, err
		}
		l.pool.Reset()
	}
}
