package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// rowsAtOnce is how many rows one statement inserts: enough that the cost of a call no longer shows.
const rowsAtOnce = 50

// statement inserts any number of rows: its head, as many rows of columns as needed, its tail.
type statement struct {
	head    string
	columns int
	tail    string
}

func (s statement) text(n int) string {
	row := "(?" + strings.Repeat(",?", s.columns-1) + ")"
	return s.head + " VALUES " + row + strings.Repeat(","+row, n-1) + s.tail
}

// rows is a statement with its form for rowsAtOnce rows prepared.
type rows struct {
	statement
	full *sql.Stmt
}

// run runs the statement for all values, one row after another, and hands what it returns to each, if that is not nil.
func (r rows) run(ctx context.Context, tx *sql.Tx, values []any, each func(*sql.Rows) error) error {
	full := tx.StmtContext(ctx, r.full)
	for whole := rowsAtOnce * r.columns; len(values) >= whole; values = values[whole:] {
		if err := drain(each)(full.QueryContext(ctx, values[:whole]...)); err != nil {
			return err
		}
	}
	if len(values) == 0 {
		return nil
	}
	return drain(each)(tx.QueryContext(ctx, r.text(len(values)/r.columns), values...))
}

func drain(each func(*sql.Rows) error) func(*sql.Rows, error) error {
	return func(returned *sql.Rows, err error) error {
		if err != nil {
			return err
		}
		defer returned.Close()
		for returned.Next() {
			if err := each(returned); err != nil {
				return err
			}
		}
		return returned.Err()
	}
}

// micros is how a time is stored: whole microseconds since 1970, as Postgres keeps them too, or NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(stored sql.Null[int64]) time.Time {
	if !stored.Valid {
		return time.Time{}
	}
	return time.UnixMicro(stored.V).UTC()
}
