package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/domain"
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

// pages are those that are open, who all learn from one goroutine that the leaderboard has moved. It runs while there are any: the
// first page starts it, and the last one waits for its end.
type pages struct {
	board leaderboard.Reader
	most  int
	// refused counts the pages that were too many.
	refused prometheus.Counter

	mu   sync.Mutex
	open int
	stop func()
	// moved holds the channel that is closed when the leaderboard moves next.
	moved atomic.Pointer[chan struct{}]
}

func newPages(board leaderboard.Reader, most int, registry *prometheus.Registry) (*pages, error) {
	p := &pages{board: board, most: most, refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "loyalty_live_pages_refused_total", Help: "Live pages refused as overloaded.",
	})}
	p.renew()
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "loyalty_live_pages", Help: "Live pages that are open."}, func() float64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return float64(p.open)
	})
	if err := errors.Join(registry.Register(open), registry.Register(p.refused)); err != nil {
		return nil, fmt.Errorf("register the metrics of live pages: %w", err)
	}
	return p, nil
}

// renew makes the channel for the next move, and returns that of the last.
func (p *pages) renew() (before *chan struct{}) {
	next := make(chan struct{})
	return p.moved.Swap(&next)
}

// enter opens a page, or returns errOverloaded. Whoever entered must leave.
func (p *pages) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open >= p.most {
		p.refused.Inc()
		return errOverloaded
	}
	if p.open == 0 {
		ctx, cancel := context.WithCancel(context.Background())
		var watching sync.WaitGroup
		watching.Go(func() { p.watch(ctx) })
		p.stop = func() { cancel(); watching.Wait() }
	}
	p.open++
	return nil
}

func (p *pages) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open--; p.open == 0 {
		p.stop()
	}
}

// watch wakes the pages when the leaderboard has moved: at once if it stood still, else at livePace.
func (p *pages) watch(ctx context.Context) {
	pace := time.NewTicker(livePace)
	defer pace.Stop()
	var at domain.Position
	for ctx.Err() == nil {
		// A leaderboard that can't be reached is asked again at livePace, and what is wrong with it the pages find out themselves.
		if p.board.Wait(ctx, domain.Position{Commit: at.Commit, Prepare: at.Prepare + 1}) == nil {
			if _, _, now, err := p.board.Standing(ctx, domain.ProxyKey{}); err == nil && now != at {
				at = now
				close(*p.renew())
			}
		}
		pace.Reset(livePace)
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
}

// page is one customer's dashboard, kept up to date in a browser.
type page struct {
	server      *Server
	key         domain.ProxyKey
	top, around int
	to          *echo.Response
	control     *http.ResponseController
	// last is the position that the reader was told before, as it came from there.
	last string
	// shown is the JSON of the rows that the reader sees; nil before there are any.
	shown   []byte
	waiting bool
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
	if err := s.pages.enter(); err != nil {
		return err
	}
	defer s.pages.leave()
	p := &page{
		server: s, key: s.config.Proxies.Key(customer), top: top, around: around,
		to: c.Response(), control: http.NewResponseController(c.Response()), last: c.Request().Header.Get("Last-Event-ID"),
	}
	err := p.run(ctx, caller.Expires.Add(clockLeeway).Sub(s.config.Now()))
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
		moved := *p.server.pages.moved.Load()
		if sent, err := p.look(ctx, due); err != nil || !sent {
			return err
		}
		due = false
		if p.waiting {
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
	}
}

// look reads the dashboard and sends what is news to the reader; if nothing is, and that is due, how old the figures are. It returns
// false if the reader is gone.
func (p *page) look(ctx context.Context, due bool) (sent bool, err error) {
	v := views.Get().(*view)
	defer views.Put(v)
	d := &v.dashboard
	err = p.server.config.Leaderboard.Dashboard(ctx, p.key, p.top, p.around, d)
	switch {
	case ctx.Err() != nil:
		return false, nil
	case errors.Is(err, domain.ErrNotCaughtUp), errors.Is(err, domain.ErrUnavailable):
		already := p.waiting
		p.waiting = true
		return already || p.send([]byte("event: waiting\ndata: {}\n\n")), nil
	case err != nil:
		return false, err
	}
	v.json = append(v.json[:0], "event: dashboard\nid: "...)
	v.json = append(v.json, d.Position.String()...)
	v.json = append(v.json, "\ndata: "...)
	start := len(v.json)
	v.json = p.server.shared.appendDashboard(v.json, d, p.key)
	// Of the rest, which moves with every change of anybody, a page is told with the next heartbeat.
	rows, rest, _ := bytes.Cut(v.json[start:], []byte(`,"customers":`))
	news := !bytes.Equal(rows, p.shown)
	known := p.shown == nil && p.last != "" && p.last == d.Position.String()
	p.shown = append(p.shown[:0], rows...)
	back := p.waiting
	p.waiting = false
	switch {
	case news && !known:
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
