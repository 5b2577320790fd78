package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"loyalty/domain"
)

// errClosed is the error of a closed history.
var errClosed = fmt.Errorf("the history is closed: %w", domain.ErrUnavailable)

// current is the view that queries read.
func (h *History) current() (view, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.closed {
		return view{}, errClosed
	}
	return h.view, nil
}

// Checkpoint is how far the history has applied the log, as the last batch gave it; zero for a new one.
func (h *History) Checkpoint(context.Context) (domain.Checkpoint, error) {
	v, err := h.current()
	if err != nil {
		return domain.Checkpoint{}, err
	}
	return domain.ParseCheckpoint(v.active.to, v.origin)
}

// Retired reports whether the key is of a customer who was forgotten.
func (h *History) Retired(key domain.ProxyKey) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	_, retired := h.retired[key]
	return retired
}

// Apply adds a batch and moves the checkpoint. When it returns nil, the batch is synced to the disk; a batch that only moves AsOf is not
// written. Errors: domain.ErrUnavailable if the batch can't be written, and it is then not applied; domain.ErrCheckpointMoved if its From
// is not the checkpoint; domain.ErrInvalid if its To is before From, or if a change has an unknown kind, is out of order or not between
// From and To, or is of more points than one event holds.
func (h *History) Apply(_ context.Context, b Batch) error {
	if err := b.validate(); err != nil {
		return err
	}
	h.writing.Lock()
	defer h.writing.Unlock()
	v, err := h.current()
	if err != nil {
		return err
	}
	if b.From.Position != v.active.to || b.From.Origin() != v.origin {
		return fmt.Errorf("a batch from position %s, the history is at %s: %w", b.From, v.active.to, domain.ErrCheckpointMoved)
	}
	v.asOf = max(v.asOf, ticks(b.AsOf))
	var forgotten []domain.ProxyKey
	if b.To != b.From {
		if v.active.changes >= h.options.SnapshotEvery {
			if err := h.seal(); err != nil {
				return fmt.Errorf("history: %w: %w", domain.ErrUnavailable, err)
			}
			asOf := v.asOf
			if v, err = h.current(); err != nil {
				return err
			}
			v.asOf = asOf
		}
		written := header{to: b.To.Position, asOf: v.asOf, origin: b.To.Origin()}
		h.frame = appendFrame(h.frame[:0], &b, written.origin, v.asOf)
		if err := h.write(v.active.bytes); err != nil {
			return fmt.Errorf("history: %w: %w", domain.ErrUnavailable, err)
		}
		forgotten = v.active.grow(written, h.frame[written.size():])
		v.origin = written.origin
		if cap(h.frame) > maxFrameKept {
			h.frame = nil
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.view.active, h.view.origin, h.view.asOf = v.active, v.origin, v.asOf
	h.retire(forgotten)
	close(h.changed)
	h.changed = make(chan struct{})
	return nil
}

// maxFrameKept is the largest buffer that is kept for the next frame, in bytes.
const maxFrameKept = 1 << 20

func (b *Batch) validate() error {
	if b.To.Position.Before(b.From.Position) || b.To.Position == b.From.Position && len(b.Changes) > 0 {
		return domain.Invalid("batch.to", "batch_backwards", fmt.Sprintf("a batch of %d changes can't lead from position %s to %s", len(b.Changes), b.From, b.To))
	}
	at := b.From.Position
	for i := range b.Changes {
		c := &b.Changes[i]
		switch {
		case c.Kind < Awarded || c.Kind > Forgotten:
			return domain.Invalid("batch.changes", "change_kind_unknown", fmt.Sprintf("change %d has no kind that there is: %d", i, c.Kind))
		case c.Position.Before(at) || c.Position == b.From.Position || b.To.Position.Before(c.Position):
			return domain.Invalid("batch.changes", "change_out_of_order", fmt.Sprintf("change %d, at position %s, is not in its place between %s and %s", i, c.Position, b.From, b.To))
		case c.Points > domain.MaxChange || c.Points < -domain.MaxChange:
			return domain.Invalid("batch.changes", "points_out_of_range", fmt.Sprintf("change %d is of %d points, more than one event holds", i, c.Points))
		}
		at = c.Position
	}
	return nil
}

// write appends the frame to the log, at the end of the last complete frame. If it can't be written or synced, it is truncated; if that
// fails too, it is truncated before the next frame is written, which may be shorter.
func (h *History) write(end int64) error {
	info, err := h.file.Stat()
	if err == nil && info.Size() != end {
		err = h.file.Truncate(end)
	}
	if err != nil {
		return err
	}
	if _, err = h.file.WriteAt(h.frame, end); err == nil {
		err = h.file.Sync()
	}
	if err != nil {
		if failed := h.file.Truncate(end); failed != nil {
			h.options.Logger.Warn("the history can't cut off what was not written whole; it will before it writes again", "error", failed)
		}
	}
	return err
}

// seal begins a new segment, writes the run of the full one, and starts a snapshot if one is due.
func (h *History) seal() error {
	v, err := h.current()
	if err != nil {
		return err
	}
	number, full := len(v.sealed), v.active
	next, err := os.OpenFile(h.log(number+1), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := syncFolder(h.dir); err != nil {
		return errors.Join(err, next.Close())
	}
	if err := h.writeRun(h.ctx, number, full); err != nil {
		h.options.Logger.Warn("the history can't sort changes; it goes on without", "error", err)
	}
	if err := h.file.Close(); err != nil {
		h.options.Logger.Warn("the history can't close a log that is on disk", "error", err)
	}
	h.file = next
	h.mu.Lock()
	h.view.sealed = append(v.sealed, full)
	h.view.active = full.after()
	h.mu.Unlock()
	h.startSnapshot()
	return nil
}

// startSnapshot makes a snapshot of the end of the last sealed segment, in the background, if there are at least as many changes since the
// last snapshot as that has customers. So all snapshots together take no more space than all changes.
func (h *History) startSnapshot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.view
	var last snapshot
	var changes int64
	first := 0
	if n := len(v.snapshots); n > 0 {
		last = v.snapshots[n-1]
		first = last.number + 1
	}
	for _, s := range v.sealed[first:] {
		changes += s.changes
	}
	if h.busy || h.closed || changes == 0 || changes < last.customers {
		return
	}
	h.busy = true
	h.background.Go(func() {
		made, err := h.makeSnapshot(&v)
		if err != nil && h.ctx.Err() == nil {
			h.options.Logger.Warn("the history can't make a snapshot; it goes on without", "error", err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy = false
		if err == nil {
			h.view.snapshots = append(slices.Clone(h.view.snapshots), made)
		}
	})
}

// makeSnapshot writes every customer's points at the end of the last sealed segment.
func (h *History) makeSnapshot(v *view) (made snapshot, err error) {
	number := len(v.sealed) - 1
	err = h.withoutDamagedFiles(func() error {
		layers, err := h.layers(h.ctx, v, number+1)
		if err != nil {
			return err
		}
		defer layers.close()
		all, err := layers.merge(h.ctx)
		if err != nil {
			return err
		}
		w, err := createSorted(h.snapshot(number), v.sealed[number])
		if err != nil {
			return err
		}
		for {
			e, ok, err := all.next()
			if err == nil && ok {
				err = w.add(&e)
			}
			if err != nil {
				return errors.Join(err, w.abandon())
			}
			if !ok {
				made = snapshot{number, w.footer.entries}
				return w.finish(nil)
			}
		}
	})
	return made, err
}

// Wait blocks until the history reflects position. It returns domain.ErrNotCaughtUp when ctx ends first.
func (h *History) Wait(ctx context.Context, position domain.Position) error {
	for {
		h.mu.RLock()
		at, changed, closed := h.view.active.to, h.changed, h.closed
		h.mu.RUnlock()
		switch {
		case !at.Before(position):
			return nil
		case closed:
			return errClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the history is at position %s, not at %s: %w", at, position, domain.ErrNotCaughtUp)
		}
	}
}
