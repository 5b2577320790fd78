package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// day counts the days since 1970, UTC. Each has a partition of the table entries, but those of a month that has one: until version 9 of the
// schema months had.
type day int

const secondsOfDay = 24 * 60 * 60

func dayOf(t time.Time) day {
	seconds := t.Unix()
	if seconds < 0 {
		seconds -= secondsOfDay - 1 // a quotient is rounded towards 0
	}
	return day(seconds / secondsOfDay)
}

func (d day) start() time.Time { return time.Unix(int64(d)*secondsOfDay, 0).UTC() }

func (d day) partition() partition {
	return partition{d.start().Format("entries_2006_01_02"), monthOf(d.start()).formerPartition(), "entries", since1970(d.start()), since1970((d + 1).start())}
}

// month counts the months since January of year 0, UTC. Each has a partition of the table sums.
type month int

func monthOf(t time.Time) month {
	t = t.UTC()
	return month(t.Year()*12 + int(t.Month()) - 1)
}

func (m month) start() time.Time {
	return time.Date(0, time.January+time.Month(m), 1, 0, 0, 0, 0, time.UTC)
}

func (m month) partition() partition {
	name := m.start().Format("sums_2006_01")
	return partition{name, name, "sums", fmt.Sprint(int(m)), fmt.Sprint(int(m + 1))}
}

// formerPartition is the name of the month's partition of entries, as "entries_2026_03".
func (m month) formerPartition() string { return m.start().Format("entries_2006_01") }

// endOf is the end of the time of whose entries a partition is, by its name.
func endOf(partition string) time.Time {
	if t, err := time.Parse("entries_2006_01_02", partition); err == nil {
		return t.AddDate(0, 0, 1)
	}
	t, _ := time.Parse("entries_2006_01", partition)
	return t.AddDate(0, 1, 0)
}

func since1970(t time.Time) string { return fmt.Sprintf("to_timestamp(%d)", t.Unix()) }

// partition is a table that holds the rows of a parent from a bound (inclusive) until another (exclusive). It is not made where there is a table with
// the name of other.
type partition struct{ name, other, parent, from, until string }

// knownPartitions are those that this process knows to exist.
type knownPartitions struct {
	mu    sync.Mutex
	known map[partition]bool
}

// missing lists the partitions that a batch needs and that are not known: those of its entries' days and months, and of the day and the month after its
// last entry, so that they exist before these begin.
func (p *knownPartitions) missing(entries []ledger.Entry) (all []partition) {
	if len(entries) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := map[partition]bool{}
	need := func(one partition) {
		if !p.known[one] && !wanted[one] {
			wanted[one] = true
			all = append(all, one)
		}
	}
	last := dayOf(entries[len(entries)-1].OccurredAt)
	for d, i := last+1, 0; ; i++ {
		need(d.partition())
		need(monthOf(d.start()).partition())
		for i < len(entries) && dayOf(entries[i].OccurredAt) == d {
			i++
		}
		if i == len(entries) {
			return all
		}
		d = dayOf(entries[i].OccurredAt)
	}
}

func (p *knownPartitions) learn(all []partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[partition]bool{}
	}
	for _, one := range all {
		p.known[one] = true
	}
}

func (p *knownPartitions) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = nil
}

// makePartitions creates the wanted partitions where they are missing, in a transaction of its own. It creates a table and attaches it, because
// CREATE TABLE … PARTITION OF would lock out readers and writers.
func (l *Ledger) makePartitions(ctx context.Context, wanted []partition) error {
	err := l.transaction(ctx, writing, func(ctx context.Context, tx pgx.Tx) error {
		// One process at a time.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(partitionLock)); err != nil {
			return err
		}
		for _, one := range wanted {
			if err := l.makePartition(ctx, tx, one); err != nil {
				return fmt.Errorf("the partition %s: %w", one.name, err)
			}
		}
		return nil
	})
	if err == nil {
		l.partitions.learn(wanted)
	}
	return err
}

func (l *Ledger) makePartition(ctx context.Context, tx pgx.Tx, p partition) error {
	table := l.schema + "." + p.name
	var there bool
	err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL OR to_regclass($2) IS NOT NULL`, table, l.schema+"."+p.other).Scan(&there)
	if err != nil || there {
		return err
	}
	text := strings.NewReplacer("<table>", table, "<parent>", l.schema+"."+p.parent, "<from>", p.from, "<until>", p.until)
	for _, statement := range []string{
		`CREATE TABLE <table> (LIKE <parent> INCLUDING DEFAULTS)`,
		`ALTER TABLE <parent> ATTACH PARTITION <table> FOR VALUES FROM (<from>) TO (<until>)`,
	} {
		if _, err := tx.Exec(ctx, text.Replace(statement), pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

// archived returns an error if there are entries in some ranges of time whose partitions were taken away.
func (l *Ledger) archived(ctx context.Context, ranges [2]span) error {
	missing, err := ask(ctx, l, func(ctx context.Context, q querier) (missing []string, err error) {
		kept, err := l.partitionsOf(ctx, q, "entries")
		if err != nil {
			return nil, err
		}
		rows, err := q.Query(ctx, l.in(`SELECT DISTINCT floor(extract(epoch FROM at) / 86400)::bigint FROM ledger.earnings
			WHERE at > $1::timestamptz - interval '1 hour' AND at < $2 OR at > $3::timestamptz - interval '1 hour' AND at < $4`),
			ranges[0].from, ranges[0].until, ranges[1].from, ranges[1].until)
		if err != nil {
			return nil, err
		}
		days, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		for _, d := range days {
			if p := day(d).partition(); !slices.Contains(kept, p.name) && !slices.Contains(kept, p.other) {
				missing = append(missing, p.name)
			}
		}
		return missing, err
	})
	if err == nil && len(missing) > 0 {
		slices.Sort(missing)
		err = fmt.Errorf("%w: the season's first or last entries were taken out of the ledger: attach %s again, or let the season begin and end with a month",
			domain.ErrUnavailable, strings.Join(missing, ", "))
	}
	return err
}

// partitionsOf lists the names of a table's partitions, sorted, which is in the order of their bounds.
func (l *Ledger) partitionsOf(ctx context.Context, q querier, parent string) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = to_regclass($1) ORDER BY relname COLLATE "C"`,
		l.schema+"."+parent)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
