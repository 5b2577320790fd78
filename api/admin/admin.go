// Package admin answers operators, and measures what the process does for everybody else. It asks for no token: it belongs on an address
// of its own that only operators reach.
package admin

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"loyalty/api/request"
	"loyalty/internal/problem"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds how long /readyz asks.
const readyTimeout = 2 * time.Second

// Handler answers operators. It may be used from many goroutines at once.
type Handler struct {
	// Ready says why this process should not be sent requests now, nil if it should. It is given 2 s.
	Ready func(context.Context) error
	// Status gathers all of the process's status but whether it is ready, what it counts, and the time. It is given 2 s. It is nil where
	// there is no status to look at.
	Status func(context.Context) Status
	// Metrics are what /metrics shows, Requests and LiveStreams what Status counts: LiveStreams is how many are open.
	Metrics     *prometheus.Registry
	Requests    *RequestMetrics
	LiveStreams func() int
	Log         *slog.Logger
	Now         func() time.Time
	IDs         request.IDs

	cached cachedStatus
}

// Register adds the routes: /healthz says that the process lives, /readyz whether it should be sent requests, /metrics what it measures,
// and /status.json how it fares.
func (h *Handler) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeState(w, "ok") })
	mux.HandleFunc("GET /readyz", h.readyz)
	if h.Status != nil {
		mux.HandleFunc("GET /status.json", h.statusJSON)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.Metrics, promhttp.HandlerOpts{}))
}

func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	err := h.Ready(ctx)
	if err == nil {
		writeState(w, "ready")
		return
	}
	p := problem.Problem{
		Type: "urn:problem-type:loyalty:not_ready", Title: "Not ready", Status: http.StatusServiceUnavailable,
		Code: "not_ready", Detail: err.Error(), ID: h.IDs(),
	}
	w.Header().Set("Retry-After", "1")
	if err := request.WriteProblem(w, p); err != nil {
		h.Log.LogAttrs(ctx, slog.LevelDebug, "answer not sent", slog.String("id", p.ID), slog.Any("error", err))
	}
}

func writeState(w http.ResponseWriter, state string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A failure to write means that the client has gone.
	_, _ = io.WriteString(w, `{"status":"`+state+`"}`+"\n")
}
