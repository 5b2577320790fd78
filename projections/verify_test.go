package projections_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// shop is a log of some customers' orders and adjustments, and the read models that follow it.
type shop struct {
	store  *eventstore.Store
	ledger rebuildableLedger
	board  *memory.Board
	last   domain.Position
}

type rebuildableLedger interface {
	ledger.Reader
	ledger.Auditor
	ledger.Earner
	ledger.Writer
	ledger.Rebuilder
}

const shoppers = 30

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{store: storetest.Open(t), ledger: openLedger(t), board: memory.New()}
	for i := range shoppers {
		customer := domain.CustomerID(fmt.Sprintf("c-%02d", i))
		appendOrder(t, s.store, customer, domain.OrderID(fmt.Sprintf("o-%d", i)))
		s.last = adjust(t, s.store, customer, 0, domain.Points(i%4)) // a change of nothing among them
	}
	// Tests put read models a little beyond the log for a moment; a runner that is kept goes on when the log has got there.
	_, _ = keep(t, map[string]*kept{
		"ledger":      {projection: projections.Ledger{Writer: s.ledger}},
		"leaderboard": {projection: projections.Leaderboard{Writer: s.board, Accounts: s.ledger, Proxies: testProxies(t)}},
	}, s.store)
	if err := errors.Join(s.ledger.Wait(bounded(t), s.last), s.board.Wait(bounded(t), s.last)); err != nil {
		t.Fatal(err)
	}
	return s
}

// busy appends adjustments, of new customers and old ones, until the test ends.
func (s *shop) busy(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 1; ctx.Err() == nil; n++ {
			for i := range shoppers {
				event := storetest.Adjusted(domain.CustomerID(fmt.Sprintf("c-%02d", i*n%(2*shoppers))), domain.Points(n%7-3))
				if _, err := s.store.Append(ctx, fmt.Sprintf("busy-%d-%d", n, i), eventstore.NoStream, uuidOf(n, i), eventstore.Metadata{}, event); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
}

func TestReadModelsThatFollowedTheLogDoNotDiffer(t *testing.T) {
	s := openShop(t)
	s.busy(t)
	fold := projections.NewFold(s.store)
	for range 5 {
		found, err := fold.VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{})
		if err != nil || found.Differs() || found.Customers < shoppers || found.Digest != fold.LedgerDigest() {
			t.Fatalf("the ledger: %+v, %v", found, err)
		}
		found, err = fold.VerifyLeaderboard(bounded(t), s.board, testProxies(t), projections.CompareOptions{})
		if err != nil || found.Drifted != 0 || found.Customers < shoppers || found.Position != fold.Position() {
			t.Fatalf("the leaderboard: %+v, %v", found, err)
		}
	}
}

func TestTheSameLogHasTheSameDigestWhoeverFoldsIt(t *testing.T) {
	s := openShop(t)
	one, other, before := projections.NewFold(s.store), projections.NewFold(s.store), projections.NewFold(s.store)
	nobody := func(domain.Position) {}
	if err := errors.Join(one.Advance(bounded(t), s.last, nobody), before.Advance(bounded(t), domain.Position{Commit: s.last.Commit - 3, Prepare: s.last.Prepare - 3}, nobody)); err != nil {
		t.Fatal(err)
	}
	for commit := uint64(7); commit < s.last.Commit; commit += 7 { // in pieces
		if err := other.Advance(bounded(t), domain.Position{Commit: commit, Prepare: commit}, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Advance(bounded(t), s.last, nobody); err != nil {
		t.Fatal(err)
	}
	proxies := testProxies(t)
	if one.LedgerDigest() != other.LedgerDigest() || one.LeaderboardDigest(proxies) != other.LeaderboardDigest(proxies) || one.Events() != other.Events() {
		t.Error("two folds of one log differ")
	}
	if one.LedgerDigest() == before.LedgerDigest() || one.LeaderboardDigest(proxies) == before.LeaderboardDigest(proxies) {
		t.Error("folds to two positions are the same")
	}
}

// falseLedger tells other accounts than there are.
type falseLedger struct {
	rebuildableLedger
	tell func(ledger.Account) (ledger.Account, bool)
	add  []ledger.Account
}

func (l falseLedger) Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	state, err := l.rebuildableLedger.Accounts(ctx, ledger.InTurn(func(a ledger.Account, at domain.Position) error {
		if a, ok := l.tell(a); ok {
			return yield(ledger.Piece{At: at, Accounts: []ledger.Account{a}})
		}
		return nil
	}))
	return state, errors.Join(err, yield(ledger.Piece{Accounts: l.add}))
}

func TestEveryDriftOfALedgerIsFound(t *testing.T) {
	s := openShop(t)
	reached := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	right := map[domain.CustomerID]ledger.Account{}
	_, err := s.ledger.Accounts(bounded(t), ledger.InTurn(func(a ledger.Account, _ domain.Position) error { right[a.Customer] = a; return nil }))
	if err != nil {
		t.Fatal(err)
	}
	l := falseLedger{s.ledger, func(a ledger.Account) (ledger.Account, bool) {
		switch a.Customer {
		case "c-03":
			a.Points++
		case "c-07":
			a.ReachedAt = a.ReachedAt.Add(time.Microsecond)
		case "c-09":
			a.Entries--
		case "c-11":
			return a, false
		}
		return a, true
	}, []ledger.Account{{Customer: "stranger", Points: 5, ReachedAt: reached, Entries: 1}}}
	fold := projections.NewFold(s.store)
	found, err := fold.VerifyLedger(bounded(t), l, projections.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	said := func(id domain.CustomerID) *projections.DriftTotal {
		a := right[id]
		return &projections.DriftTotal{Points: a.Points, ReachedAt: a.ReachedAt, Entries: a.Entries}
	}
	with := func(id domain.CustomerID, change func(*projections.DriftTotal)) *projections.DriftTotal {
		d := said(id)
		change(d)
		return d
	}
	want := []projections.Drift{
		{Customer: "c-03", Log: said("c-03"), ReadModel: with("c-03", func(d *projections.DriftTotal) { d.Points++ })},
		{Customer: "c-07", Log: said("c-07"), ReadModel: with("c-07", func(d *projections.DriftTotal) { d.ReachedAt = d.ReachedAt.Add(time.Microsecond) })},
		{Customer: "c-09", Log: said("c-09"), ReadModel: with("c-09", func(d *projections.DriftTotal) { d.Entries-- })},
		{Customer: "c-11", Log: said("c-11")},
		{Customer: "stranger", ReadModel: &projections.DriftTotal{Points: 5, ReachedAt: reached, Entries: 1}},
	}
	if diff := cmp.Diff(want, found.Drifts); diff != "" || found.Drifted != 5 {
		t.Errorf("it counts %d (-want +got):\n%s", found.Drifted, diff)
	}
	if found, err := fold.VerifyLedger(bounded(t), l, projections.CompareOptions{MaxDrifts: 2}); err != nil || found.Drifted != 5 || len(found.Drifts) != 2 {
		t.Errorf("listing two: %+v, %v", found, err)
	}
}

func TestDriftIsFoundInALedgerThatMovesOnWhileItIsRead(t *testing.T) {
	s := openShop(t)
	more := 0
	l := falseLedger{s.ledger, func(a ledger.Account) (ledger.Account, bool) { return a, a.Customer != "c-05" }, nil}
	moving := movingLedger{l, func() {
		// Each time it is asked for its accounts, two customers have got more since the fold looked.
		more++
		adjust(t, s.store, "c-05", more, 10)
		last := adjust(t, s.store, "c-06", more, 10)
		if err := s.ledger.Wait(bounded(t), last); err != nil {
			t.Error(err)
		}
	}}
	found, err := projections.NewFold(s.store).VerifyLedger(bounded(t), moving, projections.CompareOptions{})
	if err != nil || found.Drifted != 1 || found.Drifts[0].Customer != "c-05" || found.Drifts[0].ReadModel != nil {
		t.Errorf("found %+v, %v", found, err)
	}
}

type movingLedger struct {
	falseLedger
	move func()
}

func (l movingLedger) Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	l.move()
	return l.falseLedger.Accounts(ctx, yield)
}

// falseBoard tells other standings than there are.
type falseBoard struct {
	*memory.Board
	tell func(*leaderboard.Standings)
}

func (b falseBoard) Standings(ctx context.Context, keys []domain.ProxyKey) (leaderboard.Standings, error) {
	s, err := b.Board.Standings(ctx, keys)
	b.tell(&s)
	return s, err
}

func TestEveryDriftOfALeaderboardIsFound(t *testing.T) {
	s := openShop(t)
	proxies := testProxies(t)
	for name, c := range map[string]struct {
		tell func(*leaderboard.Standings)
		want int64
	}{
		"points":        {func(s *leaderboard.Standings) { s.Standings[3].Points++ }, 1},
		"a minute":      {func(s *leaderboard.Standings) { s.Standings[3].Minute++; s.Standings[4].Minute-- }, 2},
		"somebody gone": {func(s *leaderboard.Standings) { s.Found[3] = false }, 1},
		"a stranger":    {func(s *leaderboard.Standings) { s.Customers++ }, 1},
		"two missing":   {func(s *leaderboard.Standings) { s.Customers -= 2 }, 2},
	} {
		found, err := projections.NewFold(s.store).VerifyLeaderboard(bounded(t), falseBoard{s.board, c.tell}, proxies, projections.CompareOptions{})
		if err != nil || found.Drifted != c.want {
			t.Errorf("%s: found %+v, %v; want %d", name, found, err, c.want)
		}
	}
}

func TestAReadModelThatDoesNotCatchUpIsNotCompared(t *testing.T) {
	store := storetest.Open(t)
	adjust(t, store, "alice", 0, 5)
	fold := projections.NewFold(store)
	if _, err := fold.VerifyLedger(bounded(t), openLedger(t), projections.CompareOptions{Timeout: time.Millisecond}); !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Errorf("the ledger: %v", err)
	}
	if _, err := fold.VerifyLeaderboard(bounded(t), memory.New(), testProxies(t), projections.CompareOptions{Timeout: time.Millisecond}); !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Errorf("the leaderboard: %v", err)
	}
}
