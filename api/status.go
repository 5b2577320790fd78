package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"loyalty/domain"
)

// Status says how a process and what it works with fare. Of what is not known it holds nil, never zero.
type Status struct {
	// Roles are what the process is for: command, query, project.
	Roles []string `json:"roles"`
	// Started is when the process did; Now is when it was asked.
	Started time.Time `json:"started"`
	Now     time.Time `json:"now"`
	// NotReady is why the process should not be sent requests, empty if it should.
	NotReady    string             `json:"notReady,omitempty"`
	Stores      []StoreStatus      `json:"stores"`
	Projections []ProjectionStatus `json:"projections"`
	Counts      Counts             `json:"counts"`
}

// StoreStatus is one of the stores that the process works with.
type StoreStatus struct {
	// Name is what it is to the process, Kind what it is itself: "ledger" and "postgres".
	Name string `json:"name"`
	Kind string `json:"kind"`
	Up   bool   `json:"up"`
	// Took is how long it took to answer, in milliseconds; or for how long it was waited for.
	Took float64 `json:"took"`
	// Why is what is wrong with it, if anything is.
	Why string `json:"why,omitempty"`
}

// ProjectionStatus is how far a projection of the process is.
type ProjectionStatus struct {
	Name string `json:"name"`
	// Live tells that it follows new events as they come; CaughtUp that it did once, and what it has can be looked at.
	Live     bool            `json:"live"`
	CaughtUp bool            `json:"caughtUp"`
	Position domain.Position `json:"position"`
	// LagEvents counts the events that it has not applied yet, as far as bounds in number and time allow; More tells that there may be more.
	LagEvents *int64 `json:"lagEvents"`
	More      bool   `json:"more"`
	// LagSeconds is how long ago everything in the log was last known to be applied.
	LagSeconds *float64 `json:"lagSeconds"`
	// Applied counts the events applied since the process began.
	Applied uint64 `json:"applied"`
	// Stopped is why it has stopped for good, empty unless it has.
	Stopped string `json:"stopped,omitempty"`
}

// Counts are what the process has done since it began.
type Counts struct {
	// Dashboards were answered as they stand, and Orders placed; lines of batches count as orders.
	Dashboards uint64 `json:"dashboards"`
	Orders     uint64 `json:"orders"`
	// Reads and Writes are all requests by their method, Refused those answered with 4xx, Failed those with 5xx.
	Reads   uint64 `json:"reads"`
	Writes  uint64 `json:"writes"`
	Refused uint64 `json:"refused"`
	Failed  uint64 `json:"failed"`
	// LivePages are open now.
	LivePages int64 `json:"livePages"`
}

// statusFor is for how long one look at a process is good enough for all who ask, and statusPatience how long it may take.
const (
	statusFor      = time.Second
	statusPatience = 2 * time.Second
)

// lookedAt is the last look at the process, which all who ask while it is taken, and within statusFor after, share.
type lookedAt struct {
	mu   sync.Mutex
	at   time.Time
	json []byte
}

// statusNow answers operators' pages.
func (s *Server) statusNow(w http.ResponseWriter, r *http.Request) {
	body, err := s.looked.get(s.config.Now, func() ([]byte, error) {
		// Whoever asked first may go while others wait for the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), statusPatience)
		defer cancel()
		return json.Marshal(s.status(ctx))
	})
	if err != nil {
		s.config.Log.LogAttrs(r.Context(), slog.LevelError, "status", slog.Any("error", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A failure to write means that whoever asked has gone.
	_, _ = w.Write(body)
}

// get gives the last look if it is young enough, else looks. Those who come while somebody looks wait for that.
func (l *lookedAt) get(now func() time.Time, look func() ([]byte, error)) ([]byte, error) {
	came := now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.json != nil && came.Sub(l.at) < statusFor {
		return l.json, nil
	}
	body, err := look()
	if err == nil {
		l.at, l.json = now(), body
	}
	return body, err
}

// status looks at the process and, at the same time, at whether it is ready.
func (s *Server) status(ctx context.Context) Status {
	// The time and the counts together, for rates are made from them.
	now, counts := s.config.Now(), s.counts()
	var ready error
	var asking sync.WaitGroup
	asking.Go(func() { ready = s.config.Ready(ctx) })
	status := s.config.Status(ctx)
	asking.Wait()
	status.Now, status.Counts = now.UTC(), counts
	if status.Stores == nil {
		status.Stores = []StoreStatus{}
	}
	if status.Projections == nil {
		status.Projections = []ProjectionStatus{}
	}
	if ready != nil {
		status.NotReady = ready.Error()
	}
	return status
}

// counts sums up the metrics of the requests.
func (s *Server) counts() (c Counts) {
	families, err := s.metrics.counted.Gather()
	if err != nil {
		s.config.Log.Error("gather the metrics of the requests", "error", err)
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
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	c.LivePages = int64(s.pages.open)
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
	case strings.HasPrefix(status, "4"):
		c.Refused += n
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
