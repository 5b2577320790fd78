package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// monthly is what a customer has had of one month: a row of sums, or that part of an account.
type monthly struct {
	month           month
	points, entries int64
	// reachedAt is when the last entry of other than 0 points occurred, the zero time if there is none, and changed its place in the log.
	reachedAt time.Time
	changed   domain.Position
	// Entries are in commits from first to last; some at either may be of other months.
	first, last int64
	// Bit n is set if there are entries of day n+1, and of others if there are any but awards.
	days, others int32
}

// add adds an entry of the month. Entries are added in the order of the log.
func (m *monthly) add(e *ledger.Entry) {
	bit := int32(1) << (e.OccurredAt.UTC().Day() - 1)
	m.points, m.entries, m.days = m.points+int64(e.Points), m.entries+1, m.days|bit
	if e.Kind != ledger.Award {
		m.others |= bit
	}
	if e.Points != 0 {
		m.reachedAt, m.changed = e.OccurredAt, e.Position
	}
	if m.entries == 1 {
		m.first = int64(e.Position.Commit)
	}
	m.last = int64(e.Position.Commit)
}

// account is a row of accounts as a batch changes it.
type account struct {
	points, entries int64
	reachedAt       time.Time
	month           monthly
	bucket          ledger.Bucket
}

// effects are what a batch changes: the accounts as they are after it, and what it adds to sums. totals has the customer's total after each entry.
type effects struct {
	accounts map[domain.CustomerID]*account
	sums     map[sumKey]*monthly
	totals   []domain.Points
}

type sumKey struct {
	customer domain.CustomerID
	month    month
}

// effectsOf folds a batch's entries into the accounts before it.
func effectsOf(entries []ledger.Entry, accounts map[domain.CustomerID]*account) effects {
	f := effects{accounts: accounts, sums: map[sumKey]*monthly{}, totals: make([]domain.Points, len(entries))}
	for i := range entries {
		e := &entries[i]
		a := accounts[e.Customer]
		if a == nil {
			a = &account{bucket: e.Bucket}
			accounts[e.Customer] = a
		}
		a.points, a.entries = a.points+int64(e.Points), a.entries+1
		f.totals[i] = domain.Points(a.points)
		if e.Points != 0 {
			a.reachedAt = e.OccurredAt
		}
		switch m := monthOf(e.OccurredAt); {
		case m < a.month.month && a.month.entries > 0:
			f.sum(e.Customer, m).add(e)
			continue
		case m != a.month.month:
			if a.month.entries > 0 {
				f.over(e.Customer, a.month)
			}
			a.month = monthly{month: m}
		}
		a.month.add(e)
	}
	return f
}

func (f *effects) sum(customer domain.CustomerID, m month) *monthly {
	key := sumKey{customer, m}
	if f.sums[key] == nil {
		f.sums[key] = &monthly{month: m}
	}
	return f.sums[key]
}

// over moves a month that is over from an account to the sums. Entries of it that come late come after that.
func (f *effects) over(customer domain.CustomerID, was monthly) {
	*f.sum(customer, was.month) = was
}

const (
	selectChanging = `SELECT customer, points, reached_at, entries, month, month_points, month_entries, month_reached_at, month_changed_commit,
			month_changed_prepare, month_first_commit, commit_position, month_days, month_others
		FROM ledger.accounts WHERE customer = ANY($1::text[])`
	upsertAccounts = `INSERT INTO ledger.accounts AS a (commit_position, prepare_position, customer, points, reached_at, entries, drawer, month, month_points,
			month_entries, month_reached_at, month_changed_commit, month_changed_prepare, month_first_commit, month_days, month_others)
		SELECT $1::bigint, $2::bigint, * FROM unnest($3::text[], $4::bigint[], $5::timestamptz[], $6::bigint[], $7::smallint[], $8::integer[], $9::bigint[],
			$10::bigint[], $11::timestamptz[], $12::bigint[], $13::bigint[], $14::bigint[], $15::integer[], $16::integer[])
		ON CONFLICT (customer) DO UPDATE SET commit_position = excluded.commit_position, prepare_position = excluded.prepare_position,
			points = excluded.points, reached_at = excluded.reached_at, entries = excluded.entries, month = excluded.month,
			month_points = excluded.month_points, month_entries = excluded.month_entries, month_reached_at = excluded.month_reached_at,
			month_changed_commit = excluded.month_changed_commit, month_changed_prepare = excluded.month_changed_prepare,
			month_first_commit = excluded.month_first_commit, month_days = excluded.month_days, month_others = excluded.month_others`
	addSums = `INSERT INTO ledger.sums AS s (customer, month, points, entries, reached_at, changed_commit, changed_prepare, first_commit, last_commit, days, others)
		SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
			$10::integer[], $11::integer[])
		ON CONFLICT (customer, month) DO UPDATE SET points = s.points + excluded.points, entries = s.entries + excluded.entries,
			reached_at = CASE WHEN (excluded.changed_commit, excluded.changed_prepare) > (s.changed_commit, s.changed_prepare)
				THEN excluded.reached_at ELSE s.reached_at END,
			(changed_commit, changed_prepare) = (SELECT * FROM (VALUES (s.changed_commit, s.changed_prepare), (excluded.changed_commit, excluded.changed_prepare)) p
				ORDER BY 1 DESC, 2 DESC LIMIT 1),
			first_commit = least(s.first_commit, excluded.first_commit), last_commit = greatest(s.last_commit, excluded.last_commit),
			days = s.days | excluded.days, others = s.others | excluded.others`
)

// queueChanging asks for the accounts of some customers before a batch.
func (l *Ledger) queueChanging(all *pgx.Batch, customers []string, accounts map[domain.CustomerID]*account) {
	all.Queue(l.in(selectChanging), customers).Query(func(rows pgx.Rows) error {
		var customer string
		var a account
		var reached, monthReached pgtype.Timestamptz
		var changedCommit, changedPrepare int64
		m := &a.month
		_, err := pgx.ForEachRow(rows, []any{&customer, &a.points, &reached, &a.entries, &m.month, &m.points, &m.entries, &monthReached, &changedCommit,
			&changedPrepare, &m.first, &m.last, &m.days, &m.others}, func() error {
			a.reachedAt, m.reachedAt = reached.Time, monthReached.Time
			m.changed = domain.Position{Commit: uint64(changedCommit), Prepare: uint64(changedPrepare)}
			kept := a
			accounts[domain.CustomerID(customer)] = &kept
			return nil
		})
		return err
	})
}

// queueEffects writes what a batch changes.
func (l *Ledger) queueEffects(all *pgx.Batch, to domain.Position, f effects) {
	customers := make([]string, 0, len(f.accounts))
	for customer := range f.accounts {
		customers = append(customers, string(customer))
	}
	slices.Sort(customers) // neighbours share the pages of the key
	n := len(customers)
	points, reached, entries, buckets := make([]int64, n), make([]*time.Time, n), make([]int64, n), make([]int16, n)
	months := newMonthlies(n)
	for i, customer := range customers {
		a := f.accounts[domain.CustomerID(customer)]
		points[i], reached[i], entries[i], buckets[i] = a.points, instant(&a.reachedAt), a.entries, int16(a.bucket)
		months.set(i, &a.month)
	}
	if n > 0 {
		all.Queue(l.in(upsertAccounts), int64(to.Commit), int64(to.Prepare), customers, points, reached, entries, buckets, months.month, months.points,
			months.entries, months.reached, months.changedCommit, months.changedPrepare, months.first, months.days, months.others).
			Exec(func(pgconn.CommandTag) error { return nil })
	}
	if len(f.sums) == 0 {
		return
	}
	keys := make([]sumKey, 0, len(f.sums))
	for key := range f.sums {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b sumKey) int {
		return cmp.Or(cmp.Compare(a.month, b.month), cmp.Compare(a.customer, b.customer))
	})
	customers, months = make([]string, len(keys)), newMonthlies(len(keys))
	for i, key := range keys {
		customers[i] = string(key.customer)
		months.set(i, f.sums[key])
	}
	all.Queue(l.in(addSums), customers, months.month, months.points, months.entries, months.reached, months.changedCommit, months.changedPrepare,
		months.first, months.last, months.days, months.others).Exec(func(pgconn.CommandTag) error { return nil })
}

// monthlies are the columns of some rows.
type monthlies struct {
	month, days, others                                         []int32
	points, entries, changedCommit, changedPrepare, first, last []int64
	reached                                                     []*time.Time
}

func newMonthlies(n int) monthlies {
	return monthlies{make([]int32, n), make([]int32, n), make([]int32, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n),
		make([]int64, n), make([]int64, n), make([]*time.Time, n)}
}

func (c *monthlies) set(i int, m *monthly) {
	c.month[i], c.days[i], c.others[i], c.reached[i] = int32(m.month), m.days, m.others, instant(&m.reachedAt)
	c.points[i], c.entries[i], c.first[i], c.last[i] = m.points, m.entries, m.first, m.last
	c.changedCommit[i], c.changedPrepare[i] = int64(m.changed.Commit), int64(m.changed.Prepare)
}
