package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

var (
	ann, bob = domain.ProxyKey{1}, domain.ProxyKey{2}
	start    = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
)

func at(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }

// loads fills a board with ann, who has 10 points, and bob, who has 20, at position 100.
func loads(t *testing.T, b *redis.Board) {
	t.Helper()
	if err := load(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func load(ctx context.Context, b *redis.Board) error { return b.Load(ctx, twoCustomers) }

func twoCustomers(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(at(100)), AsOf: start}, errors.Join(
		yield(leaderboard.Standing{Key: ann, Points: 10, Minute: 5}), yield(leaderboard.Standing{Key: bob, Points: 20, Minute: 5}))
}

// batch gives ann a point, from position 100 on.
func batch() leaderboard.Batch {
	return leaderboard.Batch{From: domain.CheckpointAt(at(100)), To: domain.CheckpointAt(at(110)), AsOf: start, Changes: []leaderboard.Change{{Key: ann, Points: 1, Minute: 6}}}
}

// fails says what every method fails with.
func fails(t *testing.T, b *redis.Board, kind error) {
	t.Helper()
	_, checkpoint := b.Checkpoint(t.Context())
	_, _, _, standing := b.Standing(t.Context(), ann)
	_, standings := b.Standings(t.Context(), []domain.ProxyKey{bob})
	for what, err := range map[string]error{
		"Checkpoint": checkpoint, "Standing": standing, "Standings": standings, "Apply": b.Apply(t.Context(), batch()),
		"Dashboard": b.Dashboard(t.Context(), ann, 10, 2, new(leaderboard.Dashboard)),
	} {
		if !errors.Is(err, kind) {
			t.Errorf("%s: got error %v, want %v", what, err, kind)
		}
	}
}

// has says how many points ann has, and where the board is.
func has(t *testing.T, b *redis.Board, points domain.Points, position domain.Position) {
	t.Helper()
	standing, found, reached, err := b.Standing(t.Context(), ann)
	if err != nil || !found || standing.Points != points || reached != position {
		t.Fatalf("got %+v, %v at %s, %v; want %d points at %s", standing, found, reached, err, points, position)
	}
}

func TestWhatIsLostInPartIsNotReadUntilALoad(t *testing.T) {
	server := redistest.Start(t)
	state, customers := "loyalty:{main}:state", "loyalty:{main}:customers"
	for name, lose := range map[string][]any{
		"everything":       {"FLUSHALL"},
		"the state":        {"DEL", state},
		"the checkpoint":   {"HDEL", state, "position"},
		"the count":        {"HDEL", state, "customers"},
		"the customers":    {"DEL", customers},
		"one customer":     {"ZREM", customers, string(bob[:])},
		"one too many":     {"ZADD", customers, "1", "x"},
		"both, one by one": {"DEL", customers, state},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, server.URL())
			loads(t, b)
			has(t, b, 10, at(100))
			server.Do(lose...)
			fails(t, b, domain.ErrNotCaughtUp)
			loads(t, b)
			has(t, b, 10, at(100))
			if err := b.Apply(t.Context(), batch()); err != nil {
				t.Error(err)
			}
			has(t, b, 11, at(110))
		})
	}
}

func TestRedisEmptiedUnderAWriterAndReadersShowsNoWrongRank(t *testing.T) {
	server := redistest.Start(t)
	leaderboardtest.Endure(t, open(t, server.URL()), func(int) { server.Do("FLUSHALL") })
}

func TestRedisRestartedUnderAWriterAndReadersLosesNothing(t *testing.T) {
	server := redistest.Start(t)
	leaderboardtest.Endure(t, open(t, server.URL()), func(int) {
		server.Shutdown()
		server.Start()
	})
}

func TestRedisRestartedWithoutItsDataIsLoadedAgain(t *testing.T) {
	server := redistest.Start(t, "appendonly", "no")
	leaderboardtest.Endure(t, open(t, server.URL()), func(int) {
		server.Stop()
		server.Start()
	})
}

func TestScriptsThatRedisForgotAreSentAgain(t *testing.T) {
	server := redistest.Start(t)
	leaderboardtest.Endure(t, open(t, server.URL()), func(int) { server.Do("SCRIPT", "FLUSH") })
}

func TestAServerThatIsDownIsUnavailable(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	loads(t, b)
	server.Shutdown()
	fails(t, b, domain.ErrUnavailable)
	if err := load(t.Context(), b); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Load: got error %v, want %v", err, domain.ErrUnavailable)
	}
	if _, err := b.Copy(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Copy: got error %v, want %v", err, domain.ErrUnavailable)
	}
	early := open(t, server.URL()) // is no error: the server may come later
	server.Start()
	has(t, b, 10, at(100))
	has(t, early, 10, at(100))
}

func TestAFullRedisRefusesAndStaysWhole(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL())
	loads(t, b)
	server.Do("CONFIG", "SET", "maxmemory", "1")
	for what, err := range map[string]error{"Apply": b.Apply(t.Context(), batch()), "Load": load(t.Context(), b)} {
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: got error %v, want %v", what, err, domain.ErrUnavailable)
		}
	}
	has(t, b, 10, at(100))
	server.Do("CONFIG", "SET", "maxmemory", "0")
	if err := b.Apply(t.Context(), batch()); err != nil {
		t.Error(err)
	}
	has(t, b, 11, at(110))
}

// A batch is three requests: one to watch, one that reads, one that commits. Of a batch whose connection was lost one can't
// know whether it was made. The checkpoint tells.
func TestAConnectionLostAtAnyMomentOfABatchLeavesItWholeOrNotMade(t *testing.T) {
	const commit = 2
	for name, c := range map[string]struct {
		when moment
		skip int
		made bool
	}{
		"before it watches": {beforeCommit, 0, false}, "after it watches": {afterCommit, 0, false},
		"before it reads": {beforeCommit, 1, false}, "while it reads": {duringCommit, 1, false}, "after it reads": {afterCommit, 1, false},
		"before the commit": {beforeCommit, commit, false}, "during the commit": {duringCommit, commit, false}, "after the commit": {afterCommit, commit, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, redistest.Start(t).Addr())
			b := open(t, p.url())
			loads(t, b)
			p.cut(c.when, c.skip)
			if err := b.Apply(t.Context(), batch()); !errors.Is(err, domain.ErrUnavailable) {
				t.Fatalf("got error %v, want %v", err, domain.ErrUnavailable)
			}
			want := map[bool]domain.Position{false: at(100), true: at(110)}[c.made]
			if reached, err := b.Checkpoint(t.Context()); err != nil || reached.Position != want {
				t.Fatalf("the checkpoint is %s, %v; want %s", reached, err, want)
			}
			if err := b.Apply(t.Context(), batch()); errors.Is(err, domain.ErrCheckpointMoved) != c.made || (err != nil && !c.made) {
				t.Errorf("again: got error %v", err)
			}
			has(t, b, 11, at(110))
		})
	}
}

func TestABatchIsNotMadeOfTotalsThatSomebodyElseHasChangedMeanwhile(t *testing.T) {
	server := redistest.Start(t)
	customers := "loyalty:{main}:customers"
	for name, c := range map[string]struct {
		meanwhile func(other *redis.Board) error
		after     error
	}{
		"another runner's batch": {func(other *redis.Board) error { return other.Apply(t.Context(), batch()) }, nil},
		"a heartbeat": {func(other *redis.Board) error {
			return other.Apply(t.Context(), leaderboard.Batch{From: domain.CheckpointAt(at(100)), To: domain.CheckpointAt(at(100)), AsOf: start.Add(time.Second)})
		}, nil},
		"a load": {func(other *redis.Board) error { return load(t.Context(), other) }, nil},
		"a switch": {func(other *redis.Board) error {
			c, err := other.Copy(t.Context())
			if err != nil {
				return err
			}
			return errors.Join(c.Load(t.Context(), twoCustomers), c.Switch(t.Context()))
		}, nil},
		"a loss of everything":    {func(*redis.Board) error { server.Do("FLUSHALL"); return nil }, domain.ErrNotCaughtUp},
		"a loss of a customer":    {func(*redis.Board) error { server.Do("ZREM", customers, string(bob[:])); return nil }, domain.ErrNotCaughtUp},
		"a loss of the customers": {func(*redis.Board) error { server.Do("UNLINK", customers); return nil }, domain.ErrNotCaughtUp},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, server.Addr())
			b, other := open(t, p.url()), open(t, server.URL())
			loads(t, b)
			p.meanwhile = func() {
				if err := c.meanwhile(other); err != nil {
					t.Error(err)
				}
			}
			p.cut(pause, 2)
			if err := b.Apply(t.Context(), batch()); !errors.Is(err, domain.ErrCheckpointMoved) {
				t.Errorf("got error %v, want %v", err, domain.ErrCheckpointMoved)
			}
			if _, err := b.Checkpoint(t.Context()); !errors.Is(err, c.after) {
				t.Errorf("then got error %v, want %v", err, c.after)
			}
			if c.after != nil {
				loads(t, b)
			}
			if err := b.Apply(t.Context(), batch()); err != nil && !errors.Is(err, domain.ErrCheckpointMoved) {
				t.Error(err)
			}
			has(t, b, 11, at(110))
		})
	}
}

func TestAConnectionLostAtAnyMomentOfALoadLeavesTheOldOrTheNew(t *testing.T) {
	for name, c := range map[string]struct {
		when moment
		skip int
		made bool
	}{
		"before the claim": {beforeCommit, 0, false}, "during the claim": {duringCommit, 0, false}, "after the claim": {afterCommit, 0, false},
		"before a part": {beforeCommit, 1, false}, "during a part": {duringCommit, 1, false}, "after a part": {afterCommit, 1, false},
		"before the swap": {beforeCommit, 2, false}, "during the swap": {duringCommit, 2, false}, "after the swap": {afterCommit, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, redistest.Start(t).Addr())
			b := open(t, p.url())
			loads(t, b)
			if err := b.Apply(t.Context(), batch()); err != nil {
				t.Fatal(err)
			}
			p.cut(c.when, c.skip)
			if err := load(t.Context(), b); !errors.Is(err, domain.ErrUnavailable) {
				t.Fatalf("got error %v, want %v", err, domain.ErrUnavailable)
			}
			if c.made {
				has(t, b, 10, at(100))
			} else {
				has(t, b, 11, at(110))
			}
			loads(t, b)
			has(t, b, 10, at(100))
		})
	}
}

func TestAReaderWhoseConnectionIsLostIsServedByAnother(t *testing.T) {
	for _, when := range []moment{beforeCommit, duringCommit, afterCommit} {
		p := startProxy(t, redistest.Start(t).Addr())
		b := open(t, p.url())
		loads(t, b)
		var d leaderboard.Dashboard
		if err := b.Dashboard(t.Context(), bob, 10, 2, &d); err != nil {
			t.Fatal(err)
		}
		p.cut(when, 0)
		if err := b.Dashboard(t.Context(), ann, 10, 2, &d); err != nil || d.You.Rank != 2 {
			t.Errorf("got %+v, %v", d, err)
		}
	}
}

// Replication lags behind: a replica that is made master lacks the last batches, and its checkpoint says so.
func TestAReplicaThatLacksTheLastBatchesIsBroughtUpToDate(t *testing.T) {
	master := redistest.Start(t)
	replica := master.Replica()
	p := startProxy(t, master.Addr())
	leaderboardtest.Endure(t, open(t, p.url()), func(time int) {
		switch time {
		case 1:
			replica.Do("REPLICAOF", "NO", "ONE") // and from now on lacks everything
		case 3:
			p.Lead("tcp", replica.Addr())
		}
	})
}

func TestAMasterKilledUnderAWriterAndReadersIsReplaced(t *testing.T) {
	s := redistest.StartSentinel(t)
	leaderboardtest.Endure(t, open(t, "redis+sentinel://"+s.Addrs()+"/"+redistest.MasterName), func(time int) {
		if time == 2 {
			s.Master.Stop()
		}
	})
	if role := s.Replica.Do("ROLE"); role[:7] != "[master" {
		t.Errorf("the replica is %s", role)
	}
}

func TestASentinelManagedPairKeepsTheContract(t *testing.T) {
	address := "redis+sentinel://" + redistest.StartSentinel(t).Addrs() + "/" + redistest.MasterName
	leaderboardtest.RunEssentials(t, func(t *testing.T) leaderboardtest.Adapter { return open(t, fresh(address)) })
}

func TestSentinelsAndMasterEachHaveACertificateOfTheirOwn(t *testing.T) {
	b := open(t, "rediss+sentinel://"+redistest.StartTLSSentinel(t).Addrs()+"/"+redistest.MasterName)
	loads(t, b)
	has(t, b, 10, at(100))
}
