package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"loyalty/domain"
)

// Status is the state of a process and of what it works with. What is not known is nil, never zero.
type Status struct {
	// Roles are what the process is for: command, query, project.
	Roles []string `json:"roles"`
	// Started is when the process did; Now is when it was asked.
	Started time.Time `json:"started"`
	Now     time.Time `json:"now"`
	// NotReady says which of the roles should not be sent requests and why, empty if all should.
	NotReady    string             `json:"notReady,omitempty"`
	Stores      []StoreStatus      `json:"stores"`
	Projections []ProjectionStatus `json:"projections"`
	Counts      Counts             `json:"counts"`
	// Quarantined is the number of events in the log that count for nobody, by decision.
	Quarantined int `json:"quarantined,omitempty"`
}

// StoreStatus is one of the stores that the process works with.
type StoreStatus struct {
	// Name is what the process uses it for, Kind what it is: "ledger" and "postgres".
	Name string `json:"name"`
	Kind string `json:"kind"`
	Up   bool   `json:"up"`
	// Took is how long it took to answer, or how long was waited for an answer, in milliseconds.
	Took float64 `json:"took"`
	// Why is what is wrong with it; empty if nothing is.
	Why string `json:"why,omitempty"`
}

// ProjectionStatus is how far a projection of the process is.
type ProjectionStatus struct {
	Name string `json:"name"`
	// Live says that it applies new events as they come, CaughtUp that it once did, so that its read model can be read.
	Live     bool            `json:"live"`
	CaughtUp bool            `json:"caughtUp"`
	Position domain.Position `json:"position"`
	// LagEvents counts the events that are not applied yet, within bounds of number and time. More says that there may be more.
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
	// Dashboards counts those answered with 200, Orders the orders placed, lines of batches included.
	Dashboards uint64 `json:"dashboards"`
	Orders     uint64 `json:"orders"`
	// Reads and Writes are all requests by their method, ClientErrors those answered with 4xx, Failed those with 5xx.
	Reads        uint64 `json:"reads"`
	Writes       uint64 `json:"writes"`
	ClientErrors uint64 `json:"refused"`
	Failed       uint64 `json:"failed"`
	// LiveStreams are open now.
	LiveStreams int64 `json:"livePages"`
}

const (
	// statusTTL is how long a status is shown again, and statusTimeout how long gathering one may take.
	statusTTL     = time.Second
	statusTimeout = 2 * time.Second
)

// cachedStatus is the last status, which is shared by all who ask while it is gathered and within statusTTL after.
type cachedStatus struct {
	mu       sync.Mutex
	gathered time.Time
	json     []byte
}

// statusJSON answers the status page.
func (h *Handler) statusJSON(w http.ResponseWriter, r *http.Request) {
	body, err := h.cached.get(h.Now, func() ([]byte, error) {
		// The first to ask may go while others wait for the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), statusTimeout)
		defer cancel()
		return json.Marshal(h.status(ctx))
	})
	if err != nil {
		h.Log.LogAttrs(r.Context(), slog.LevelError, "status", slog.Any("error", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A failure to write means that the client has gone.
	_, _ = w.Write(body)
}

// get returns the last status if it is young enough, else gathers another. Those who come meanwhile wait for that one.
func (c *cachedStatus) get(now func() time.Time, gather func() ([]byte, error)) ([]byte, error) {
	came := now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.json != nil && came.Sub(c.gathered) < statusTTL {
		return c.json, nil
	}
	body, err := gather()
	if err == nil {
		c.gathered, c.json = now(), body
	}
	return body, err
}

// status gathers the process's status and, at the same time, whether it is ready.
func (h *Handler) status(ctx context.Context) Status {
	// The time and the counts together, for rates are made from them.
	now, counts := h.Now(), h.Requests.counts(h.Log)
	counts.LiveStreams = int64(h.LiveStreams())
	var why string
	var asking sync.WaitGroup
	asking.Go(func() { why = notReady(ctx, h.Ready) })
	status := h.Status(ctx)
	asking.Wait()
	status.Now, status.Counts, status.NotReady = now.UTC(), counts, why
	if status.Stores == nil {
		status.Stores = []StoreStatus{}
	}
	if status.Projections == nil {
		status.Projections = []ProjectionStatus{}
	}
	return status
}
