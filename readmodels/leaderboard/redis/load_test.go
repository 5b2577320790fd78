package redis_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// many hands out n customers with a point each, and calls midway after the first 1500.
func many(n int, midway func() error) func(func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		state := leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(at(500)), AsOf: start}
		for i := range n {
			if i == 1500 {
				if err := midway(); err != nil {
					return state, err
				}
			}
			if err := yield(leaderboard.Standing{Key: domain.ProxyKey{3, byte(i >> 16), byte(i >> 8), byte(i)}, Points: 1}); err != nil {
				return state, err
			}
		}
		return state, nil
	}
}

func nothing() error { return nil }

func TestWhileOneClientLoadsOthersAreToldToComeAgain(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server.URL()), open(t, server.URL())
	loads(t, one)
	err := one.Load(t.Context(), many(3000, func() error {
		if err := load(t.Context(), other); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got error %v, want %v", err, domain.ErrUnavailable)
		}
		has(t, other, 10, at(100))
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	loads(t, other)
	has(t, one, 10, at(100))
}

// untouched fails the test if it is asked for standings.
func untouched(t *testing.T) func(func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return func(func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		t.Error("it is asked for standings")
		return leaderboard.Snapshot{}, errors.New("not now")
	}
}

// Given two clients that find the board empty at the same time, and a ledger that takes long to answer
// Then the ledger is asked once: the board is claimed before, and for as long as the answer takes.
func TestABoardIsClaimedBeforeTheLedgerIsAsked(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server.URL()), open(t, server.URL())
	one.Claim(30*time.Millisecond, time.Minute)
	err := one.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		first := server.Do("HGET", "loyalty:{main}:load", "until")
		for renewed := 0; renewed < 5; {
			if err := other.Load(t.Context(), untouched(t)); !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("got error %v, want %v", err, domain.ErrUnavailable)
			}
			if until := server.Do("HGET", "loyalty:{main}:load", "until"); until != first {
				first, renewed = until, renewed+1
			}
		}
		return twoCustomers(yield)
	})
	if err != nil {
		t.Fatal(err)
	}
	has(t, other, 10, at(100))
	left(t, server)
}

// Given a client whose ledger never answers
// Then another takes over after a while, and the first one's load comes too late and sets nothing back.
func TestALoadThatHangsIsTakenOverAndSetsNothingBack(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server.URL()), open(t, server.URL())
	one.Claim(30*time.Millisecond, 100*time.Millisecond)
	err := one.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		for {
			err := load(t.Context(), other)
			if err == nil {
				break
			}
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if err := other.Apply(t.Context(), batch()); err != nil {
			t.Error(err)
		}
		return twoCustomers(yield)
	})
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got error %v, want %v", err, domain.ErrUnavailable)
	}
	has(t, one, 11, at(110))
	left(t, server)
}

// Given a load that replaces a board, which somebody else moves on meanwhile
// Then it replaces what there was when it began, and nothing that is further.
func TestALoadReplacesNothingThatHasGoneFurtherMeanwhile(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server.URL()), open(t, server.URL())
	loads(t, one)
	back := func(to uint64, meanwhile func() error) error {
		return one.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			if err := meanwhile(); err != nil {
				t.Error(err)
			}
			return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(at(to)), AsOf: start}, yield(leaderboard.Standing{Key: ann, Points: 1, Minute: 5})
		})
	}
	applies := func() error { return other.Apply(t.Context(), batch()) }
	if err := back(105, applies); !errors.Is(err, domain.ErrCheckpointMoved) {
		t.Errorf("got error %v, want %v", err, domain.ErrCheckpointMoved)
	}
	has(t, other, 11, at(110))
	left(t, server)
	if err := back(50, nothing); err != nil { // of a log that was restored, say
		t.Error(err)
	}
	has(t, other, 1, at(50))
}

func TestTheLoadOfADeadClientIsThrownAway(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server.URL()), open(t, server.URL())
	err := one.Load(t.Context(), many(3000, func() error {
		server.Do("HSET", "loyalty:{main}:load", "until", "1") // as if it had been silent for long
		loads(t, other)
		return nil
	}))
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got error %v, want %v", err, domain.ErrUnavailable)
	}
	has(t, other, 10, at(100))
	left(t, server)
}

func TestALoadThatLosesItsPartsFails(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	loads(t, b)
	for _, lose := range [][]any{
		{"DEL", "loyalty:{main}:loading"}, {"DEL", "loyalty:{main}:load"}, {"DEL", "loyalty:{main}:load", "loyalty:{main}:loading"},
		{"ZREMRANGEBYRANK", "loyalty:{main}:loading", "7", "7"},
	} {
		between := b.Load(t.Context(), many(3000, func() error {
			server.Do(lose...)
			return nil
		}))
		atTheEnd := b.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			state, err := many(1000, nothing)(yield)
			server.Do(lose...)
			return state, err
		})
		for _, err := range []error{between, atTheEnd} {
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("%v: got error %v, want %v", lose, err, domain.ErrUnavailable)
			}
		}
		has(t, b, 10, at(100))
	}
	loads(t, b)
	left(t, server)
}

func TestALoadThatFailsLeavesNothingBehind(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	loads(t, b)
	broken := errors.New("the ledger broke off")
	if err := b.Load(t.Context(), many(3000, func() error { return broken })); !errors.Is(err, broken) {
		t.Errorf("got error %v, want %v", err, broken)
	}
	left(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	err := b.Load(ctx, many(3000, func() error {
		cancel()
		return nil
	}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	left(t, server)
	has(t, b, 10, at(100))
}

func TestACustomerLoadedTwiceIsRefused(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	for _, n := range []int{2, 1500, 3000} {
		err := b.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
			state, err := many(n, nothing)(yield)
			return state, errors.Join(err, yield(leaderboard.Standing{Key: domain.ProxyKey{3}, Points: 9}))
		})
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("after %d: got error %v, want %v", n, err, domain.ErrInvalid)
		}
		left(t, server)
	}
}

func TestARebuildLeavesNothingBehind(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	loads(t, b)
	for _, end := range []func(leaderboard.Copy) error{
		func(c leaderboard.Copy) error { return c.Switch(t.Context()) },
		func(c leaderboard.Copy) error { return c.Discard(t.Context()) },
	} {
		c, err := b.Copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Load(t.Context(), many(3000, nothing)), end(c)); err != nil {
			t.Fatal(err)
		}
		left(t, server)
	}
}

func TestBoardsOnOneServerAreApart(t *testing.T) {
	server := redistest.Start(t)
	uk, ie := open(t, server.URL()+"?board=uk"), open(t, server.URL()+"?board=ie")
	loads(t, uk)
	fails(t, ie, domain.ErrNotCaughtUp)
	loads(t, ie)
	if err := ie.Apply(t.Context(), batch()); err != nil {
		t.Fatal(err)
	}
	has(t, uk, 10, at(100))
	has(t, ie, 11, at(110))
	redis.Remove(server.URL() + "?board=uk")
	has(t, ie, 11, at(110))
}

// left says that there is nothing but the live leaderboard, if that.
func left(t *testing.T, server *redistest.Server) {
	t.Helper()
	for key := range strings.FieldsSeq(strings.Trim(server.Do("KEYS", "*"), "[]")) {
		if key != "loyalty:{main}:state" && key != "loyalty:{main}:customers" {
			t.Errorf("%s is left", key)
		}
	}
}
