package api_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/baseline"
	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// request is one that is made over and over, without a network.
func request(b *testing.B, handler http.Handler, r *http.Request) float64 {
	w := &discard{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		handler.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			b.Fatalf("answered with %d", w.status)
		}
	}
	return float64(b.N) / b.Elapsed().Seconds()
}

// BenchmarkDashboardRequest answers dashboards of 100,000 customers, token and all, in the header and in a session's cookie, beside an Echo handler that only
// writes as many bytes.
func BenchmarkDashboardRequest(b *testing.B) {
	board := memory.New()
	c := config(b, new(bytes.Buffer))
	c.Log, c.Leaderboard = slog.New(slog.DiscardHandler), board
	// Readers are counted, as they are in use, and none is refused.
	c.Limits.ReadRates = map[string]float64{"customer": 1e6}
	err := board.Load(b.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		for i := range uint32(100_000) {
			id := domain.CustomerID(fmt.Sprintf("c-%d", i))
			if err := yield(leaderboard.Standing{Key: c.Proxies.Key(id), Points: domain.Points(i % 3000), Minute: int64(i)}); err != nil {
				return leaderboard.Snapshot{}, err
			}
		}
		return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(domain.Position{Commit: 1, Prepare: 1}), AsOf: time.Now()}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	server, err := api.New(c)
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/loyalty/c-4711?top=10&around=2", nil)
	r.Header.Set("Authorization", "Bearer "+mint(b, customer("c-4711")))
	r.Header.Set("X-Request-Id", "request-1")
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, r)

	empty := baseline.Handler(bytes.Clone(recorder.Body.Bytes()))
	var dashboards, nothing float64
	b.Run("dashboard", func(b *testing.B) {
		dashboards = request(b, server, r)
		b.ReportMetric(dashboards, "requests/s")
	})
	b.Run("dashboard by session", func(b *testing.B) {
		r := httptest.NewRequest(http.MethodGet, r.URL.String(), nil)
		r.AddCookie(&http.Cookie{Name: "__Host-loyalty_session", Value: mint(b, customer("c-4711"))})
		b.ReportMetric(request(b, server, r), "requests/s")
	})
	b.Run("empty", func(b *testing.B) {
		nothing = request(b, empty, r)
		b.ReportMetric(nothing, "requests/s")
		b.ReportMetric(1e6/dashboards-1e6/nothing, "µs-more-per-dashboard")
	})
}
