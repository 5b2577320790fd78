package postgres

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// stateRow, accountRow and entryRow receive one row after another. NULL is zero.
type stateRow struct {
	commit, prepare int64
	asOf            pgtype.Timestamptz
}

func (s *stateRow) targets() []any { return []any{&s.commit, &s.prepare, &s.asOf} }

func (s *stateRow) state() ledger.State {
	return ledger.State{Position: domain.Position{Commit: uint64(s.commit), Prepare: uint64(s.prepare)}, AsOf: s.asOf.Time.UTC()}
}

type accountRow struct {
	points, entries pgtype.Int8
	reachedAt       pgtype.Timestamptz
	forgotten       pgtype.Bool
}

func (a *accountRow) targets() []any {
	return []any{&a.points, &a.reachedAt, &a.entries, &a.forgotten}
}

func (a *accountRow) account(customer domain.CustomerID) ledger.Account {
	return ledger.Account{Customer: customer, Points: domain.Points(a.points.Int64), ReachedAt: a.reachedAt.Time.UTC(), Entries: a.entries.Int64, Forgotten: a.forgotten.Bool}
}

type entryRow struct {
	commit, prepare, points, total, revision, amount          pgtype.Int8
	id                                                        pgtype.UUID
	occurredAt                                                pgtype.Timestamptz
	kind, stream, order, returned, loyalty, currency, channel pgtype.Text
	actor, reason, correlation                                pgtype.Text
}

// entryColumns are the columns of an entry, in the order of entryRow.targets.
const entryColumns = `e.commit_position, e.prepare_position, e.event_id, e.kind, e.points, e.total, e.occurred_at, e.stream, e.revision,
	e.order_id, e.return_id, e.loyalty_id, e.amount_minor, e.currency, e.channel, e.actor, e.reason, e.correlation`

func (e *entryRow) targets() []any {
	return []any{&e.commit, &e.prepare, &e.id, &e.kind, &e.points, &e.total, &e.occurredAt, &e.stream, &e.revision,
		&e.order, &e.returned, &e.loyalty, &e.amount, &e.currency, &e.channel, &e.actor, &e.reason, &e.correlation}
}

func (e *entryRow) entry(customer domain.CustomerID) ledger.Entry {
	return ledger.Entry{
		EventID: uuid.UUID(e.id.Bytes).String(), Customer: customer, Kind: ledger.Kind(e.kind.String),
		Points: domain.Points(e.points.Int64), Total: domain.Points(e.total.Int64), OccurredAt: e.occurredAt.Time.UTC(),
		Position: domain.Position{Commit: uint64(e.commit.Int64), Prepare: uint64(e.prepare.Int64)},
		Stream:   e.stream.String, Revision: uint64(e.revision.Int64),
		Order: domain.OrderID(e.order.String), Return: domain.ReturnID(e.returned.String), Loyalty: domain.LoyaltyID(e.loyalty.String),
		Amount:  domain.Money{Minor: e.amount.Int64, Currency: domain.Currency(e.currency.String)},
		Channel: domain.Channel(e.channel.String), Actor: e.actor.String, Reason: e.reason.String, Correlation: e.correlation.String,
	}
}
