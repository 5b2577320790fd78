// Package past answers support and analysts who look at the past, and at what the past would have been.
package past

import (
	"context"
	"sync/atomic"
	"time"

	"loyalty/analytics/replay"
	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/readmodels/history"
	"loyalty/readmodels/ledger"
)

// Replays folds the history again.
type Replays interface {
	// Replay says what the history comes to, with the best top customers (1 to 100), and how it compares with what it would have been
	// under the policy of o. It ends with an error soon after ctx does. It calls o.Progress from one goroutine at a time. It is called by
	// one goroutine at a time.
	Replay(ctx context.Context, o replay.Options, top int) (replay.Report, error)
}

// Handler answers questions about the past. History, Earner and Replays may each be nil where the routes that need them are absent. It may
// be used from many goroutines at once.
type Handler struct {
	// History has the changes of ranks and the leaderboards of the past, and Reads admits questions to it, by the role that asks.
	History history.Reader
	Reads   map[auth.Role]*admission.Semaphore
	Proxies domain.Proxies
	Views   request.Views
	// Ledger and Earner are the same ledger.
	Ledger ledger.Reader
	Earner ledger.Earner
	// WhatIfs admits questions to Replays.
	Replays Replays
	WhatIfs *admission.Semaphore
	Now     func() time.Time
	IDs     request.IDs
	// Stopping ends when the server stops, and what-ifs with it.
	Stopping context.Context

	// underWay is the what-if that is worked on; nil for none.
	underWay atomic.Pointer[whatIfAnswer]
}

// acquire waits until the history reflects a position, and then for a slot of Reads, which must be released.
func (h *Handler) acquire(ctx context.Context, caller auth.Claims, position domain.Position) (release func(), err error) {
	if err := request.CatchUp(ctx, h.History, position); err != nil {
		return nil, err
	}
	reads := h.Reads[caller.Role]
	return func() { reads.Release(caller) }, reads.Acquire(ctx, caller)
}
