package app

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/auth/keys"
	"loyalty/eventstore"
	"loyalty/projections"
)

// projectionMetrics are the position and the lag of each projection.
type projectionMetrics struct {
	runners                                           func() []*projections.Runner
	now                                               func() time.Time
	position, end, live, stopped, applied, lagSeconds *prometheus.Desc
}

func newProjectionMetrics(runners func() []*projections.Runner, now func() time.Time) *projectionMetrics {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("loyalty_projection_"+name, help, []string{"projection"}, nil)
	}
	return &projectionMetrics{
		runners: runners, now: now,
		position:   describe("position", "Commit position of the checkpoint."),
		end:        describe("end_position", "Commit position of the end of the log, as the projection last saw it."),
		live:       describe("live", "1 if the projection has caught up and follows new events, else 0."),
		stopped:    describe("stopped", "1 if the projection met what it can't apply, and has stopped until somebody acts, else 0."),
		applied:    describe("events_applied_total", "Events applied since the process began."),
		lagSeconds: describe("lag_seconds", "Seconds since everything in the log was last known to be applied."),
	}
}

// Describe names the metrics.
func (m *projectionMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.position, m.end, m.live, m.stopped, m.applied, m.lagSeconds} {
		out <- d
	}
}

// Collect takes what the runners know, asks no store, and leaves out a lag that is not known.
func (m *projectionMetrics) Collect(out chan<- prometheus.Metric) {
	for _, runner := range m.runners() {
		m.collect(runner.Status(), out)
	}
}

func (m *projectionMetrics) collect(status projections.Status, out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, status.Name)
	}
	gauge(m.position, float64(status.Position.Commit))
	gauge(m.end, float64(status.End.Commit))
	flag := func(d *prometheus.Desc, set bool) {
		value := 0.0
		if set {
			value = 1
		}
		gauge(d, value)
	}
	flag(m.live, status.Live)
	flag(m.stopped, status.Stopped != nil)
	out <- prometheus.MustNewConstMetric(m.applied, prometheus.CounterValue, float64(status.Applied), status.Name)
	if !status.AsOf.IsZero() {
		gauge(m.lagSeconds, max(0, m.now().Sub(status.AsOf).Seconds()))
	}
}

// newSubscriptionMetric shows what the process costs the event store: its projections share one subscription unless they catch up.
func newSubscriptionMetric(store *eventstore.Store) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "loyalty_eventstore_subscriptions",
		Help: "Open subscriptions to the log: one for all projections that have caught up, and one for each that has not.",
	}, func() float64 { return float64(store.Subscriptions()) })
}

// How often what only a store knows is asked for the metrics, how long it may take, and when what it said is too old to show.
const (
	askInterval = 5 * time.Second
	askTimeout  = 2 * time.Second
	askedFor    = 3 * askInterval
)

// askedMetric is a gauge that only a store knows. Its owner asks, in run; a scrape shows what was said last, or leaves the metric out once
// that is too old.
type askedMetric struct {
	desc *prometheus.Desc
	ask  func(context.Context) (int64, error)
	now  func() time.Time

	mu    sync.Mutex
	value int64
	asked time.Time // zero: never
}

func newAskedMetric(name, help string, ask func(context.Context) (int64, error), now func() time.Time) *askedMetric {
	return &askedMetric{desc: prometheus.NewDesc(name, help+", as of a quarter of a minute ago at most.", nil, nil), ask: ask, now: now}
}

// newQuarantineMetric counts the events in the log that count for nobody.
func newQuarantineMetric(store *eventstore.Store, now func() time.Time) *askedMetric {
	return newAskedMetric("loyalty_quarantined_events", "Events in the log that can't be decoded and count for nobody, by decision",
		func(ctx context.Context) (int64, error) {
			log, err := store.Log(ctx)
			return int64(len(log.Quarantined)), err
		}, now)
}

// run asks at once and then time and again, until ctx ends. What is not answered is left out of the metrics after a while; whether the store
// answers is said elsewhere.
func (m *askedMetric) run(ctx context.Context) {
	again := time.NewTicker(askInterval)
	defer again.Stop()
	for ctx.Err() == nil {
		m.refresh(ctx)
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

func (m *askedMetric) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	asked := m.now()
	value, err := m.ask(ctx)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value, m.asked = value, asked
}

// Describe names the metric.
func (m *askedMetric) Describe(out chan<- *prometheus.Desc) { out <- m.desc }

// Collect asks nobody.
func (m *askedMetric) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.asked.IsZero() && m.now().Sub(m.asked) <= askedFor {
		out <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(m.value))
	}
}

// newKeyMetrics shows whether the keys that tokens are verified with are still read.
func newKeyMetrics(set *keys.Set) prometheus.Collector {
	return keyMetrics{
		set:   set,
		count: prometheus.NewDesc("loyalty_token_keys", "Keys of the identity provider that can be used.", nil, nil),
		age:   prometheus.NewDesc("loyalty_token_keys_age_seconds", "Seconds since the keys of the identity provider were last read.", nil, nil),
	}
}

type keyMetrics struct {
	set        *keys.Set
	count, age *prometheus.Desc
}

// Describe names the metrics.
func (m keyMetrics) Describe(out chan<- *prometheus.Desc) { out <- m.count; out <- m.age }

// Collect leaves out the age of keys that were never read.
func (m keyMetrics) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(m.count, prometheus.GaugeValue, float64(m.set.Count()))
	if age, known := m.set.Age(); known {
		out <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, age.Seconds())
	}
}
