package projections_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/ledger"
)

var january = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// sale is an adjustment that came through a channel, or by hand, some minutes into January 5th 2026, 9:00.
func sale(t *testing.T, store *eventstore.Store, n, minutes int, channel domain.Channel, points domain.Points) domain.Position {
	t.Helper()
	event := storetest.Adjusted("alice", points)
	event.OccurredAt = january.Add(time.Duration(minutes) * time.Minute)
	position, err := store.Append(bounded(t), "sale-"+uuidOf(9, n).String(), eventstore.NoStream, uuidOf(9, n), eventstore.Metadata{Channel: channel}, event)
	if err != nil {
		t.Fatal(err)
	}
	return position
}

// falseEarner tells other earnings than there are.
type falseEarner struct {
	rebuildableLedger
	tell func(ledger.Earning) (ledger.Earning, bool)
	add  []ledger.Earning
}

func (l falseEarner) Hours(ctx context.Context, yield func(ledger.Earning) error) (ledger.State, error) {
	state, err := l.rebuildableLedger.Hours(ctx, func(e ledger.Earning) error {
		if e, ok := l.tell(e); ok {
			return yield(e)
		}
		return nil
	})
	for _, e := range l.add {
		if err == nil {
			err = yield(e)
		}
	}
	return state, err
}

func TestEveryDriftOfWhatWasEarnedIsFoundAndPutRight(t *testing.T) {
	s := openShop(t)
	// Given a ledger of sales in some hours
	for n, sold := range []struct {
		minutes int
		channel domain.Channel
	}{{0, domain.Store}, {59, domain.Store}, {60, domain.Store}, {60, ""}, {120, domain.Mobile}, {180, domain.Website}} {
		s.last = sale(t, s.store, n, sold.minutes, sold.channel, domain.Points(10+n))
	}
	if err := s.ledger.Wait(bounded(t), s.last); err != nil {
		t.Fatal(err)
	}
	fold := projections.NewFold(s.store)
	if found, err := fold.VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{}); err != nil || found.Differs() {
		t.Fatalf("found %+v, %v", found, err)
	}
	at := func(hours int, channel domain.Channel, adjustments int64, adjusted domain.Points) ledger.Earning {
		return ledger.Earning{At: january.Add(time.Duration(hours) * time.Hour), Channel: channel, Adjustments: adjustments, Adjusted: adjusted}
	}
	// When it tells others of some of them, leaves one out and makes one up
	l := falseEarner{s.ledger, func(e ledger.Earning) (ledger.Earning, bool) {
		switch e {
		case at(0, domain.Store, 2, 21):
			e.Adjusted++
		case at(1, "", 1, 13):
			e.Adjustments, e.Awards = 0, 1
		case at(2, domain.Mobile, 1, 14):
			return e, false
		}
		return e, true
	}, []ledger.Earning{at(3, domain.Mobile, 1, 15)}}
	// Then each is found
	found, err := fold.VerifyLedger(bounded(t), l, projections.CompareOptions{})
	awarded := at(1, "", 0, 13)
	awarded.Awards = 1
	want := []projections.EarningDrift{
		{Log: at(0, domain.Store, 2, 21), ReadModel: at(0, domain.Store, 2, 22)},
		{Log: at(1, "", 1, 13), ReadModel: awarded},
		{Log: at(2, domain.Mobile, 1, 14), ReadModel: at(2, domain.Mobile, 0, 0)},
		{Log: at(3, domain.Mobile, 0, 0), ReadModel: at(3, domain.Mobile, 1, 15)},
	}
	if diff := cmp.Diff(want, found.EarningDrifts); err != nil || diff != "" || found.EarningsDrifted != 4 || found.Drifted != 0 || !found.Differs() {
		t.Errorf("%+v, %v (-want +got):\n%s", found, err, diff)
	}
	if found, err := fold.VerifyLedger(bounded(t), l, projections.CompareOptions{MaxDrifts: 1}); err != nil || found.EarningsDrifted != 4 || len(found.EarningDrifts) != 1 {
		t.Errorf("listing one: %+v, %v", found, err)
	}
	// And a rebuild says that it differed, and is right
	if rebuilt, err := projections.RebuildLedger(bounded(t), s.store, l, testProxies(t), projections.CompareOptions{}); err != nil || !rebuilt.Differs || *rebuilt.LiveDigest != rebuilt.Digest {
		t.Errorf("rebuilt %+v, %v", rebuilt, err)
	}
	if rebuilt, err := projections.RebuildLedger(bounded(t), s.store, s.ledger, testProxies(t), projections.CompareOptions{}); err != nil || rebuilt.Differs {
		t.Errorf("rebuilt %+v, %v", rebuilt, err)
	}
	if found, err := fold.VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{}); err != nil || found.Differs() {
		t.Errorf("after it: %+v, %v", found, err)
	}
}

func TestWhatAForgottenCustomerEarnedStaysInTheSums(t *testing.T) {
	s := openShop(t)
	before, err := s.ledger.Earnings(bounded(t), time.Time{}, time.Time{}, ledger.Day)
	if err != nil || len(before.Rows) == 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	last := happen(t, s.store, forgotten("c-03"), forgotten("c-04"))
	if err := s.ledger.Wait(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"forgotten", "folded anew"} {
		after, err := s.ledger.Earnings(bounded(t), time.Time{}, time.Time{}, ledger.Day)
		if diff := cmp.Diff(before.Rows, after.Rows); err != nil || diff != "" || after.Position.Before(last) {
			t.Errorf("%s: at %s, %v (-want +got):\n%s", when, after.Position, err, diff)
		}
		if _, err := projections.RebuildLedger(bounded(t), s.store, s.ledger, testProxies(t), projections.CompareOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}
