package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Given a gauge that only a store knows
// When the store is asked, then fails, and time passes
// Then scrapes show what it said last for a while, and then nothing; no scrape asks.
func TestWhatAStoreSaidIsShownForAWhile(t *testing.T) {
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	asked, fails := 0, false
	m := newAskedMetric("some", "Some", func(context.Context) (int64, error) {
		asked++
		if fails {
			return 0, errors.New("away")
		}
		return 3, nil
	}, func() time.Time { return now })
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	shows := func(when string, want ...float64) {
		t.Helper()
		before := asked
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got []float64
		for _, family := range families {
			got = append(got, family.GetMetric()[0].GetGauge().GetValue())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s it is %v, want %v", when, got, want)
		}
		if asked != before {
			t.Errorf("%s: a scrape asks the store", when)
		}
	}
	shows("before it was asked")
	m.refresh(t.Context())
	shows("once it was asked", 3)
	fails = true
	now = now.Add(askedFor)
	m.refresh(t.Context())
	shows("while it fails", 3)
	now = now.Add(time.Second)
	shows("after a while")
	fails = false
	m.refresh(t.Context())
	shows("when it answers again", 3)
}
