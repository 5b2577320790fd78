package projections_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"loyalty/domain"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// piecemeal gives each account as it is when it is read, and something happens between any two.
type piecemeal struct {
	rebuildableLedger
	meanwhile func()
}

func (l piecemeal) Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	var all []ledger.Account
	start, err := l.rebuildableLedger.Accounts(ctx, ledger.InTurn(func(a ledger.Account, _ domain.Position) error {
		all = append(all, a)
		return nil
	}))
	for _, before := range all {
		l.meanwhile()
		now, state, failed := l.Account(ctx, before.Customer)
		p := ledger.Piece{Accounts: []ledger.Account{now}}
		if now != before {
			p.At = state.Position
		}
		err = errors.Join(err, failed, yield(p))
	}
	return start, err
}

// beside is a shop whose ledger is read in pieces, between which customers get points, come and are forgotten.
type beside struct {
	shop
	story  story
	models map[domain.Position]*leaderboardtest.Model
	ledger piecemeal
	last   domain.Position
}

func openBeside(t *testing.T) *beside {
	s := &beside{story: story{rand.New(rand.NewPCG(3, 14)), leaderboardtest.NewModel(), map[domain.CustomerID]bool{}}, models: map[domain.Position]*leaderboardtest.Model{}}
	s.store = storetest.Open(t)
	l := openLedger(t)
	run(t, projections.Ledger{Writer: l, Proxies: testProxies(t)}, s.store, projections.Options{})
	s.ledger = piecemeal{l, func() { s.happens(t, 7) }}
	s.happens(t, 40) // which not everybody is in
	return s
}

func (s *beside) happens(t *testing.T, n int) {
	s.last = happen(t, s.store, s.story.next(testProxies(t), n)...)
	if err := s.ledger.Wait(bounded(t), s.last); err != nil {
		t.Fatal(err)
	}
	s.models[s.last] = leaderboardtest.NewModel(s.story.model.Standings()...)
}

// Given a ledger that is read in pieces of different positions
// When a leaderboard is loaded from it
// Then it shows what the log says at its position, where nobody is further than another, and so it does when it has followed the log.
func TestALeaderboardFromPiecesIsMendedFromTheLog(t *testing.T) {
	for name, open := range map[string]func(*testing.T) interface {
		leaderboard.Reader
		leaderboard.Writer
	}{
		"in memory": func(*testing.T) interface {
			leaderboard.Reader
			leaderboard.Writer
		} {
			return memory.New()
		},
		"in Redis": func(t *testing.T) interface {
			leaderboard.Reader
			leaderboard.Writer
		} {
			return openBoard(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, board, proxies := openBeside(t), open(t), testProxies(t)
			projection := projections.Leaderboard{Writer: board, Accounts: s.ledger, Log: s.store, Proxies: proxies}
			at, err := projection.Checkpoint(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			model, known := s.models[at.Position]
			if !known || len(s.models) < 30 {
				t.Fatalf("it is at %s, after %d looks", at, len(s.models))
			}
			(&story{model: model}).agrees(t, board, proxies)
			run(t, projection, s.store, projections.Options{})
			s.happens(t, 100)
			if err := board.Wait(bounded(t), s.last); err != nil {
				t.Fatal(err)
			}
			s.story.agrees(t, board, proxies)
		})
	}
}

func TestALedgerThatIsReadInPiecesIsVerifiedAndRebuilt(t *testing.T) {
	s := openBeside(t)
	found, err := projections.NewFold(s.store).VerifyLedger(bounded(t), s.ledger, projections.CompareOptions{})
	if err != nil || found.Differs() || found.Customers < 20 {
		t.Errorf("verified: %+v, %v", found, err)
	}
	wrong := s.ledger
	wrong.rebuildableLedger = oneMore{s.ledger.rebuildableLedger}
	if found, err = projections.NewFold(s.store).VerifyLedger(bounded(t), wrong, projections.CompareOptions{}); err != nil || found.Drifted != 1 || found.Drifts[0].Customer != "c-07" {
		t.Errorf("somebody with a point too many: %+v, %v", found, err)
	}
	rebuilt, err := projections.RebuildLedger(bounded(t), s.store, s.ledger, testProxies(t), projections.CompareOptions{})
	if err != nil || rebuilt.Differs || *rebuilt.LiveDigest != rebuilt.Digest {
		t.Errorf("rebuilt: %+v, %v", rebuilt, err)
	}
	wrong.rebuildableLedger = oneMore{s.ledger.rebuildableLedger}
	if rebuilt, err = projections.RebuildLedger(bounded(t), s.store, wrong, testProxies(t), projections.CompareOptions{}); err != nil || !rebuilt.Differs {
		t.Errorf("rebuilt with a point too many: %+v, %v", rebuilt, err)
	}
}

// oneMore has a point too many for one customer.
type oneMore struct{ rebuildableLedger }

func (l oneMore) Account(ctx context.Context, customer domain.CustomerID) (ledger.Account, ledger.State, error) {
	a, state, err := l.rebuildableLedger.Account(ctx, customer)
	if customer == "c-07" {
		a.Points++
	}
	return a, state, err
}
