// Package outage keeps the log short while a store is down: what fails again and again for one cause is counted, and not written each time.
package outage

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"loyalty/internal/problem"
)

// Interval is the least time between two lines of one outage.
const Interval = time.Second

// maxOutages bounds how many causes are told apart at once. Beyond it, records with the same message are of one outage.
const maxOutages = 64

// Handler hands records on to another handler, and of one outage at most one in each Interval: the first at once, and then the latest one, whose
// attribute left_out is how many others came since. A record belongs to an outage if it is a warning or worse and its attribute "error" is one
// that a caller would be answered with 503; the outage is that of the message, the cause at the bottom of the error, and the attributes that are
// texts, but for the id of a request. All other records are handed on as they are. A Handler is safe for concurrent use.
type Handler struct {
	next     slog.Handler
	attached string
	outages  *outages
}

type outages struct {
	now func() time.Time

	mu   sync.Mutex
	open map[string]*outage
}

// outage is what was handed on last, and what was left out since.
type outage struct {
	written time.Time
	left    int
	latest  slog.Record // of those left out
	next    slog.Handler
}

// Limit returns a Handler in front of next. Its Run must run for as long as records come.
func Limit(next slog.Handler, now func() time.Time) *Handler {
	return &Handler{next: next, outages: &outages{now: now, open: make(map[string]*outage)}}
}

// Enabled is that of the handler behind it.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs and WithGroup return a Handler that shares its outages with h.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{h.next.WithAttrs(attrs), h.attached + fmt.Sprint(attrs), h.outages}
}

// WithGroup is as WithAttrs.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.next.WithGroup(name), h.attached + name + ".", h.outages}
}

// Handle hands a record on or leaves it out.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	name := nameOf(r)
	if name == "" {
		return h.next.Handle(ctx, r)
	}
	o := h.outages
	o.mu.Lock()
	defer o.mu.Unlock()
	key, now := h.attached+name, o.now()
	if o.open[key] == nil && len(o.open) >= maxOutages {
		key = r.Message
	}
	known := o.open[key]
	switch {
	case known == nil:
		o.open[key] = &outage{written: now}
		return h.next.Handle(ctx, r)
	case now.Sub(known.written) < Interval:
		known.left, known.latest, known.next = known.left+1, r.Clone(), h.next
		return nil
	}
	left := known.left
	known.written, known.left = now, 0
	return h.next.Handle(ctx, counting(r, left))
}

// Run writes what was left out at each tick, which should come once in an Interval, and the last of it when ctx ends, which it waits for.
func (h *Handler) Run(ctx context.Context, ticks <-chan time.Time) {
	for {
		select {
		case <-ticks:
			h.flush(ctx, false)
		case <-ctx.Done():
			h.flush(ctx, true)
			return
		}
	}
}

func (h *Handler) flush(ctx context.Context, all bool) {
	o := h.outages
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	for key, known := range o.open {
		switch {
		case !all && now.Sub(known.written) < Interval:
		case known.left == 0:
			delete(o.open, key)
		default:
			_ = known.next.Handle(ctx, counting(known.latest, known.left-1)) // there is nobody to tell
			known.written, known.left = now, 0
		}
	}
}

func counting(r slog.Record, left int) slog.Record {
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", left))
	}
	return r
}

// nameOf tells outages apart; it is empty for a record of none.
func nameOf(r slog.Record) string {
	if r.Level < slog.LevelWarn {
		return ""
	}
	var cause error
	name := strings.Builder{}
	name.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && a.Key == "error" {
			cause = err
		} else if a.Value.Kind() == slog.KindString && a.Key != "id" {
			name.WriteString("\n" + a.Value.String())
		}
		return true
	})
	if cause == nil || problem.Of(cause).Status != http.StatusServiceUnavailable {
		return ""
	}
	return name.String() + "\n" + bottom(cause).Error()
}

// bottom is the innermost error, which names no request.
func bottom(err error) error {
	for {
		switch outer := err.(type) {
		case interface{ Unwrap() error }:
			if outer.Unwrap() == nil {
				return err
			}
			err = outer.Unwrap()
		case interface{ Unwrap() []error }:
			inner := outer.Unwrap()
			if len(inner) == 0 {
				return err
			}
			err = inner[len(inner)-1]
		default:
			return err
		}
	}
}
