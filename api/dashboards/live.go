package dashboards

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/leaderboard"
)

const (
	// streamPace is the least time between two reads of the leaderboard for one stream, and so between two events of it.
	streamPace = 250 * time.Millisecond
	// heartbeat is how often a stream in which nothing changes says how old its figures are, and streamRetry how often one that has none yet
	// reads again.
	heartbeat   = 15 * time.Second
	streamRetry = time.Second
	// eventTimeout is how long a reader may take to accept an event.
	eventTimeout = 10 * time.Second
)

var eventStreamType = []string{"text/event-stream"}

// stream is one customer's dashboard, kept up to date in a browser.
type stream struct {
	handler  *Handler
	notifier *notifier
	// season is nil for the leaderboard of all time.
	season      *season.Season
	key         domain.ProxyKey
	top, around int
	// names is whether the reader sees proxy names.
	names   bool
	to      *echo.Response
	control *http.ResponseController
	// last is the position of the event that the reader got last, in an earlier stream.
	last string
	// shown is the JSON of the rows that the reader sees; nil before there are any.
	shown []byte
	// failures counts the reads since one succeeded.
	failures int
}

// Live sends a customer's dashboard as server-sent events (HTML Living Standard, section 9.2): now, and whenever its rows change. It ends
// when the reader goes, falls behind, or has a token that has expired or is refused, and when the server stops.
func (h *Handler) Live(ctx context.Context, c echo.Context, caller auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	values, badQuery := request.Query(c)
	top, badTop := request.Number(values, "top", request.DefaultTop, 1, leaderboard.MaxTop)
	around, badAround := request.Number(values, "around", request.DefaultAround, 0, leaderboard.MaxAround)
	if err := domain.JoinInvalid(badCustomer, badQuery, badTop, badAround); err != nil {
		return err
	}
	board, proxies, json := h.Leaderboard, h.Proxies, &h.json
	var of *season.Season
	if values.Has("season") {
		found, its, names, err := h.seasonOf(values.Get("season"))
		if err != nil {
			return err
		}
		board, proxies, of, json = its, names, &found, nil
	}
	if err := h.Pages.Acquire(ctx, caller); err != nil {
		return err
	}
	notifier := h.Streams.join(board, json)
	defer h.Streams.leave(notifier)
	defer h.Pages.Release(caller)
	if err := request.Shown(ctx, c, h.Views, caller, customer); err != nil {
		return err
	}
	s := &stream{
		handler: h, notifier: notifier, season: of, key: proxies.Key(customer), top: top, around: around, names: of == nil && caller.SeesNames(),
		to: c.Response(), control: http.NewResponseController(c.Response()), last: c.Request().Header.Get("Last-Event-ID"),
	}
	err := s.run(ctx, caller)
	if err == nil && !c.Response().Committed {
		return ctx.Err() // the reader may have gone before there was anything
	}
	if err != nil && c.Response().Committed {
		h.Log.LogAttrs(ctx, slog.LevelWarn, "a live page", slog.String("id", h.IDs.Of(c)), slog.Any("error", err))
		return nil
	}
	return err
}

// run keeps the dashboard up to date for as long as the caller's token is accepted, which is looked at before each event.
func (s *stream) run(ctx context.Context, caller auth.Claims) error {
	expired := time.NewTimer(caller.Expires.Add(auth.ClockLeeway).Sub(s.handler.Now()))
	defer expired.Stop()
	beat := time.NewTimer(heartbeat)
	defer beat.Stop()
	due, over := false, false
	for {
		moved := *s.notifier.moved.Load()
		if sent, err := s.update(ctx, due); err != nil || !sent {
			return err
		}
		due = false
		if s.failures > 0 {
			beat.Reset(streamRetry)
		}
		select {
		case <-moved:
		case <-beat.C:
			due = true
			beat.Reset(heartbeat)
		case <-expired.C:
			over = true
		case <-ctx.Done():
			return nil
		case <-s.handler.Stopping.Done():
			return nil
		}
		if over || !s.handler.Accepts(caller) {
			s.send([]byte("event: expired\ndata: {}\n\n"))
			return nil
		}
		if s.seasonOver() {
			return nil
		}
	}
}

// seasonOver tells whether the season is no longer kept. Its streams end, and a reader who comes back learns which seasons there are.
func (s *stream) seasonOver() bool {
	if s.season == nil {
		return false
	}
	_, board, _, known := s.handler.Seasons.Season(s.season.ID)
	return !known || board != s.notifier.board
}

// update reads the dashboard and sends its rows if they have changed. If they have not, and a heartbeat is due, it sends how old the figures
// are. It returns false if the reader is gone.
func (s *stream) update(ctx context.Context, due bool) (sent bool, err error) {
	v := buffers.Get().(*buffer)
	defer buffers.Put(v)
	d := &v.dashboard
	err = s.notifier.board.Dashboard(ctx, s.key, s.top, s.around, d)
	switch {
	case ctx.Err() != nil:
		return false, nil
	case errors.Is(err, domain.ErrNotCaughtUp), errors.Is(err, domain.ErrUnavailable):
		told := s.failures%int(heartbeat/streamRetry) != 0
		s.failures++
		return told || s.send([]byte("event: waiting\ndata: {}\n\n")), nil
	case err != nil:
		return false, err
	}
	v.json = append(v.json[:0], "event: dashboard\nid: "...)
	v.json = append(v.json, d.Position.String()...)
	v.json = append(v.json, "\ndata: "...)
	start := len(v.json)
	v.json = s.notifier.json.appendDashboard(v.json, d, s.key, s.names)
	// The rest moves with every change of anybody. A reader gets it with the next heartbeat.
	rows, rest, _ := bytes.Cut(v.json[start:], []byte(`,"customers":`))
	changed := !bytes.Equal(rows, s.shown)
	known := s.shown == nil && s.last != "" && s.last == d.Position.String()
	s.shown = append(s.shown[:0], rows...)
	recovered := s.failures > 0
	s.failures = 0
	switch {
	case changed && !known:
		if s.season != nil {
			v.json = appendSeason(v.json, *s.season)
		}
		return s.send(append(v.json, '\n')), nil
	case known, due, recovered:
		age := append([]byte("event: age\ndata: {\"customers\":"), rest...)
		return s.send(append(age, '\n')), nil
	}
	return true, nil
}

// send sends an event, and returns false if the reader is gone or does not take it within eventTimeout. Deadlines are the kernel's
// business, and so are by the real clock.
func (s *stream) send(event []byte) bool {
	err := s.control.SetWriteDeadline(time.Now().Add(eventTimeout))
	if !s.to.Committed {
		// net/http watches for the reader's going by reading. A deadline of reading would end that watch, and the stream with it.
		err = errors.Join(err, s.control.SetReadDeadline(time.Time{}))
		header := s.to.Header()
		header["Content-Type"] = eventStreamType
		header["X-Accel-Buffering"] = []string{"no"}
		s.to.WriteHeader(http.StatusOK)
		_, failed := s.to.Write(appendRetry(nil, s.key))
		err = errors.Join(err, failed)
	}
	_, failed := s.to.Write(event)
	return errors.Join(err, failed, s.control.Flush()) == nil
}

// appendRetry says after how many milliseconds a reader who lost the stream comes back: 1 to 3 s, for each customer another, so that
// after a restart not all come at once.
func appendRetry(b []byte, key domain.ProxyKey) []byte {
	b = append(b, "retry: "...)
	b = strconv.AppendInt(b, 1000+2000*int64(key[0])/256, 10)
	return append(b, '\n', '\n')
}
