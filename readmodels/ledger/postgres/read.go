package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Every statement that reads is one snapshot, of one ledger even during a switch. What takes several, all accounts, a trail and a search, compares which
// ledger they read.
const (
	// latestState is the one row of the state, found at once however many former versions of it are still kept. It comes first in a statement, whose
	// tables are looked up by name one after the other: if a switch has given the names to others before the statement is run, there is no row.
	latestState = `(SELECT * FROM ledger.state` + stillLive + ` ORDER BY n DESC LIMIT 1)`
	stillLive   = ` WHERE tableoid = to_regclass('ledger.state')`

	selectState       = `SELECT commit_position, prepare_position, as_of, origin, ledger FROM ` + latestState + ` s`
	selectOutstanding = `SELECT outstanding FROM ` + latestState + ` s`
	selectAccount     = `SELECT s.commit_position, s.prepare_position, s.as_of,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0), coalesce(a.forgotten, false)
		FROM ` + latestState + ` s LEFT JOIN ledger.accounts a ON a.customer = $1`
)

// Checkpoint reads how far the log is applied; see ledger.Writer.
func (l *Ledger) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	at, _, err := l.now(ctx)
	if err != nil {
		return domain.Checkpoint{}, fmt.Errorf("ledger checkpoint: %w", err)
	}
	return at.Checkpoint, nil
}

// now reads the state, and which ledger it is of, and records how far it is.
func (l *Ledger) now(ctx context.Context) (at ledger.Snapshot, ledgerID int64, err error) {
	end := l.progress.BeginRead()
	at, err = ask(ctx, l, func(ctx context.Context, q querier) (ledger.Snapshot, error) {
		var s stateRow
		var origin string
		if err := replacedIfNone(q.QueryRow(ctx, l.in(selectState)).Scan(append(s.targets(), &origin, &ledgerID)...)); err != nil {
			return ledger.Snapshot{}, err
		}
		return ledger.NewSnapshot(s.state(), origin)
	})
	if err == nil {
		end(at.Position)
	}
	return at, ledgerID, err
}

// settled is now, when no batch is on its way to some node that another has: nodes of a distributed ledger commit one after the other, and a writer holds
// its lock until all have. From then on no node goes back before that.
func (l *Ledger) settled(ctx context.Context) (at ledger.Snapshot, ledgerID int64, err error) {
	if l.distributed {
		err = l.transaction(ctx, switching, func(context.Context, pgx.Tx) error { return nil })
	}
	if err == nil {
		at, ledgerID, err = l.now(ctx)
	}
	return at, ledgerID, err
}

// pollInterval is how often a process with waiting readers polls the checkpoint, since the writer may be another process. LISTEN and
// NOTIFY would be some milliseconds faster, but take a connection of their own, which poolers and distributed engines don't offer.
const pollInterval = 10 * time.Millisecond

// Wait blocks until the ledger reflects position; see ledger.Reader. An Apply in this process wakes it at once, an Apply in another
// within a few times pollInterval.
func (l *Ledger) Wait(ctx context.Context, position domain.Position) error {
	return l.progress.Wait(ctx, position, pollInterval, l.Checkpoint)
}

// Outstanding is the sum of all totals, negative ones included. It is stored beside the checkpoint: reading it takes the same time for
// any number of customers.
func (l *Ledger) Outstanding(ctx context.Context) (domain.Points, error) {
	points, err := ask(ctx, l, func(ctx context.Context, q querier) (points domain.Points, err error) {
		err = replacedIfNone(q.QueryRow(ctx, l.in(selectOutstanding)).Scan(&points))
		return points, err
	})
	if err != nil {
		return 0, fmt.Errorf("outstanding points: %w", err)
	}
	return points, nil
}

// Account reads a customer's total; see ledger.Reader.
func (l *Ledger) Account(ctx context.Context, customer domain.CustomerID) (ledger.Account, ledger.State, error) {
	page, err := ask(ctx, l, func(ctx context.Context, q querier) (ledger.Trail, error) {
		var s stateRow
		var a accountRow
		err := replacedIfNone(q.QueryRow(ctx, l.in(selectAccount), string(customer)).Scan(append(s.targets(), a.targets()...)...))
		return ledger.Trail{Account: a.account(customer), State: s.state()}, err
	})
	if err != nil {
		return ledger.Account{}, ledger.State{}, fmt.Errorf("ledger account: %w", err)
	}
	return page.Account, page.State, nil
}

// stream is snapshot in a transaction of its own, without a bound but ctx. While it runs, vacuum can't remove row versions that are newer than its
// snapshot.
func (l *Ledger) stream(ctx context.Context, what, statement string, values, targets []any, each func() error) (state ledger.State, err error) {
	for attempt := 1; ; attempt++ {
		beginning := pgx.BeginTxFunc(ctx, l.pool, streaming, func(tx pgx.Tx) error {
			state, err = l.snapshot(ctx, tx, what, statement, values, targets, each)
			return err
		})
		if err == nil && beginning != nil {
			err = fmt.Errorf("%s: %w", what, classify(ctx, beginning))
		}
		if !errors.Is(err, errReplaced) || attempt == attempts {
			return state, err
		}
	}
}

// eachRow scans rows into targets and calls each after every row. It is errReplaced if there are none.
func eachRow(rows pgx.Rows, targets []any, each func() error) error {
	none := true
	_, err := pgx.ForEachRow(rows, targets, func() error {
		none = false
		return each()
	})
	if err == nil && none {
		return errReplaced
	}
	return err
}

func replacedIfNone(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errReplaced
	}
	return err
}

// snapshot scans what a statement selects beside the state into targets, row after row, and calls each after every row.
func (l *Ledger) snapshot(ctx context.Context, q querier, what, statement string, values, targets []any, each func() error) (ledger.State, error) {
	// Ending the query's context stops the server from sending the rest.
	query, cancel := context.WithCancel(ctx)
	defer cancel()
	found, err := q.Query(query, l.in(statement), values...)
	if err != nil {
		return ledger.State{}, fmt.Errorf("%s: %w", what, classify(ctx, err))
	}
	var s stateRow
	var stopped error
	err = eachRow(found, append(s.targets(), targets...), func() error {
		if stopped = each(); stopped != nil {
			cancel()
		}
		return stopped
	})
	switch {
	case stopped != nil:
		return ledger.State{}, stopped
	case err != nil:
		return ledger.State{}, fmt.Errorf("%s: %w", what, classify(ctx, err))
	}
	return s.state(), nil
}
