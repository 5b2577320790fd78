package postgres

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

const (
	// Every row has the state and the account, and a month from $2 to $3 that has entries; without any it is one row with these alone.
	selectMonths = `SELECT s.commit_position, s.prepare_position, s.as_of, s.ledger,
			coalesce(a.points, 0), a.reached_at, coalesce(a.entries, 0), coalesce(a.forgotten, false),
			coalesce(m.month, 0), coalesce(m.entries, 0), coalesce(m.days, 0), coalesce(m.others, 0), coalesce(m.first_commit, 0), coalesce(m.last_commit, 0)
		FROM ` + latestState + ` s LEFT JOIN ledger.accounts a ON a.customer = $1
		LEFT JOIN (SELECT month, entries, days, others, first_commit, last_commit FROM ledger.sums WHERE customer = $1 AND month >= $2 AND month <= $3
			UNION ALL
			SELECT month, month_entries, month_days, month_others, month_first_commit, commit_position FROM ledger.accounts
			WHERE customer = $1 AND month >= $2 AND month <= $3 AND month_entries > 0) m ON true`
	// The parts of the position are compared and ordered as in the primary key. An empty answer is one row with the ledger's id alone.
	selectEntries = `SELECT s.ledger, ` + entryColumns + `
		FROM ` + latestState + ` s LEFT JOIN (SELECT * FROM ledger.entries
			WHERE customer = $1 AND (commit_position, prepare_position) < ($2, $3)<conditions>
			ORDER BY commit_position DESC, prepare_position DESC LIMIT $4) e ON true
		ORDER BY e.commit_position DESC, e.prepare_position DESC`
	// An order has few entries, and there is an index of orders. OFFSET 0 makes the server use it, not scan the customer's entries.
	entriesOfOrder = `(SELECT * FROM ledger.entries WHERE order_id COLLATE "C" = ANY(?::text[])<days> OFFSET 0) AS of_order`
)

// conditions are those of a filter: their text, and their arguments, which follow before others.
type conditions struct {
	before    int
	text      string
	arguments []any
}

// add adds a condition, in which every ? stands for one of the values.
func (c *conditions) add(condition string, values ...any) {
	c.text += " AND " + c.with(condition, values...)
}

// with is a condition, or another part of the statement, with arguments in the place of each ?.
func (c *conditions) with(condition string, values ...any) string {
	for _, value := range values {
		c.arguments = append(c.arguments, value)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", c.before+len(c.arguments)), 1)
	}
	return condition
}

// occurred adds the bounds of a time, of which a zero one is open.
func (c *conditions) occurred(from, until time.Time) {
	if !from.IsZero() {
		c.add("occurred_at >= ?", from)
	}
	if !until.IsZero() {
		c.add("occurred_at < ?", until)
	}
}

// trail reads the entries of one customer that match a filter and, if it is set, have an event id.
type trail struct {
	customer domain.CustomerID
	ledger.Filter
	eventID any
}

// statement is selectEntries for some days, and its arguments from $5 on. It has no condition for what the filter leaves open, so that the server plans
// for what is set. The days are in the text as ranges, so that it looks into no other partition.
func (t *trail) statement(days []span) (string, []any) {
	c := conditions{before: 4}
	var within []string
	for _, d := range days {
		within = append(within, c.with("occurred_at >= ? AND occurred_at < ?", d.from, d.until))
	}
	c.text = " AND (" + strings.Join(within, " OR ") + ")"
	from := "ledger.entries"
	if t.Order != "" {
		from = strings.Replace(c.with(entriesOfOrder, t.Orders(t.customer)), "<days>", c.text, 1)
	}
	if t.eventID != nil {
		c.add("event_id = ?", t.eventID)
	}
	if len(t.Kinds) > 0 {
		c.add("kind = ANY(?::text[])", t.Kinds)
		if t.withoutAwards() {
			c.add("kind <> 'award'") // there is an index with this condition
		}
	}
	if t.Channel != "" {
		c.add("channel = ?", string(t.Channel))
	}
	c.occurred(t.From, t.Until)
	if t.After != (domain.Position{}) {
		c.add("(commit_position, prepare_position) > (?, ?)", int64(t.After.Commit), int64(t.After.Prepare))
	}
	return strings.NewReplacer("FROM ledger.entries", "FROM "+from, "<conditions>", c.text).Replace(selectEntries), c.arguments
}

func (t *trail) withoutAwards() bool {
	return len(t.Kinds) > 0 && !slices.Contains(t.Kinds, ledger.Award)
}

// selective reports whether the number of entries does not tell how many match.
func (t *trail) selective() bool {
	return len(t.Kinds) > 0 || t.Channel != "" || t.Order != "" || t.eventID != nil || !t.From.IsZero() || !t.Until.IsZero()
}

// months are the range of months that may have matching entries.
func (t *trail) months() (first, last int32) {
	last = math.MaxInt32
	if !t.From.IsZero() {
		first = int32(monthOf(t.From))
	}
	if !t.Until.IsZero() {
		last = int32(monthOf(t.Until))
	}
	return max(first, 0), last
}

// Trail reads a page of a customer's entries; see ledger.Reader.
func (l *Ledger) Trail(ctx context.Context, customer domain.CustomerID, filter ledger.Filter, cursor string, limit int) (ledger.Trail, error) {
	return ledger.ReadTrail(customer, filter, cursor, limit, func(before domain.Position, most int) (ledger.Trail, error) {
		page, err := l.page(ctx, trail{customer: customer, Filter: filter}, before, most)
		if err != nil {
			return page, fmt.Errorf("ledger trail: %w", err)
		}
		return page, nil
	})
}

// page reads at most so many entries before a position. The first statement finds the account and the days that have entries, and the next reads from
// their partitions; seldom there are more. The answer is as of the first: entries never change, and later ones are left out.
func (l *Ledger) page(ctx context.Context, t trail, before domain.Position, most int) (ledger.Trail, error) {
	return ask(ctx, l, func(ctx context.Context, q querier) (ledger.Trail, error) {
		page, ledgerID, months, err := l.activeMonths(ctx, q, &t)
		if err != nil {
			return page, err
		}
		end := before
		if page.Position.Before(before) {
			end = domain.Position{Commit: page.Position.Commit, Prepare: page.Position.Prepare + 1}
		}
		months = slices.DeleteFunc(months, func(m monthly) bool {
			return uint64(m.first) > end.Commit || uint64(m.last) < t.After.Commit || t.withoutAwards() && m.others == 0
		})
		for daysAtOnce := fewDays; len(page.Entries) < most && len(months) > 0; daysAtOnce = min(4*daysAtOnce, manyDays) {
			var some []monthly
			enough := most - len(page.Entries)
			if t.selective() {
				enough = math.MaxInt
			}
			some, months = newest(months, enough, daysAtOnce)
			if page.Entries, err = l.appendEntries(ctx, q, page.Entries, ledgerID, &t, daysOf(some, t.withoutAwards()), end, most); err != nil {
				return page, err
			}
		}
		return page, nil
	})
}

// Of how many days a statement reads the entries at once, in the first and at most.
const (
	fewDays  = 40
	manyDays = 640
)

// activeMonths reads the state, which ledger it is of, the account, and the months that may have matching entries, those with the last entries
// first. The points of the months are not read.
func (l *Ledger) activeMonths(ctx context.Context, q querier, t *trail) (page ledger.Trail, ledgerID int64, months []monthly, err error) {
	first, last := t.months()
	rows, err := q.Query(ctx, l.in(selectMonths), string(t.customer), first, last)
	if err != nil {
		return page, 0, nil, err
	}
	var s stateRow
	var a accountRow
	var m monthly
	targets := append(append(append(s.targets(), &ledgerID), a.targets()...), &m.month, &m.entries, &m.days, &m.others, &m.first, &m.last)
	err = eachRow(rows, targets, func() error {
		page.State, page.Account = s.state(), a.account(t.customer)
		if m.entries > 0 {
			months = append(months, m)
		}
		return nil
	})
	slices.SortFunc(months, func(a, b monthly) int { return -cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.first, b.first)) })
	return page, ledgerID, months, err
}

// newest divides months, of which at least one is left, into some and the rest: each entry of some is later in the log than all of the rest. It ends with
// enough entries, or before more than so many days.
func newest(months []monthly, enough, most int) (some, rest []monthly) {
	var entries, days int
	first := int64(math.MaxInt64)
	for i, m := range months {
		entries, days = entries+int(m.entries), days+bits.OnesCount32(uint32(m.days))
		first = min(first, m.first)
		if last := i+1 == len(months); last || months[i+1].last < first && (entries >= enough || days+bits.OnesCount32(uint32(months[i+1].days)) > most) {
			return months[:i+1], months[i+1:]
		}
	}
	return months, nil
}

// daysOf are the days of months that have entries, or any but awards, as ranges: days in a row are one.
func daysOf(months []monthly, withoutAwards bool) (ranges []span) {
	for _, m := range months {
		days := m.days
		if withoutAwards {
			days = m.others
		}
		for n := 0; days>>n != 0; n++ {
			if days>>n&1 == 0 {
				continue
			}
			begin := m.month.start().AddDate(0, 0, n)
			if last := len(ranges) - 1; last >= 0 && ranges[last].until.Equal(begin) {
				ranges[last].until = begin.AddDate(0, 0, 1)
			} else {
				ranges = append(ranges, span{begin, begin.AddDate(0, 0, 1)})
			}
		}
	}
	return ranges
}

// appendEntries reads matching entries of some days before a position, newest first, up to most with those that are there already.
func (l *Ledger) appendEntries(ctx context.Context, q querier, entries []ledger.Entry, ledgerID int64, t *trail, days []span, before domain.Position, most int) ([]ledger.Entry, error) {
	if len(days) == 0 {
		return entries, nil
	}
	statement, arguments := t.statement(days)
	arguments = append([]any{string(t.customer), int64(before.Commit), int64(before.Prepare), most - len(entries)}, arguments...)
	rows, err := q.Query(ctx, l.in(statement), arguments...)
	if err != nil {
		return nil, err
	}
	var now int64
	var e entryRow
	err = eachRow(rows, append([]any{&now}, e.targets()...), func() error {
		if now != ledgerID {
			return errReplaced
		}
		if e.commit.Valid {
			entries = append(entries, e.entry(t.customer))
		}
		return nil
	})
	return entries, err
}
