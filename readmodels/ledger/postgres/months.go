package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/readmodels/ledger"
)

// month counts the months since January of year 0, UTC.
type month int

func monthOf(t time.Time) month {
	t = t.UTC()
	return month(t.Year()*12 + int(t.Month()) - 1)
}

func (m month) start() time.Time {
	return time.Date(0, time.January+time.Month(m), 1, 0, 0, 0, 0, time.UTC)
}

// partition names the month's partition of the table entries, as "entries_2026_03".
func (m month) partition() string { return m.start().Format("entries_2006_01") }

// months are the months of which this process knows the partitions to exist.
type months struct {
	mu    sync.Mutex
	known map[month]bool
}

// missing lists the months that a batch needs and that are not known: the months of its entries, and the month after its last entry,
// so that a month's partition exists before the month begins.
func (m *months) missing(entries []ledger.Entry) (all []month) {
	if len(entries) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	need := func(wanted month) {
		if !m.known[wanted] && !slices.Contains(all, wanted) {
			all = append(all, wanted)
		}
	}
	for i := range entries {
		need(monthOf(entries[i].OccurredAt))
	}
	need(monthOf(entries[len(entries)-1].OccurredAt) + 1)
	return all
}

func (m *months) learn(all []month) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[month]bool{}
	}
	for _, one := range all {
		m.known[one] = true
	}
}

func (m *months) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = nil
}

// makeMonths creates the partitions of the wanted months where they are missing, in a transaction of its own. It creates a table and
// attaches it, because CREATE TABLE … PARTITION OF would lock out readers and writers.
func (l *Ledger) makeMonths(ctx context.Context, wanted []month) error {
	err := l.transaction(ctx, writing, func(ctx context.Context, tx pgx.Tx) error {
		// One process at a time.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(partitionLock)); err != nil {
			return err
		}
		for _, m := range wanted {
			if err := l.makeMonth(ctx, tx, m); err != nil {
				return fmt.Errorf("the partition %s: %w", m.partition(), err)
			}
		}
		return nil
	})
	if err == nil {
		l.months.learn(wanted)
	}
	return err
}

func (l *Ledger) makeMonth(ctx context.Context, tx pgx.Tx, m month) error {
	table := l.schema + "." + m.partition()
	var there bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&there); err != nil || there {
		return err
	}
	statement := strings.NewReplacer("<table>", table, "<parent>", l.schema+".entries",
		"<from>", fmt.Sprint(m.start().Unix()), "<to>", fmt.Sprint((m + 1).start().Unix())).Replace(`
		CREATE TABLE <table> (LIKE <parent>, UNIQUE (event_id));
		ALTER TABLE <parent> ATTACH PARTITION <table> FOR VALUES FROM (to_timestamp(<from>)) TO (to_timestamp(<to>))`)
	_, err := tx.Conn().PgConn().Exec(ctx, statement).ReadAll()
	return err
}
