package projections_test

import (
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/ledger"
)

// otherProxies are of another secret than testProxies.
func otherProxies(t *testing.T) domain.Proxies {
	t.Helper()
	proxies, err := domain.NewProxies([]byte("another secret of these tests"))
	if err != nil {
		t.Fatal(err)
	}
	return proxies
}

// withSecret is a projection into the same read model by a process with another secret.
func withSecret(t *testing.T, p projections.Projection, proxies domain.Proxies) projections.Projection {
	t.Helper()
	switch p := p.(type) {
	case projections.Ledger:
		p.Proxies = proxies
		return p
	case projections.Leaderboard:
		p.Proxies = proxies
		if p.Season.ID != "" {
			p.Proxies = proxies.ForSeason(p.Season.ID)
		}
		return p
	case projections.History:
		p.Proxies = proxies
		return p
	}
	t.Fatalf("%T makes no names", p)
	return nil
}

// Given read models of every adapter, and one of a season
// When a process with another secret follows the log
// Then each stops and stays as it was, also for a rebuild. Once the ledgers and the history were folded from nothing, the leaderboards are loaded
// anew by themselves, and everybody has the other names.
func TestAReadModelDoesNotTakeTheNamesOfAnotherSecret(t *testing.T) {
	store := storetest.Open(t)
	all := allKept(t)
	january := season.Season{ID: "2026-01", From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}
	ofJanuary := all["the leaderboard in Redis"].projection.(projections.Leaderboard)
	shared := ofJanuary.Writer.(*redis.Board).Season(january)
	ofJanuary.Season, ofJanuary.Writer, ofJanuary.Proxies = january, shared, testProxies(t).ForSeason(january.ID)
	ofJanuary.Accounts = ledger.Season{Ledger: ofJanuary.Accounts.(ledger.Seasons), From: january.From, Until: january.Until}
	all["the leaderboard of a season"] = &kept{projection: ofJanuary, points: func(c domain.CustomerID) (domain.Points, error) {
		s, _, _, err := shared.Standing(bounded(t), ofJanuary.Proxies.Key(c))
		return s.Points, err
	}}
	adjust(t, store, "ann", 0, 1)
	names := testProxies(t).Fingerprint()
	runners, stop := keep(t, all, store)
	awaitPoints(t, all, "ann", 1)
	for name, runner := range runners {
		storetest.WaitFor(t, name+" is live", func() bool { return runner.Status().Live })
	}
	stop()
	for name, k := range all {
		if at, err := k.projection.Checkpoint(bounded(t)); err != nil || at.Names != names {
			t.Errorf("%s has the names of %q, %v; want %q", name, at.Names, err, names)
		}
	}

	others := otherProxies(t)
	for _, k := range all {
		k.projection = withSecret(t, k.projection, others)
	}
	adjust(t, store, "ann", 1, 10)
	runners, stop = keep(t, all, store)
	for name, runner := range runners {
		storetest.WaitFor(t, name+" stops", func() bool { return errors.Is(runner.Status().Stopped, domain.ErrOtherNames) })
	}
	stop()
	for name, k := range all {
		if at, err := k.projection.Checkpoint(bounded(t)); err != nil || at.Names != names {
			t.Errorf("%s has the names of %q, %v; want %q", name, at.Names, err, names)
		}
		if got, err := k.points("ann"); err != nil || got != 1 {
			t.Errorf("%s shows %d points, %v; want 1 for as long as nobody decides", name, got, err)
		}
		switch p := k.projection.(type) {
		case projections.Ledger:
			live := p.Writer.(interface {
				projections.RebuildableLedger
				ledger.Writer
			})
			if _, err := projections.RebuildLedger(bounded(t), store, live, others, projections.CompareOptions{}); !errors.Is(err, domain.ErrOtherNames) {
				t.Errorf("%s: a rebuild gives %v, want domain.ErrOtherNames", name, err)
			}
			if _, err := projections.RebuildLedger(bounded(t), store, live, others, projections.CompareOptions{FromNothing: true}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case projections.History:
			if err := k.anew(store); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			k.projection = withSecret(t, k.projection, others)
		}
	}
	runners, _ = keep(t, all, store)
	for name, runner := range runners {
		storetest.WaitFor(t, name+" goes on", func() bool { s := runner.Status(); return s.Stopped == nil && s.Live })
		if at, err := all[name].projection.Checkpoint(bounded(t)); err != nil || at.Names != others.Fingerprint() {
			t.Errorf("%s has the names of %q, %v; want %q", name, at.Names, err, others.Fingerprint())
		}
	}
	for name, k := range all {
		p, is := k.projection.(projections.Leaderboard)
		if !is {
			continue
		}
		board := p.Writer.(leaderboard.Reader)
		storetest.WaitFor(t, name+" has the points", func() bool {
			got, _, _, err := board.Standing(bounded(t), p.Proxies.Key("ann"))
			return err == nil && got.Points == 11
		})
		if before, err := k.points("ann"); err != nil || before != 0 {
			t.Errorf("%s: the name of before has %d points, %v", name, before, err)
		}
	}
}

// Given a ledger with the names of one secret
// When a process with another secret loads an empty leaderboard from it
// Then it refuses, and the leaderboard stays empty.
func TestALeaderboardIsNotLoadedFromALedgerWithOtherNames(t *testing.T) {
	store := storetest.Open(t)
	adjust(t, store, "ann", 0, 1)
	all := allKept(t)
	source := all["the ledger in SQLite"]
	_, stop := keep(t, map[string]*kept{"the ledger": source}, store)
	awaitPoints(t, map[string]*kept{"the ledger": source}, "ann", 1)
	stop()
	for _, name := range []string{"the leaderboard in memory", "the leaderboard in Redis"} {
		p := withSecret(t, all[name].projection, otherProxies(t))
		if _, err := p.Checkpoint(bounded(t)); !errors.Is(err, domain.ErrOtherNames) {
			t.Errorf("%s: got %v, want domain.ErrOtherNames", name, err)
		}
		if _, err := all[name].projection.(projections.Leaderboard).Writer.Checkpoint(bounded(t)); !errors.Is(err, domain.ErrNotCaughtUp) {
			t.Errorf("%s: got %v, want domain.ErrNotCaughtUp", name, err)
		}
	}
}
