// Package postgres keeps the ledger in PostgreSQL 15 or later, or in a compatible engine.
//
// Everything is in the schema ledger of the database; a copy, during a rebuild, is in a schema whose name starts with ledger_copy_. Any
// number of processes may open, read and feed the same ledger.
//
// A batch and its checkpoint are one transaction, which is durable when Apply returns. For speed, synchronous_commit=off may be set in
// the address's options: what a crash of the server then loses, it loses with its checkpoint, and it is folded again from the log.
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
	// schema is live, or the schema of a copy.
	schema   string
	progress *ledger.Progress
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

// Defaults that the address can change, except answerTimeout.
const (
	connections    = 16
	connectTimeout = 5 * time.Second
	// answerTimeout bounds every statement beside the caller's context, because a server can vanish without closing its connections.
	// Streams (Accounts, Hours) are unbounded.
	answerTimeout = time.Minute
)

// Open connects to the ledger in the database at address (postgres://user:password@host/database?…), and creates or migrates its
// schema where needed; processes that open it at once take turns. The address may set libpq's parameters, pool_max_conns (default 16)
// and connect_timeout (in seconds, default 5). Close the ledger after use.
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
	return &Ledger{pool: pool, schema: schema, progress: ledger.NewProgress()}
}

// in puts the ledger's own schema into a statement that names the tables in the schema ledger.
func (l *Ledger) in(statement string) string {
	if l.schema == live {
		return statement
	}
	return strings.ReplaceAll(statement, live+".", l.schema+".")
}

// Close waits for running statements and closes all connections. Every method then returns domain.ErrUnavailable.
func (l *Ledger) Close() error {
	l.pool.Close()
	return nil
}

// classify wraps an error as domain.ErrUnavailable if a retry may succeed: all but the ledger's own errors, the end of the caller's
// context, and Postgres's errors about the content or the statement.
func classify(ctx context.Context, err error) error {
	for _, final := range []error{nil, domain.ErrInvalid, domain.ErrNotFound, domain.ErrCheckpointMoved, domain.ErrNotCaughtUp, domain.ErrUnavailable} {
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
	var server *pgconn.PgError
	if errors.As(err, &server) && !transient(server.Code) {
		return err
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}

const lockNotAvailable = "55P03"

// transient reports whether an error code (PostgreSQL documentation, appendix A) stands for a condition that may end by itself.
func transient(code string) bool {
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

// ask runs a read, and retries it once on a new connection: a pooled connection may have been cut while it was idle, although the
// server is available. If connecting fails, there is no retry.
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
