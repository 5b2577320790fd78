package projections

import (
	"cmp"
	"context"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/readmodels/ledger"
)

// earningsOf are the sums of the hours and channels that have entries.
type earningsOf map[hourAndChannel]ledger.Earning

type hourAndChannel struct {
	at      time.Time
	channel domain.Channel
}

func (all earningsOf) add(r eventstore.Recorded) {
	kind := ledger.Adjustment
	switch r.Event.(type) {
	case order.PointsAwarded:
		kind = ledger.Award
	case order.PointsReversed:
		kind = ledger.Reversal
	}
	key := hourAndChannel{ledger.Hour.Begin(r.Event.Occurred()), r.Metadata.Channel}
	sum := all.get(key)
	sum.Add(kind, pointsOf(r.Event))
	all[key] = sum
}

// get returns the sums of an hour and channel, zero if there are no entries.
func (all earningsOf) get(key hourAndChannel) ledger.Earning {
	sum := all[key]
	sum.At, sum.Channel = key.at, key.channel
	return sum
}

// readEarnings reads all earnings of a ledger, and their position.
func readEarnings(ctx context.Context, l ledger.Earner, a CompareOptions) (earningsOf, domain.Position, error) {
	all, n := earningsOf{}, uint64(0)
	state, err := l.Hours(ctx, func(e ledger.Earning) error {
		if n++; n%10_000 == 0 {
			a.Progress("reading what was earned", n, 0)
		}
		all[hourAndChannel{e.At, e.Channel}] = e
		return nil
	})
	return all, state.Position, err
}

// EarningDrift is an hour and channel whose earnings in a ledger differ from the log. A side without entries has zeros.
type EarningDrift struct {
	Log       ledger.Earning `json:"log"`
	ReadModel ledger.Earning `json:"readModel"`
}

// compareEarnings finds the hours and channels whose earnings in a ledger differ from the log, in order, and advances the fold to the ledger's
// position.
func (f *Fold) compareEarnings(ctx context.Context, l ledger.Earner, a CompareOptions) (drifts []EarningDrift, err error) {
	got, at, err := readEarnings(ctx, l, a)
	if err == nil {
		err = f.advanceToLedger(ctx, domain.CheckpointAt(at), a)
	}
	if err != nil {
		return nil, err
	}
	for key, want := range f.earnings {
		if got[key] != want {
			drifts = append(drifts, EarningDrift{want, got.get(key)})
		}
	}
	for key, has := range got {
		if _, known := f.earnings[key]; !known {
			drifts = append(drifts, EarningDrift{f.earnings.get(key), has})
		}
	}
	slices.SortFunc(drifts, func(a, b EarningDrift) int {
		return cmp.Or(a.Log.At.Compare(b.Log.At), cmp.Compare(a.Log.Channel, b.Log.Channel))
	})
	return drifts, nil
}
