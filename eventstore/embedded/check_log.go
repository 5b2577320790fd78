package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkLog verifies each event, and that each position has one.
func (c *checker) checkLog(ctx context.Context) error {
	next := uint64(1)
	var cause error // why the next events can't be read
	var file string
	gap := func(to uint64) {
		f := Finding{What: "the event is missing", Position: next, File: file}
		if to > next {
			f.What = fmt.Sprintf("the events from position %d to %d are missing", next, to)
		}
		if cause != nil {
			f.What = fmt.Sprintf("the events from position %d to %d can't be read: %s", next, to, errorText(cause))
		}
		cause, file = nil, ""
		c.found(f)
	}
	err := c.eachEvent(ctx, func(position uint64, r record, err error) {
		if position == 0 {
			c.found(Finding{What: "there is an event at position 0, before the first"})
			return
		}
		if position > next {
			gap(position - 1)
		}
		next = position + 1
		if err != nil {
			c.found(Finding{What: errorText(err), Position: position})
			return
		}
		c.report.Events++
		c.add(&c.log, r.stream, r.revision, position)
		if position%1024 == 0 {
			c.progress(StepLog, position, c.last)
		}
	}, func(err error) { cause, file = err, c.bad.takeLast() }, c.unknown)
	if next <= c.last && err == nil {
		gap(c.last)
	}
	c.progress(StepLog, next-1, c.last)
	return err
}

// checkMark verifies that the log reaches the acknowledged position.
func (c *checker) checkMark(context.Context) error {
	marked, err := readMark(vfs.Default, c.dir)
	switch {
	case err != nil:
		c.found(Finding{What: errorText(err), File: markFile})
	case marked > c.last:
		c.found(Finding{What: fmt.Sprintf("positions up to %d were acknowledged; the log ends before", marked), Position: c.last + 1})
	}
	return nil
}

// eachEvent visits the events of the log. A value that is no valid event is visited with an error.
func (c *checker) eachEvent(ctx context.Context, visit func(position uint64, r record, err error), lost func(error), unknown func(key []byte)) error {
	return c.scan(ctx, []byte{logKind}, []byte{logKind + 1}, c.nextPosition, func(key, value []byte) {
		position, ok := logKeyPosition(key)
		if !ok {
			unknown(key)
			return
		}
		_, r, err := openRecord(value, position)
		visit(position, r, err)
	}, func(_, _ []byte, err error) { lost(err) })
}
