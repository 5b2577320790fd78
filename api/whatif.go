package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/analytics/replay"
	"loyalty/api/slowclient"
	"loyalty/domain"
)

// Replays folds the history again.
type Replays interface {
	// Replay says what the history comes to, with the best top customers (1 to 100), and how it compares with what it would have
	// been under the policy of o. It ends with an error after ctx does, and tells o.Progress from one goroutine at a time how
	// far it is. It is not asked again before it has answered.
	Replay(ctx context.Context, o replay.Options, top int) (replay.Report, error)
}

const (
	// whatIfPace is the least time between two lines that tell of progress, and whatIfBeat the most.
	whatIfPace = 250 * time.Millisecond
	whatIfBeat = 5 * time.Second
)

// whatIfLine is a line of the answer: how far it is, or in the last one what came of it.
type whatIfLine struct {
	Progress *whatIfProgress `json:"progress,omitempty"`
	Report   *replay.Report  `json:"report,omitempty"`
	Problem  *Problem        `json:"problem,omitempty"`
}

// whatIfProgress counts events. Total is about how many there are, 0 as long as nobody knows.
type whatIfProgress struct {
	Doing string `json:"doing"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

// whatIf answers with what would have been under another policy, and until then with how far it is. It ends early when the caller
// goes or takes no more lines, and when the server stops.
func (s *Server) whatIf(ctx context.Context, c echo.Context, _ Claims) error {
	data, err := readBody(c)
	if err != nil {
		return err
	}
	options, top, err := decodeWhatIf(data)
	if err != nil {
		return err
	}
	if err := s.admission.WhatIfs.Acquire(ctx); err != nil {
		return err
	}
	defer s.admission.WhatIfs.Release()
	a := newWhatIfAnswer(c)
	working, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.stopping, stop)()

	options.Progress = a.note
	ended := make(chan struct{})
	var report replay.Report
	var failed error
	go func() {
		defer close(ended)
		report, failed = s.replay(working, options, top)
	}()
	unsent := a.tell(ended, stop)
	switch {
	case unsent != nil || ctx.Err() != nil:
		s.config.Log.LogAttrs(ctx, slog.LevelDebug, "answer not sent", slog.String("id", s.requestID(c)), slog.Any("error", errors.Join(unsent, ctx.Err())))
		return nil
	case failed != nil && s.stopping.Err() != nil:
		failed = fmt.Errorf("%w: the server stops", domain.ErrUnavailable)
	}
	if failed == nil {
		return a.send(whatIfLine{Report: &report})
	}
	if c.Response().Committed {
		p := problemOf(failed)
		p.ID = s.requestID(c)
		failed = errors.Join(failed, a.send(whatIfLine{Problem: &p}))
	}
	return failed
}

// replay is the replay, with a panic turned into an error.
func (s *Server) replay(ctx context.Context, o replay.Options, top int) (report replay.Report, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return s.config.Replays.Replay(ctx, o, top)
}

// whatIfAnswer writes the lines of an answer. Its status is 200 from the first line on; what fails before has its own.
type whatIfAnswer struct {
	response *echo.Response
	lines    *json.Encoder
	to       *slowclient.Writer
	// now is how far the replay is.
	now atomic.Pointer[whatIfProgress]
}

// newWhatIfAnswer also takes the deadline off the request's reading: it would end the watch for the caller's going, and the replay
// with it. That fails only where the connection is gone, which writing tells as well.
func newWhatIfAnswer(c echo.Context) *whatIfAnswer {
	control := http.NewResponseController(c.Response())
	_ = control.SetReadDeadline(time.Time{})
	to := slowclient.NewWriter(c.Response(), control)
	a := &whatIfAnswer{response: c.Response(), lines: json.NewEncoder(to), to: to}
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
		header["Content-Type"] = []string{mimeLines}
		header["X-Accel-Buffering"] = []string{"no"}
		a.response.WriteHeader(http.StatusOK)
	}
	return errors.Join(a.lines.Encode(line), a.to.Flush())
}
