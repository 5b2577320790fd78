package redis_test

import (
	"errors"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

var (
	cat, dan = domain.ProxyKey{3}, domain.ProxyKey{4}
	gone     = "loyalty:{main}:retired"
)

// withTwoRetired is twoCustomers with cat and dan, who are retired.
func withTwoRetired(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(at(100)), AsOf: start}, errors.Join(
		yield(leaderboard.Standing{Key: cat, Retired: true}), yield(leaderboard.Standing{Key: ann, Points: 10, Minute: 5}),
		yield(leaderboard.Standing{Key: bob, Points: 20, Minute: 5}), yield(leaderboard.Standing{Key: dan, Retired: true}))
}

func loadsRetired(t *testing.T, b *redis.Board) {
	t.Helper()
	if err := b.Load(t.Context(), withTwoRetired); err != nil {
		t.Fatal(err)
	}
}

// partings gives ann a point, cat and dan some that have no effect, and retires bob.
func partings() leaderboard.Batch {
	b := batch()
	b.Changes = append(b.Changes, leaderboard.Change{Key: cat, Points: 50}, leaderboard.Change{Key: bob, Retires: true}, leaderboard.Change{Key: dan, Points: 50})
	return b
}

// onlyAnn says that of those four ann alone is on the board, with 11 points, and that the others are retired.
func onlyAnn(t *testing.T, b *redis.Board) {
	t.Helper()
	has(t, b, 11, at(110))
	s, err := b.Standings(t.Context(), []domain.ProxyKey{bob, cat, dan})
	if err != nil || s.Customers != 1 {
		t.Fatalf("%d customers, %v", s.Customers, err)
	}
	for i, standing := range s.Standings {
		if s.Found[i] || !standing.Retired {
			t.Errorf("customer %d is not retired: %+v", i, standing)
		}
	}
}

func TestRetiredKeysThatAreLostInPartAreNotReadUntilALoad(t *testing.T) {
	server := redistest.Start(t)
	for name, lose := range map[string][]any{
		"everything":           {"FLUSHALL"},
		"the retired keys":     {"DEL", gone},
		"one of them":          {"SREM", gone, string(cat[:])},
		"one too many":         {"SADD", gone, "x"},
		"all but the retired":  {"DEL", "loyalty:{main}:state", "loyalty:{main}:customers"},
		"the count is another": {"HSET", "loyalty:{main}:state", "retired", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, server.URL())
			loadsRetired(t, b)
			has(t, b, 10, at(100))
			server.Do(lose...)
			fails(t, b, domain.ErrNotCaughtUp)
			loadsRetired(t, b)
			if err := b.Apply(t.Context(), partings()); err != nil {
				t.Fatal(err)
			}
			onlyAnn(t, b)
		})
	}
}

// withTwoBeyond has ann beyond the clamp, and bob below it.
func withTwoBeyond(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(at(100)), AsOf: start}, errors.Join(
		yield(leaderboard.Standing{Key: ann, Points: 9 * domain.MaxRanked, Minute: 5}), yield(leaderboard.Standing{Key: bob, Points: -9 * domain.MaxRanked, Minute: 5}))
}

func TestTotalsBeyondTheClampThatAreLostInPartAreNotReadUntilALoad(t *testing.T) {
	const beyond = "loyalty:{main}:beyond"
	server := redistest.Start(t)
	for name, lose := range map[string][]any{
		"all of them":          {"DEL", beyond},
		"one of them":          {"HDEL", beyond, string(ann[:])},
		"one too many":         {"HSET", beyond, "x", "1"},
		"the count is another": {"HSET", "loyalty:{main}:state", "beyond", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, server.URL())
			if err := b.Load(t.Context(), withTwoBeyond); err != nil {
				t.Fatal(err)
			}
			has(t, b, 9*domain.MaxRanked, at(100))
			server.Do(lose...)
			fails(t, b, domain.ErrNotCaughtUp)
			if err := b.Load(t.Context(), withTwoBeyond); err != nil {
				t.Fatal(err)
			}
			has(t, b, 9*domain.MaxRanked, at(100))
		})
	}
}

// What stood in Redis before there were retired keys or totals beyond the clamp knows no number of them.
func TestALeaderboardOfAnEarlierVersionGoesOn(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	loads(t, b)
	server.Do("HDEL", "loyalty:{main}:state", "retired", "beyond")
	has(t, b, 10, at(100))
	changes := partings()
	changes.Changes = append([]leaderboard.Change{{Key: cat, Retires: true}, {Key: dan, Retires: true}}, changes.Changes...)
	if err := b.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	onlyAnn(t, b)
}

// Where somebody is retired and somebody comes, a batch is four requests: one to watch, two that read, one that commits.
func TestAConnectionLostAtAnyMomentOfARetirementLeavesItWholeOrNotMade(t *testing.T) {
	const asks, commit = 2, 3
	for name, c := range map[string]struct {
		when moment
		skip int
		made bool
	}{
		"before it asks who is retired": {beforeCommit, asks, false}, "while it asks": {duringCommit, asks, false}, "after it asks": {afterCommit, asks, false},
		"before the commit": {beforeCommit, commit, false}, "during the commit": {duringCommit, commit, false}, "after the commit": {afterCommit, commit, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, redistest.Start(t).Addr())
			b := open(t, p.url())
			loadsRetired(t, b)
			p.cut(c.when, c.skip)
			if err := b.Apply(t.Context(), partings()); !errors.Is(err, domain.ErrUnavailable) {
				t.Fatalf("got error %v, want %v", err, domain.ErrUnavailable)
			}
			if err := b.Apply(t.Context(), partings()); errors.Is(err, domain.ErrCheckpointMoved) != c.made || (err != nil && !c.made) {
				t.Errorf("again: got error %v", err)
			}
			onlyAnn(t, b)
		})
	}
}

func TestABatchIsNotMadeOfRetiredKeysThatSomebodyElseHasChangedMeanwhile(t *testing.T) {
	server := redistest.Start(t)
	for name, c := range map[string]struct {
		meanwhile func(other *redis.Board) error
		after     error
	}{
		"another runner's batch": {func(other *redis.Board) error { return other.Apply(t.Context(), partings()) }, nil},
		"a load":                 {func(other *redis.Board) error { return other.Load(t.Context(), withTwoRetired) }, nil},
		"a loss of retired keys": {func(*redis.Board) error { server.Do("UNLINK", gone); return nil }, domain.ErrNotCaughtUp},
	} {
		for moment, skip := range map[string]int{"before it asks who is retired": 2, "before the commit": 3} {
			t.Run(name+" "+moment, func(t *testing.T) {
				p := startProxy(t, server.Addr())
				b, other := open(t, p.url()), open(t, server.URL())
				loadsRetired(t, b)
				p.meanwhile = func() {
					if err := c.meanwhile(other); err != nil {
						t.Error(err)
					}
				}
				p.cut(pause, skip)
				if err := b.Apply(t.Context(), partings()); !errors.Is(err, domain.ErrCheckpointMoved) {
					t.Errorf("got error %v, want %v", err, domain.ErrCheckpointMoved)
				}
				if _, err := b.Checkpoint(t.Context()); !errors.Is(err, c.after) {
					t.Errorf("then got error %v, want %v", err, c.after)
				}
				if c.after != nil {
					loadsRetired(t, b)
				}
				if err := b.Apply(t.Context(), partings()); err != nil && !errors.Is(err, domain.ErrCheckpointMoved) {
					t.Error(err)
				}
				onlyAnn(t, b)
			})
		}
	}
}

// manyRetired hands out n retired keys, two customers, and calls midway after the first 1500 keys.
func manyRetired(n int, midway func() error) func(func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		state, err := twoCustomers(yield)
		if err != nil {
			return state, err
		}
		for i := range n {
			if i == 1500 {
				if err := midway(); err != nil {
					return state, err
				}
			}
			if err := yield(leaderboard.Standing{Key: domain.ProxyKey{5, byte(i >> 8), byte(i)}, Retired: true}); err != nil {
				return state, err
			}
		}
		return state, nil
	}
}

func TestRetiredKeysLoadInPartsOrNotAtAll(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	broken := errors.New("the ledger broke off")
	if err := b.Load(t.Context(), manyRetired(2500, func() error { return broken })); !errors.Is(err, broken) {
		t.Errorf("got error %v, want %v", err, broken)
	}
	left(t, server)
	lose := func() error { server.Do("SPOP", "loyalty:{main}:retiring"); return nil }
	if err := b.Load(t.Context(), manyRetired(2500, lose)); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got error %v, want %v", err, domain.ErrUnavailable)
	}
	left(t, server)
	if err := b.Load(t.Context(), manyRetired(2500, nothing)); err != nil {
		t.Fatal(err)
	}
	last := domain.ProxyKey{5, 2499 >> 8, 2499 & 0xff}
	if s, ranked, _, err := b.Standing(t.Context(), last); err != nil || ranked || !s.Retired {
		t.Errorf("the last is %+v, %v, %v", s, ranked, err)
	}
	if n := server.Do("SCARD", gone); n != "2500" {
		t.Errorf("%s are retired", n)
	}
}

func TestRetiredKeysGoWithTheirCopy(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	for _, end := range []func(leaderboard.Copy) error{
		func(c leaderboard.Copy) error { return c.Discard(t.Context()) },
		func(c leaderboard.Copy) error {
			_, err := b.Copy(t.Context())
			return errors.Join(err, c.Discard(t.Context()))
		}, // displaced
	} {
		loads(t, b)
		c, err := b.Copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Load(t.Context(), withTwoRetired), c.Apply(t.Context(), partings()), end(c)); err != nil {
			t.Fatal(err)
		}
		if keys := server.Do("KEYS", "*retir*"); keys != "[]" {
			t.Errorf("left are %s", keys)
		}
	}
	loadsRetired(t, b)
	c, err := b.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Load(t.Context(), twoCustomers), c.Switch(t.Context())); err != nil {
		t.Fatal(err)
	}
	left(t, server) // a copy without retired keys takes the place of a leaderboard with some
	has(t, b, 10, at(100))
}
