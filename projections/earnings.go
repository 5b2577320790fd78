package projections

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/readmodels/ledger"
)

// earningsOf are what the entries of hours and channels come to, of those that have any.
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
	place := hourAndChannel{ledger.Hour.Begin(r.Event.Occurred()), r.Metadata.Channel}
	sum := all.in(place)
	sum.Add(kind, pointsOf(r.Event))
	all[place] = sum
}

// in is what there is in an hour and channel, with no entries where there is nothing.
func (all earningsOf) in(place hourAndChannel) ledger.Earning {
	sum := all[place]
	sum.At, sum.Channel = place.at, place.channel
	return sum
}

// readEarnings reads all earnings of a ledger, and the position it stood at.
func readEarnings(ctx context.Context, l ledger.Earner, a Audit) (earningsOf, domain.Position, error) {
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

// EarningDrift is an hour and channel of which a ledger has other earnings than the log. A side without entries has zeros.
type EarningDrift struct {
	Log       ledger.Earning `json:"log"`
	ReadModel ledger.Earning `json:"readModel"`
}

// compareEarnings finds the hours and channels of which a ledger has other earnings than the log, in their order, and moves the fold
// to where the ledger stands.
func (f *Fold) compareEarnings(ctx context.Context, l ledger.Earner, a Audit) (drifts []EarningDrift, err error) {
	got, at, err := readEarnings(ctx, l, a)
	if err == nil {
		err = f.meet(ctx, at, a)
	}
	if err != nil {
		return nil, err
	}
	for place, want := range f.earnings {
		if got[place] != want {
			drifts = append(drifts, EarningDrift{want, got.in(place)})
		}
	}
	for place, has := range got {
		if _, known := f.earnings[place]; !known {
			drifts = append(drifts, EarningDrift{f.earnings.in(place), has})
		}
	}
	slices.SortFunc(drifts, func(a, b EarningDrift) int {
		return cmp.Or(a.Log.At.Compare(b.Log.At), cmp.Compare(a.Log.Channel, b.Log.Channel))
	})
	return drifts, nil
}

// earningsDiffer brings the copy to where the live ledger stands, and tells whether they have other earnings.
func (c *copying) earningsDiffer(ctx context.Context, live ledger.Reader, copied ledger.Earner) (bool, error) {
	earner, ok := live.(ledger.Earner)
	if !ok {
		return false, nil
	}
	want, at, err := readEarnings(ctx, earner, c.audit)
	if err == nil {
		err = c.advance(ctx, at)
	}
	if err != nil {
		return false, err
	}
	got, _, err := readEarnings(ctx, copied, c.audit)
	return !maps.Equal(want, got), err
}
