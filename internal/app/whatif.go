package app

import (
	"context"
	"time"

	"loyalty/analytics/replay"
	"loyalty/domain"
	"loyalty/eventstore"
)

// whatIfs replays the log in a process that answers other requests at the same time.
type whatIfs struct {
	store   *eventstore.Store
	proxies domain.Proxies
}

// A replay at full speed keeps up to three cores busy: the embedded event store, its client, and the fold. Dashboards come first, so it
// works a third of the time and takes one core at most.
const (
	whatIfWorkTime  = 20 * time.Millisecond
	whatIfPauseTime = 40 * time.Millisecond
)

// Replay folds the history, and compares it with what it would have been under the policy of o. Meanwhile it takes up to 400 bytes for each
// customer, which it then returns to the operating system. Two must not run at once. Its errors are those of replay.FromLog and
// Report, and that of ctx, which is only noticed at the end once the log is folded.
func (w whatIfs) Replay(ctx context.Context, o replay.Options, top int) (replay.Report, error) {
	defer useFoldingGCTarget()()
	return w.fold(ctx, o, top)
}

func (w whatIfs) fold(ctx context.Context, o replay.Options, top int) (replay.Report, error) {
	tell := o.Progress
	o.Progress = throttled(ctx, tell)
	h, err := replay.FromLog(ctx, w.store, o)
	if err != nil {
		return replay.Report{}, err
	}
	tell("ranking", h.Events(), h.Events())
	report, err := h.Report(h.Board(w.proxies), top)
	if err == nil {
		err = ctx.Err()
	}
	return report, err
}

// throttled is tell with pauses, so that the caller works only part of the time. Pauses end with ctx.
func throttled(ctx context.Context, tell func(string, uint64, uint64)) func(string, uint64, uint64) {
	began := time.Now()
	return func(doing string, done, total uint64) {
		tell(doing, done, total)
		if time.Since(began) < whatIfWorkTime {
			return
		}
		pause(ctx, whatIfPauseTime)
		began = time.Now()
	}
}
