package app

import (
	"context"
	"time"

	"loyalty/analytics/replay"
	"loyalty/domain"
	"loyalty/eventstore"
)

// whatIfs folds the log again in a process that answers other requests too.
type whatIfs struct {
	store   *eventstore.Store
	proxies domain.Proxies
}

// A replay at full speed keeps up to three cores busy: where the event store is in the same process, that reads, the client does
// too, and there is the folding. As dashboards come first it works a third of the time, and so takes no more than one.
const (
	whatIfWork = 20 * time.Millisecond
	whatIfRest = 40 * time.Millisecond
)

// Replay says what the history comes to, and how it compares with what it would have been under the policy of o. Meanwhile it takes
// up to 400 bytes for each customer, which it gives back to the machine; there must not be two at once. Its errors are those of
// replay.FromLog and Report. Once the log is folded it goes on to the end before it says that ctx has ended.
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

// throttled has whoever tells of progress wait now and then, as long as ctx goes on.
func throttled(ctx context.Context, tell func(string, uint64, uint64)) func(string, uint64, uint64) {
	began := time.Now()
	return func(doing string, done, total uint64) {
		tell(doing, done, total)
		if time.Since(began) < whatIfWork {
			return
		}
		rest := time.NewTimer(whatIfRest)
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
		began = time.Now()
	}
}
