package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loyalty/domain"
	"loyalty/readmodels/ledger/postgres/schema"
)

// Error codes (PostgreSQL documentation, appendix A).
const (
	undefinedTable = "42P01"
	invalidSchema  = "3F000"
	syntaxError    = "42601"
	// checkViolation is also the code for a row that fits no partition.
	checkViolation = "23514"
	// What says that a session is not the one that prepared a statement.
	duplicateStatement, undefinedStatement = "42P05", "26000"
)

// classify wraps an error as domain.ErrUnavailable if a repeat may succeed: all but the ledger's own errors, the end of the caller's context,
// and what Postgres says of the data or the statement itself.
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
	switch code := schema.CodeOf(err); {
	case permanent(code):
		return err
	case code == duplicateStatement, code == undefinedStatement:
		return fmt.Errorf("%w: a pooler gives each transaction another session, but the ledger's address asks for statements prepared by name: take default_query_exec_mode out of it: %w",
			domain.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}

// permanent reports whether an error code is for what a repeat can't change: data that can't be stored, or a statement that is none. All else may
// pass, also what nobody knows yet, because somebody can put it right: give a right, a password or room, make the database, migrate the schema.
func permanent(code string) bool {
	if code == syntaxError {
		return true
	}
	switch code[:min(2, len(code))] {
	case "21", // cardinality violation
		"22", // data exception
		"23", // integrity constraint violation
		"54": // program limit exceeded
		return true
	}
	return false
}

func isMissing(err error) bool {
	code := schema.CodeOf(err)
	return code == undefinedTable || code == invalidSchema
}

// errUnsuitable: a server was reached, and is refused by this package.
var errUnsuitable = fmt.Errorf("%w: the ledger can't be used as it is", domain.ErrUnavailable)

// broken reports whether an error ended a connection that others of the pool may resemble. One of connecting has not, and neither has this package's own.
func broken(err error) bool {
	if _, unreachable := errors.AsType[*pgconn.ConnectError](err); unreachable || errors.Is(err, errUnsuitable) || errors.Is(err, errReplaced) {
		return false
	}
	server, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || server.Severity == "FATAL" || server.Severity == "PANIC"
}

// querier is the pool or a transaction.
type querier interface {
	Query(ctx context.Context, statement string, arguments ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, statement string, arguments ...any) pgx.Row
}

// errReplaced: another ledger took the place of the one that a statement was about to read.
var errReplaced = fmt.Errorf("%w: the ledger was replaced", domain.ErrUnavailable)

// replaced reports whether a read failed because another ledger took the place of this one.
func (l *Ledger) replaced(err error) bool {
	return errors.Is(err, errReplaced) || l.distributed && schema.CodeOf(err) == undefinedTable
}

// noPartition reports whether an error says that a row fits no partition.
func (l *Ledger) noPartition(err error) bool {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && l.distributed && strings.HasPrefix(server.Message, "no partition of relation") {
		return true
	}
	return schema.CodeOf(err) == checkViolation
}

// attempts is how often a read is tried while the ledger is being replaced, which takes milliseconds and is rare.
const attempts = 10

// ask runs a read of one statement, and tries it once more if that may help: on a new connection if the first one broke, since a pooled one may
// have been cut while it was idle; or in a transaction with this package's settings if those of the role ended it, such as a limit of its time.
func ask[T any](ctx context.Context, l *Ledger, read func(context.Context, querier) (T, error)) (answer T, err error) {
	limited, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		if answer, err = read(limited, l.pool); !l.replaced(err) || attempt == attempts {
			break
		}
	}
	if err = classify(ctx, err); !errors.Is(err, domain.ErrUnavailable) || limited.Err() != nil {
		return answer, err
	}
	switch code := schema.CodeOf(err); {
	case code == schema.QueryCanceled, code == schema.LockNotAvailable, len(code) == 5 && code[:2] == "40":
		err = l.transaction(ctx, reading, func(ctx context.Context, tx pgx.Tx) (err error) {
			answer, err = read(ctx, tx)
			return err
		})
	case broken(err):
		l.pool.Reset()
		answer, err = read(limited, l.pool)
	}
	return answer, classify(ctx, err)
}
