package past

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/analytics/replay"
	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/api/slowclient"
	"loyalty/domain"
	"loyalty/internal/problem"
)

const (
	// whatIfPace is the least time between two lines that report progress, and whatIfBeat the most.
	whatIfPace = 250 * time.Millisecond
	whatIfBeat = 5 * time.Second
)

// whatIfLine is a line of the answer: how far it is, or in the last one what came of it.
type whatIfLine struct {
	Progress *whatIfProgress  `json:"progress,omitempty"`
	Report   *replay.Report   `json:"report,omitempty"`
	Problem  *problem.Problem `json:"problem,omitempty"`
}

// whatIfProgress counts events. Total is about how many there are, 0 as long as nobody knows.
type whatIfProgress struct {
	Doing string `json:"doing"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

// WhatIf answers with what would have been under another policy, and until then with how far it is. It ends early when the caller
// goes or takes no more lines, and when the server stops.
func (h *Handler) WhatIf(ctx context.Context, c echo.Context, caller auth.Claims) error {
	data, err := request.ReadBody(c)
	if err != nil {
		return err
	}
	options, top, err := decodeWhatIf(data)
	if err != nil {
		return err
	}
	if err := h.WhatIfs.Acquire(ctx, caller); err != nil {
		return h.untilDone(err)
	}
	defer h.WhatIfs.Release(caller)
	a := newWhatIfAnswer(c, h.Now())
	h.underWay.Store(a)
	defer h.underWay.Store(nil)
	working, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(h.Stopping, stop)()

	options.Progress = a.note
	ended := make(chan struct{})
	var report replay.Report
	var failed error
	go func() {
		defer close(ended)
		report, failed = h.replay(working, options, top)
	}()
	unsent := a.tell(ended, stop)
	switch {
	case unsent != nil || ctx.Err() != nil:
		return goneIf(errors.Join(unsent, ctx.Err()))
	case failed != nil && h.Stopping.Err() != nil:
		failed = fmt.Errorf("%w: the server stops", domain.ErrUnavailable)
	}
	if failed == nil {
		return goneIf(a.send(whatIfLine{Report: &report}))
	}
	if c.Response().Committed {
		p := problem.Of(failed)
		p.ID = h.IDs.Of(c)
		failed = errors.Join(failed, a.send(whatIfLine{Problem: &p}))
	}
	return failed
}

// goneIf is problem.ErrClientGone if a line could not be sent.
func goneIf(unsent error) error {
	if unsent != nil {
		unsent = fmt.Errorf("%w: %w", problem.ErrClientGone, unsent)
	}
	return unsent
}

// untilDone makes a refusal say how long the what-if under way is still going to take, as far as it has told.
func (h *Handler) untilDone(refusal error) error {
	a := h.underWay.Load()
	if !errors.Is(refusal, problem.ErrOverloaded) || a == nil {
		return refusal
	}
	p := a.now.Load()
	if p.Done == 0 || p.Done >= p.Total {
		return refusal
	}
	left := float64(h.Now().Sub(a.began)) * float64(p.Total-p.Done) / float64(p.Done)
	return domain.Later(refusal, max(time.Second, time.Duration(left)))
}

// replay is the replay, with a panic turned into an error.
func (h *Handler) replay(ctx context.Context, o replay.Options, top int) (report replay.Report, err error) {
	defer request.Recover(&err)
	return h.Replays.Replay(ctx, o, top)
}

// whatIfAnswer writes the lines of an answer. Its status is 200 from the first line on; what fails before has its own.
type whatIfAnswer struct {
	response *echo.Response
	lines    *json.Encoder
	to       *slowclient.Writer
	began    time.Time
	// now is how far the replay is.
	now atomic.Pointer[whatIfProgress]
}

// newWhatIfAnswer also takes the deadline off the request's reading: it would end the watch for the caller's going, and the replay
// with it. That fails only where the connection is gone, which writing tells as well.
func newWhatIfAnswer(c echo.Context, began time.Time) *whatIfAnswer {
	control := http.NewResponseController(c.Response())
	_ = control.SetReadDeadline(time.Time{})
	to := slowclient.NewWriter(c.Response(), control)
	a := &whatIfAnswer{response: c.Response(), lines: json.NewEncoder(to), to: to, began: began}
	a.now.Store(&whatIfProgress{Doing: "starting"})
	return a
}

// note is how far the replay is.
func (a *whatIfAnswer) note(doing string, done, total uint64) {
	a.now.Store(&whatIfProgress{doing, done, total})
}

// tell sends how far the replay is until it has ended, for which it waits in any case: at whatIfPace while it gets on, else at
// whatIfBeat. A caller who takes no line stops it.
func (a *whatIfAnswer) tell(ended <-chan struct{}, stop func()) (unsent error) {
	pace := time.NewTicker(whatIfPace)
	defer pace.Stop()
	told, quiet := a.now.Load(), time.Duration(0)
	for {
		select {
		case <-ended:
			return unsent
		case <-pace.C:
		}
		now := a.now.Load()
		if quiet += whatIfPace; now == told && quiet < whatIfBeat || unsent != nil {
			continue
		}
		told, quiet = now, 0
		if unsent = a.send(whatIfLine{Progress: now}); unsent != nil {
			stop()
		}
	}
}

func (a *whatIfAnswer) send(line whatIfLine) error {
	if !a.response.Committed {
		header := a.response.Header()
		header["Content-Type"] = []string{request.MIMELines}
		header["X-Accel-Buffering"] = []string{"no"}
		a.response.WriteHeader(http.StatusOK)
	}
	return errors.Join(a.lines.Encode(line), a.to.Flush())
}
