package app

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/eventstore"
	"loyalty/projections"
)

// countUpTo bounds the events that are counted for the lag of a projection, and countTimeout the time for all counts of one scrape.
const (
	countUpTo    = 10_000
	countTimeout = 2 * time.Second
)

// projectionMetrics are the position and the lag of each projection.
type projectionMetrics struct {
	runners                                                 func() []*projections.Runner
	now                                                     func() time.Time
	position, live, stopped, applied, lagSeconds, lagEvents *prometheus.Desc
}

func newProjectionMetrics(runners func() []*projections.Runner, now func() time.Time) *projectionMetrics {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("loyalty_projection_"+name, help, []string{"projection"}, nil)
	}
	return &projectionMetrics{
		runners: runners, now: now,
		position:   describe("position", "Commit position of the checkpoint."),
		live:       describe("live", "1 if the projection has caught up and follows new events, else 0."),
		stopped:    describe("stopped", "1 if the projection met what it can't apply, and has stopped until somebody acts, else 0."),
		applied:    describe("events_applied_total", "Events applied since the process began."),
		lagSeconds: describe("lag_seconds", "Seconds since everything in the log was last known to be applied."),
		lagEvents:  describe("lag_events", "Events in the log that are not applied yet, counted up to 10000 and for 2 seconds."),
	}
}

// Describe names the metrics.
func (m *projectionMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.position, m.live, m.stopped, m.applied, m.lagSeconds, m.lagEvents} {
		out <- d
	}
}

// Collect asks all runners at the same time, and leaves out a lag that is not known.
func (m *projectionMetrics) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, runner := range m.runners() {
		asking.Go(func() { m.collect(ctx, runner, out) })
	}
	asking.Wait()
}

func (m *projectionMetrics) collect(ctx context.Context, runner *projections.Runner, out chan<- prometheus.Metric) {
	status := runner.Status()
	gauge := func(d *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, status.Name)
	}
	gauge(m.position, float64(status.Position.Commit))
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
	if behind, err := runner.Behind(ctx, countUpTo); err == nil || behind > 0 {
		gauge(m.lagEvents, float64(behind))
	}
}

// quarantineMetric counts the events in the log that count for nobody.
type quarantineMetric struct{ store *eventstore.Store }

var quarantined = prometheus.NewDesc("loyalty_quarantined_events", "Events in the log that can't be decoded and count for nobody, by decision.", nil, nil)

// Describe names the metric.
func (quarantineMetric) Describe(out chan<- *prometheus.Desc) { out <- quarantined }

// Collect asks the log, and leaves the metric out if it does not answer.
func (m quarantineMetric) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	if log, err := m.store.Log(ctx); err == nil {
		out <- prometheus.MustNewConstMetric(quarantined, prometheus.GaugeValue, float64(len(log.Quarantined)))
	}
}
