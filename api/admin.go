package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"loyalty/api/web"
)

// readyTimeout bounds how long /readyz asks.
const readyTimeout = 2 * time.Second

// Admin answers operators: /healthz says that the process lives, /readyz whether it should be sent requests, /metrics
// what it measures, and /status is a page that shows how it fares, by /status.json. It asks for no token; it belongs on an
// address of its own that only operators reach.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeStatus(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	if s.config.Status != nil {
		mux.HandleFunc("GET /status.json", s.statusNow)
		mux.Handle("GET "+web.StatusPath, s.files)
		mux.Handle("GET "+web.AssetsPath, s.files)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{}))
	return mux
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	err := s.config.Ready(ctx)
	if err == nil {
		writeStatus(w, "ready")
		return
	}
	p := Problem{
		Type: "urn:problem-type:loyalty:not_ready", Title: "Not ready", Status: http.StatusServiceUnavailable,
		Code: "not_ready", Detail: err.Error(), ID: s.config.NewRequestID(),
	}
	w.Header().Set("Retry-After", "1")
	if err := writeProblem(w, p); err != nil {
		s.config.Log.LogAttrs(ctx, slog.LevelDebug, "answer not sent", slog.String("id", p.ID), slog.Any("error", err))
	}
}

func writeStatus(w http.ResponseWriter, status string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A failure to write means that whoever asked has gone.
	_, _ = io.WriteString(w, `{"status":"`+status+`"}`+"\n")
}
