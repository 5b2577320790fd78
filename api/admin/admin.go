// Package admin answers operators, and measures what the process does for everybody else. It asks for no token: it belongs on an address
// of its own that only operators reach.
package admin

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/internal/problem"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds how long /readyz asks.
const readyTimeout = 2 * time.Second

// roles are those that a process may have.
var roles = []string{"command", "query", "project"}

// Handler answers operators. It may be used from many goroutines at once.
type Handler struct {
	// Ready says for each role of the process (command, query, project) why it should not be sent requests of that role now, nil if it
	// should. Each is given 2 s.
	Ready map[string]func(context.Context) error
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

// Register adds the routes: /healthz says that the process lives, /readyz whether it should be sent requests,
// in all its roles or in the one of the parameter role, /metrics what it measures,
// and /status.json how it fares. Who asks for metrics while others do gets what those get.
func (h *Handler) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeState(w, "ok") })
	mux.HandleFunc("GET /readyz", h.readyz)
	if h.Status != nil {
		mux.HandleFunc("GET /status.json", h.statusJSON)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(&sharedGatherer{Gatherer: h.Metrics}, promhttp.HandlerOpts{}))
}

// Starting answers operators while a process opens what is in it: it lives, and is not ready for anything yet.
func Starting(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		writeState(w, "ok")
		return
	}
	w.Header().Set("Retry-After", "1")
	_ = request.WriteProblem(w, problem.Problem{ // a failure to write means that the client has gone
		Type: "urn:problem-type:loyalty:not_ready", Title: "Not ready", Status: http.StatusServiceUnavailable, Code: "not_ready", Detail: "the process opens its stores",
	})
}

func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	asked := h.Ready
	if role, given := r.URL.Query()["role"]; given {
		check, has := h.Ready[role[0]]
		switch {
		case !slices.Contains(roles, role[0]):
			h.problem(ctx, w, problem.Of(domain.Invalid("role", "role_unknown", "role is one of "+strings.Join(roles, ", "))))
			return
		case !has:
			h.problem(ctx, w, problem.Problem{
				Type: "urn:problem-type:loyalty:role_absent", Title: "Not found", Status: http.StatusNotFound, Code: "role_absent",
				Detail: "this process does not have the role " + role[0] + "; it has: " + strings.Join(slices.Sorted(maps.Keys(h.Ready)), ", "),
			})
			return
		}
		asked = map[string]func(context.Context) error{role[0]: check}
	}
	why := notReady(ctx, asked)
	if why == "" {
		writeState(w, "ready")
		return
	}
	w.Header().Set("Retry-After", "1")
	h.problem(ctx, w, problem.Problem{
		Type: "urn:problem-type:loyalty:not_ready", Title: "Not ready", Status: http.StatusServiceUnavailable, Code: "not_ready", Detail: why,
	})
}

// notReady says which roles should not be sent requests and why, empty if all should. It asks for all at the same time.
func notReady(ctx context.Context, ready map[string]func(context.Context) error) string {
	reasons := make([]string, len(roles))
	var asking sync.WaitGroup
	for i, role := range roles {
		if check := ready[role]; check != nil {
			asking.Go(func() {
				if err := check(ctx); err != nil {
					reasons[i] = role + ": " + err.Error()
				}
			})
		}
	}
	asking.Wait()
	return strings.Join(slices.DeleteFunc(reasons, func(reason string) bool { return reason == "" }), "; ")
}

func (h *Handler) problem(ctx context.Context, w http.ResponseWriter, p problem.Problem) {
	p.ID = h.IDs()
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
