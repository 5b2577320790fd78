package api

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
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/leaderboard"
)

const (
	// livePace is the least time between two looks at the leaderboard for one page, and so between two events of it.
	livePace = 250 * time.Millisecond
	// liveBeat is how often a page in which nothing changes is told how old its figures are, and liveRetry how often one that
	// has none yet is looked after.
	liveBeat  = 15 * time.Second
	liveRetry = time.Second
	// livePatience is how long a page may take to accept an event.
	livePatience = 10 * time.Second
)

var eventStreamType = []string{"text/event-stream"}

// page is one customer's dashboard, kept up to date in a browser.
type page struct {
	server *Server
	watch  *watch
	// season is nil for the leaderboard of all time.
	season      *season.Season
	key         domain.ProxyKey
	top, around int
	to          *echo.Response
	control     *http.ResponseController
	// last is the position that the reader was told before, as it came from there.
	last string
	// shown is the JSON of the rows that the reader sees; nil before there are any.
	shown []byte
	// waited counts the looks since there was something to see.
	waited int
}

// live sends a customer's dashboard as server-sent events (HTML Living Standard, section 9.2): now, and whenever its rows change. It
// ends when the reader goes, falls behind, or has a token that has expired, and when the server stops.
func (s *Server) live(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	values, badQuery := query(c)
	top, badTop := number(values, "top", defaultTop, 1, leaderboard.MaxTop)
	around, badAround := number(values, "around", defaultAround, 0, leaderboard.MaxAround)
	if err := domain.JoinInvalid(badCustomer, badQuery, badTop, badAround); err != nil {
		return err
	}
	board, proxies, all := s.config.Leaderboard, s.config.Proxies, &s.shared
	var of *season.Season
	if values.Has("season") {
		found, its, names, err := s.seasonOf(values.Get("season"))
		if err != nil {
			return err
		}
		board, proxies, of, all = its, names, &found, nil
	}
	watch, err := s.pages.enter(board, all)
	if err != nil {
		return err
	}
	defer s.pages.leave(watch)
	p := &page{
		server: s, watch: watch, season: of, key: proxies.Key(customer), top: top, around: around,
		to: c.Response(), control: http.NewResponseController(c.Response()), last: c.Request().Header.Get("Last-Event-ID"),
	}
	err = p.run(ctx, caller.Expires.Add(auth.ClockLeeway).Sub(s.config.Now()))
	if err != nil && c.Response().Committed {
		s.config.Log.LogAttrs(ctx, slog.LevelWarn, "a live page", slog.String("id", s.requestID(c)), slog.Any("error", err))
		return nil
	}
	return err
}

// run keeps the page up to date for as long as the token is valid.
func (p *page) run(ctx context.Context, valid time.Duration) error {
	expired := time.NewTimer(valid)
	defer expired.Stop()
	beat := time.NewTimer(liveBeat)
	defer beat.Stop()
	due := false
	for {
		moved := *p.watch.moved.Load()
		if sent, err := p.look(ctx, due); err != nil || !sent {
			return err
		}
		due = false
		if p.waited > 0 {
			beat.Reset(liveRetry)
		}
		select {
		case <-moved:
		case <-beat.C:
			due = true
			beat.Reset(liveBeat)
		case <-expired.C:
			p.send([]byte("event: expired\ndata: {}\n\n"))
			return nil
		case <-ctx.Done():
			return nil
		case <-p.server.stopping.Done():
			return nil
		}
		if p.over() {
			return nil
		}
	}
}

// over tells whether the season is none any more. Its page ends, and whoever comes back is told which there are.
func (p *page) over() bool {
	if p.season == nil {
		return false
	}
	_, board, _, known := p.server.config.Seasons.Season(p.season.ID)
	return !known || board != p.watch.board
}

// look reads the dashboard and sends what is news to the reader; if nothing is, and that is due, how old the figures are. It returns
// false if the reader is gone.
func (p *page) look(ctx context.Context, due bool) (sent bool, err error) {
	v := buffers.Get().(*buffer)
	defer buffers.Put(v)
	d := &v.dashboard
	err = p.watch.board.Dashboard(ctx, p.key, p.top, p.around, d)
	switch {
	case ctx.Err() != nil:
		return false, nil
	case errors.Is(err, domain.ErrNotCaughtUp), errors.Is(err, domain.ErrUnavailable):
		told := p.waited%int(liveBeat/liveRetry) != 0
		p.waited++
		return told || p.send([]byte("event: waiting\ndata: {}\n\n")), nil
	case err != nil:
		return false, err
	}
	v.json = append(v.json[:0], "event: dashboard\nid: "...)
	v.json = append(v.json, d.Position.String()...)
	v.json = append(v.json, "\ndata: "...)
	start := len(v.json)
	v.json = p.watch.shared.appendDashboard(v.json, d, p.key)
	// Of the rest, which moves with every change of anybody, a page is told with the next heartbeat.
	rows, rest, _ := bytes.Cut(v.json[start:], []byte(`,"customers":`))
	news := !bytes.Equal(rows, p.shown)
	known := p.shown == nil && p.last != "" && p.last == d.Position.String()
	p.shown = append(p.shown[:0], rows...)
	back := p.waited > 0
	p.waited = 0
	switch {
	case news && !known:
		if p.season != nil {
			v.json = appendSeason(v.json, *p.season)
		}
		return p.send(append(v.json, '\n')), nil
	case known, due, back:
		age := append([]byte("event: age\ndata: {\"customers\":"), rest...)
		return p.send(append(age, '\n')), nil
	}
	return true, nil
}

// send sends an event, and returns false if the reader is gone or does not take it within livePatience. Deadlines are the kernel's
// business, and so are by the real clock.
func (p *page) send(event []byte) bool {
	err := p.control.SetWriteDeadline(time.Now().Add(livePatience))
	if !p.to.Committed {
		// What bounds a request's reading would end the watch for the reader's going, and the page with it.
		err = errors.Join(err, p.control.SetReadDeadline(time.Time{}))
		header := p.to.Header()
		header["Content-Type"] = eventStreamType
		header["X-Accel-Buffering"] = []string{"no"}
		p.to.WriteHeader(http.StatusOK)
		_, failed := p.to.Write(appendRetry(nil, p.key))
		err = errors.Join(err, failed)
	}
	_, failed := p.to.Write(event)
	return errors.Join(err, failed, p.control.Flush()) == nil
}

// appendRetry says after how many milliseconds a reader who lost the stream comes back: 1 to 3 s, for each customer another, so that
// after a restart not all come at once.
func appendRetry(b []byte, key domain.ProxyKey) []byte {
	b = append(b, "retry: "...)
	b = strconv.AppendInt(b, 1000+2000*int64(key[0])/256, 10)
	return append(b, '\n', '\n')
}
