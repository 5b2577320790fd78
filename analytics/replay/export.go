package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"loyalty/analytics/export"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
)

// FromExport folds a Parquet export in a folder as FromLog folds the log. Files are read in the order of their names. If the export
// begins later than the log, totals begin at 0, and a return of an earlier order is computed without a multiplier. Errors are those of FromLog
// and of reading the files, with the name of the file.
func FromExport(ctx context.Context, dir string, o Options) (*History, error) {
	h := newHistory(o.Policy, o.By)
	if err := h.checkManifest(dir); err != nil {
		return h, err
	}
	names, total, err := filesOf(dir)
	if err != nil {
		return h, err
	}
	e := &exportReader{history: h, options: o, ctx: ctx, total: total, limit: maxTime}
	if o.Until.timed() {
		e.limit = o.Until.limit.UnixMicro()
	}
	for _, name := range names {
		if err := e.file(name); err != nil {
			return h, fmt.Errorf("%s: %w", name, err)
		}
		if e.ended {
			break
		}
	}
	return h, e.end()
}

// filesOf are the files of an export, and their number of rows in all.
func filesOf(dir string) (names []string, rows int64, err error) {
	all, err := filepath.Glob(filepath.Join(dir, "*", "*.parquet"))
	if err != nil {
		return nil, 0, err
	}
	for _, name := range all {
		if !strings.HasPrefix(filepath.Base(name), ".") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, 0, domain.Invalid("--from-export", "export_empty", "there is no Parquet export in "+dir)
	}
	slices.Sort(names)
	for _, name := range names {
		err := withFile(name, func(f *parquet.File) error { rows += f.NumRows(); return nil })
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	return names, rows, nil
}

// checkManifest is an error if an export lacks a type of event that a fold needs. It notes which events were left out. A folder without a manifest passes.
func (h *History) checkManifest(dir string) error {
	manifest, err := export.ReadManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	h.quarantined = manifest.Quarantined
	for _, name := range types() {
		if has := manifest.Options.Types; len(has) > 0 && !slices.Contains(has, name) {
			return domain.Invalid("--from-export", "export_incomplete", "the export in "+dir+" has no "+name+": export all types")
		}
	}
	return nil
}

func withFile(name string, use func(*parquet.File) error) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	opened, err := parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<18))
	if err != nil {
		return err
	}
	return use(opened)
}

const batchRows = 2048

// exportReader folds the rows of an export in batches, column by column. A batch ends where the current page of a column ends.
type exportReader struct {
	history *History
	options Options
	ctx     context.Context
	limit   int64 // of the time stored
	done    int64
	total   int64
	some    bool
	ended   bool
	last    place
	counted int64 // when the last event folded was stored
	append  appendEnd

	columns struct {
		commit, prepare, kind, stored, occurred, customer, channel, order, currency, amount, before, after, points *column
		stream, revision, causation                                                                                *column
	}
	all []*column

	commits, prepares, stored, occurred, amounts, before, after, points, revisions [batchRows]int64
	kinds, channels, currencies                                                    [batchRows]uint8
}

// appendEnd finds the end of the append that the position asked for is in.
type appendEnd struct {
	stream, causation string
	revision          int64
	end               domain.Position
}

func kindOf(text []byte) uint8 {
	switch string(text) {
	case order.TypePointsAwarded:
		return uint8(award)
	case order.TypePointsReversed:
		return uint8(reversal)
	case account.TypePointsAdjusted:
		return uint8(adjustment)
	case account.TypeCustomerForgotten:
		return uint8(forgotten)
	}
	return uint8(other)
}

func (e *exportReader) file(name string) error {
	return withFile(name, func(f *parquet.File) error {
		for _, group := range f.RowGroups() {
			if err := e.group(f.Schema(), group); err != nil || e.ended {
				return err
			}
		}
		return nil
	})
}

func (e *exportReader) open(schema *parquet.Schema, group parquet.RowGroup) error {
	e.all = e.all[:0]
	var failed error
	open := func(name string, kind parquet.Kind, means func([]byte) uint8) *column {
		leaf, found := schema.Lookup(name)
		if !found || !leaf.Node.Leaf() || leaf.Node.Type().Kind() != kind || leaf.MaxRepetitionLevel != 0 {
			failed = errors.Join(failed, fmt.Errorf("it has no column %s as an export has it", name))
			return nil
		}
		c := &column{name: name, pages: group.ColumnChunks()[leaf.ColumnIndex].Pages(), means: means}
		e.all = append(e.all, c)
		return c
	}
	integer := func(name string) *column { return open(name, parquet.Int64, nil) }
	c := &e.columns
	c.kind = open(export.Type, parquet.ByteArray, kindOf)
	c.channel = open(export.Channel, parquet.ByteArray, func(text []byte) uint8 { c, _ := channelOf(string(text)); return uint8(c) })
	c.currency = open(export.Currency, parquet.ByteArray, func(text []byte) uint8 { c, _ := currencyOf(string(text)); return uint8(c) })
	c.customer = open(export.CustomerID, parquet.ByteArray, nil)
	c.commit, c.prepare, c.stored, c.occurred = integer(export.Commit), integer(export.Prepare), integer(export.StoredAt), integer(export.OccurredAt)
	c.points = integer(export.Points)
	if p := e.options.Policy; p != nil {
		c.amount, c.before, c.after = integer(export.Amount), integer(export.NetBefore), integer(export.NetAfter)
		if len(p.multipliers) > 0 {
			c.order = open(export.OrderID, parquet.ByteArray, nil)
		}
	}
	if e.options.Until.position != nil {
		c.stream, c.causation, c.revision = open(export.Stream, parquet.ByteArray, nil), open(export.Causation, parquet.ByteArray, nil), open(export.Revision, parquet.Int64, nil)
	}
	return failed
}

func (e *exportReader) group(schema *parquet.Schema, group parquet.RowGroup) (err error) {
	defer func() {
		for _, c := range e.all {
			err = errors.Join(err, c.close())
		}
	}()
	if err := e.open(schema, group); err != nil {
		return err
	}
	for rows := int(group.NumRows()); rows > 0 && !e.ended; {
		n := min(rows, batchRows)
		for _, c := range e.all {
			left, err := c.left()
			if err != nil {
				return err
			}
			n = min(n, left)
		}
		if err := e.batch(n); err != nil {
			return err
		}
		rows -= n
		e.done += int64(n)
		if e.options.Progress != nil {
			e.options.Progress(Replaying, uint64(e.done), uint64(e.total))
		}
		if err := e.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// batch folds n rows.
func (e *exportReader) batch(n int) error {
	c := &e.columns
	c.kind.takeMeanings(e.kinds[:n])
	c.channel.takeMeanings(e.channels[:n])
	c.currency.takeMeanings(e.currencies[:n])
	c.commit.takeInts(e.commits[:n])
	c.prepare.takeInts(e.prepares[:n])
	c.stored.takeInts(e.stored[:n])
	c.occurred.takeInts(e.occurred[:n])
	c.points.takeInts(e.points[:n])
	if c.amount != nil {
		c.amount.takeInts(e.amounts[:n])
		c.before.takeInts(e.before[:n])
		c.after.takeInts(e.after[:n])
	}
	until := e.options.Until.position
	if until != nil {
		c.revision.takeInts(e.revisions[:n])
	}
	for i := range n {
		customer := c.customer.text()
		var order []byte
		if c.order != nil {
			order = c.order.text()
		}
		at := domain.Position{Commit: uint64(e.commits[i]), Prepare: uint64(e.prepares[i])}
		if !e.some {
			e.some = true
			if err := e.options.Until.notBefore(place{at, time.UnixMicro(e.stored[i])}); err != nil {
				return err
			}
		}
		if until != nil {
			if stream, causation := c.stream.text(), c.causation.text(); !e.append.follows(*until, at, stream, causation, e.revisions[i]) {
				e.ended = true
				return nil
			}
			if until.Before(at) {
				continue
			}
		}
		kind := kind(e.kinds[i])
		if kind == other {
			continue
		}
		if e.stored[i] >= e.limit {
			e.ended = true
			return nil
		}
		h := e.history
		entry := entry{
			kind: kind, customer: h.number(customer), currency: currency(e.currencies[i]), channel: channel(e.channels[i]),
			at: e.occurred[i], points: e.points[i], before: e.before[i], after: e.after[i], order: order,
		}
		if kind == award {
			entry.after = e.amounts[i]
		}
		if err := h.add(&entry); err != nil {
			return fmt.Errorf("the event at position %s: %w", at, err)
		}
		h.events++
		h.position, e.counted = at, e.stored[i]
	}
	e.last = place{domain.Position{Commit: uint64(e.commits[n-1]), Prepare: uint64(e.prepares[n-1])}, time.UnixMicro(e.stored[n-1])}
	return nil
}

// end sets the position and time of the history. A moment after the end of the export is an error.
func (e *exportReader) end() error {
	h, until := e.history, e.options.Until
	if h.events > 0 {
		h.stored = time.UnixMicro(e.counted).UTC()
	}
	if !e.ended {
		if err := until.notAfter(e.last); err != nil {
			return err
		}
	}
	switch {
	case until.position != nil && e.append.end != *until.position && e.append.end != (domain.Position{}):
		return until.inAppend(e.append.end)
	case until.position != nil:
		h.position = *until.position
	case !until.timed():
		h.position = e.last.position
	}
	return nil
}

// follows tells whether a row is at or before the position until, or belongs to the same append as the event there.
func (a *appendEnd) follows(until, at domain.Position, stream, causation []byte, revision int64) bool {
	switch {
	case at.Before(until):
		return true
	case at != until && (a.end == (domain.Position{}) || len(causation) == 0 || string(causation) != a.causation || string(stream) != a.stream || revision != a.revision+1):
		return false
	}
	*a = appendEnd{stream: string(stream), causation: string(causation), revision: revision, end: at}
	return true
}
