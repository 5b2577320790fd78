package api

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/request"
	"loyalty/domain"
)

// The headers that every answer has. Nothing changes the slices, so that all answers can share them. Policies for documents
// are not among them: an answer is JSON that nothing may take for a document, and each header costs a fortieth of a dashboard.
var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
	// jsonType is of answers made without Echo, which makes a slice for each.
	jsonType = []string{echo.MIMEApplicationJSON}
)

// around is what surrounds the answering of every request. It is one middleware, because Echo puts each anew around every
// request.
func (s *Server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.identify(c)
		start := s.config.Now()
		s.metrics.inFlight.Add(1)
		defer s.metrics.inFlight.Add(-1)
		if err := recovered(next, c); err != nil {
			s.fail(err, c)
		}
		s.observe(c, s.config.Now().Sub(start))
		return nil
	}
}

// identify gives every request an id, its caller's if that is a valid id, and its answer the headers that all have. A read that
// goes well is answered without an id of ours: it leaves no line in the log to find by it.
func (s *Server) identify(c echo.Context) {
	header := c.Response().Header()
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	if id := first(c.Request().Header[headerRequestID]); id != "" {
		if _, err := domain.ParseID[string](headerRequestID, id); err == nil {
			header[headerRequestID] = []string{id}
		}
	}
	if c.Request().Method != http.MethodGet || s.config.Log.Enabled(c.Request().Context(), slog.LevelDebug) {
		s.requestID(c)
	}
}

// requestID is the id that identify gave the request, or else gives it one.
func (s *Server) requestID(c echo.Context) string {
	return request.IDs(s.config.NewRequestID).Of(c)
}

// recovered is next with a panic turned into an error, which is answered with 500. The one by which a handler breaks the connection
// goes on to net/http.
func recovered(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause)
		default:
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return next(c)
}

// metrics is what is counted of the requests.
type metrics struct {
	inFlight atomic.Int64
	refused  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	// counted has those of the metrics that Status sums up, without what takes long to gather.
	counted *prometheus.Registry
	// observers are those of duration by what their labels are made from, which finds them faster. The map is never changed but
	// replaced, under mu, so that nobody who reads it waits.
	mu        sync.Mutex
	observers atomic.Pointer[map[observed]prometheus.Observer]
}

// observed is what tells one histogram of durations from another.
type observed struct {
	method, route string
	status        int
}

func (m *metrics) observer(o observed) prometheus.Observer {
	if found, ok := (*m.observers.Load())[o]; ok {
		return found
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	more := maps.Clone(*m.observers.Load())
	more[o] = m.duration.WithLabelValues(o.method, o.route, strconv.Itoa(o.status))
	m.observers.Store(&more)
	return more[o]
}

// durationMetric is the name of the histogram of all requests.
const durationMetric = "loyalty_http_request_duration_seconds"

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		refused: newRefusals(),
		counted: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: durationMetric, Help: "Time from a request's arrival to its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method", "route", "status"}),
	}
	m.observers.Store(&map[observed]prometheus.Observer{})
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "loyalty_http_requests_in_flight", Help: "Requests being answered.",
	}, func() float64 { return float64(m.inFlight.Load()) })
	if err := errors.Join(registry.Register(inFlight), registry.Register(m.refused), registry.Register(m.duration), m.counted.Register(m.duration)); err != nil {
		return nil, fmt.Errorf("register the metrics of the API: %w", err)
	}
	return m, nil
}

// observe measures and logs what came of a request.
func (s *Server) observe(c echo.Context, took time.Duration) {
	method, path, status := methodLabel(c.Request().Method), c.Path(), c.Response().Status
	if status == http.StatusNotFound && path == "" {
		path = "none"
	}
	s.metrics.observer(observed{method, path, status}).Observe(took.Seconds())
	level, ctx := slog.LevelInfo, c.Request().Context()
	if method == http.MethodGet && (status == http.StatusOK || status == http.StatusNotModified) {
		level = slog.LevelDebug
	}
	if s.config.Log.Enabled(ctx, level) {
		s.config.Log.LogAttrs(ctx, level, "request", slog.String("method", method), slog.String("route", path),
			slog.Int("status", status), slog.Duration("took", took), slog.String("id", s.requestID(c)))
	}
}

// methodLabel keeps callers from making up new label values.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost:
		return method
	}
	return "other"
}
