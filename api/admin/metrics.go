package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"loyalty/internal/problem"
)

// The names of the metrics that counts sums up.
const (
	durationMetric = "loyalty_http_request_duration_seconds"
	linesMetric    = "loyalty_batch_lines_total"
)

// RequestMetrics measures requests to the public address. It may be used from many goroutines at once.
type RequestMetrics struct {
	// Denied counts the requests that the caller's token does not allow, by route and role.
	Denied *prometheus.CounterVec
	// Lines counts the lines of batches, by status.
	Lines *prometheus.CounterVec

	inFlight atomic.Int64
	duration *prometheus.HistogramVec
	// counted has the metrics that counts sums up, without what takes long to gather.
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

// NewRequestMetrics makes metrics that registry shows. It fails where registry has them already.
func NewRequestMetrics(registry *prometheus.Registry) (*RequestMetrics, error) {
	m := &RequestMetrics{
		Denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loyalty_http_refused_total", Help: "Requests refused because the token does not allow them, by route and role.",
		}, []string{"route", "role"}),
		Lines:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: linesMetric, Help: "Lines of batches answered, by status."}, []string{"status"}),
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
	err := errors.Join(
		registry.Register(inFlight), registry.Register(m.Denied), registry.Register(m.duration), registry.Register(m.Lines),
		m.counted.Register(m.duration), m.counted.Register(m.Lines),
	)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of the API: %w", err)
	}
	return m, nil
}

// Begin counts a request as being answered, until End.
func (m *RequestMetrics) Begin() { m.inFlight.Add(1) }

// End ends what Begin began.
func (m *RequestMetrics) End() { m.inFlight.Add(-1) }

// Observe counts a request that was answered with status after so long. Method and route come from a small number of texts, never from
// the caller.
func (m *RequestMetrics) Observe(method, route string, status int, took time.Duration) {
	m.observer(observed{method, route, status}).Observe(took.Seconds())
}

func (m *RequestMetrics) observer(o observed) prometheus.Observer {
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

// counts sums up the metrics of the requests.
func (m *RequestMetrics) counts(log *slog.Logger) (c Counts) {
	families, err := m.counted.Gather()
	if err != nil {
		log.Error("gather the metrics of the requests", "error", err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			switch family.GetName() {
			case durationMetric:
				c.count(metric)
			case linesMetric:
				if label(metric, "status") == "placed" {
					c.Orders += uint64(metric.GetCounter().GetValue())
				}
			}
		}
	}
	return c
}

// count adds the requests of one method, route and status.
func (c *Counts) count(metric *dto.Metric) {
	n, route, status := metric.GetHistogram().GetSampleCount(), label(metric, "route"), label(metric, "status")
	switch label(metric, "method") {
	case http.MethodGet:
		c.Reads += n
		if route == "/loyalty/:userId" && status == "200" {
			c.Dashboards += n
		}
	case http.MethodPost:
		c.Writes += n
		if route == "/order/:orderId" && status == "201" {
			c.Orders += n
		}
	}
	switch {
	case status == strconv.Itoa(problem.StatusClientGone): // nobody was refused
	case strings.HasPrefix(status, "4"):
		c.ClientErrors += n
	case strings.HasPrefix(status, "5"):
		c.Failed += n
	}
}

func label(metric *dto.Metric, name string) string {
	for _, pair := range metric.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// sharedGatherer gathers once for all who ask at the same time.
type sharedGatherer struct {
	prometheus.Gatherer

	mu      sync.Mutex
	current *gathering // nil while nobody asks
}

type gathering struct {
	done     chan struct{}
	families []*dto.MetricFamily
	err      error
}

// Gather returns what is being gathered, or gathers. Nobody changes the result.
func (g *sharedGatherer) Gather() ([]*dto.MetricFamily, error) {
	g.mu.Lock()
	if current := g.current; current != nil {
		g.mu.Unlock()
		<-current.done
		return current.families, current.err
	}
	mine := &gathering{done: make(chan struct{}), err: errGather}
	g.current = mine
	g.mu.Unlock()
	defer func() { // also after a panic
		g.mu.Lock()
		g.current = nil
		g.mu.Unlock()
		close(mine.done)
	}()
	mine.families, mine.err = g.Gatherer.Gather()
	return mine.families, mine.err
}

var errGather = errors.New("the metrics could not be gathered")
