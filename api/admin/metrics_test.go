package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
)

// Given a scrape under way
// When others come
// Then nothing is gathered for them, and all get the same; and the next one has everything gathered anew.
func TestScrapesAtTheSameTimeShareOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gathered atomic.Int64
		release := make(chan struct{})
		registry := prometheus.NewRegistry()
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gathered"}, func() float64 {
			n := gathered.Add(1)
			<-release
			return float64(n)
		}))
		mux := http.NewServeMux()
		(&Handler{Metrics: registry}).Register(mux)
		scrape := func(want string) {
			answer := httptest.NewRecorder()
			mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			if !strings.Contains(answer.Body.String(), want) {
				t.Errorf("a scrape has %q, want %q", answer.Body, want)
			}
		}
		var scrapes sync.WaitGroup
		for range 5 {
			scrapes.Go(func() { scrape("\ngathered 1\n") })
		}
		synctest.Wait() // until all wait
		close(release)
		scrapes.Wait()
		scrape("\ngathered 2\n")
	})
}
