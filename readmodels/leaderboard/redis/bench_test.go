package redis

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// customers is the size of the board that is measured: LEADERBOARD_CUSTOMERS, or a million.
func customers(b *testing.B) int {
	text := os.Getenv("LEADERBOARD_CUSTOMERS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 100 {
		b.Fatalf("LEADERBOARD_CUSTOMERS=%s must be a number from 100 on", text)
	}
	return n
}

// customer is the key of the i-th customer, spread as evenly as the real ones are.
func customer(i int) (key domain.ProxyKey) {
	random := rand.New(rand.NewPCG(uint64(i), 7))
	binary.BigEndian.PutUint64(key[:8], random.Uint64())
	binary.BigEndian.PutUint64(key[8:], random.Uint64())
	return key
}

const year = 365 * 24 * 60 // in minutes

// loaded is a board of a shop's customers: half of them have fewer than 30 points, one in a hundred more than 400.
func loaded(b *testing.B) (board *Board, server *redistest.Server) {
	b.Helper()
	server = redistest.Start(b, "auto-aof-rewrite-percentage", "0")
	board, err := Open(b.Context(), server.URL(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = board.Close() })
	started := time.Now()
	err = board.Load(b.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		random := rand.New(rand.NewPCG(1, 2))
		for i := range customers(b) {
			points := domain.Points(math.Exp(3.4 + 1.1*random.NormFloat64()))
			if err := yield(leaderboard.Standing{Key: customer(i), Points: points, Minute: random.Int64N(year)}); err != nil {
				return leaderboard.Snapshot{}, err
			}
		}
		return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(position(1)), AsOf: time.Unix(60*year, 0)}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("loaded %.0f customers/s", float64(customers(b))/time.Since(started).Seconds())
	return board, server
}

// info is a number that a server tells of itself.
func info(b *testing.B, server *redistest.Server, name string) float64 {
	for line := range strings.Lines(server.Do("INFO", "everything")) {
		if text, found := strings.CutPrefix(strings.TrimSpace(line), name+":"); found {
			number, err := strconv.ParseFloat(text, 64)
			if err != nil {
				b.Fatal(err)
			}
			return number
		}
	}
	b.Fatalf("Redis does not tell its %s", name)
	return 0
}

// seconds is how long a server has worked.
func seconds(b *testing.B, server *redistest.Server) float64 {
	return info(b, server, "used_cpu_user_main_thread") + info(b, server, "used_cpu_sys_main_thread")
}

func position(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }

// BenchmarkApply makes changes in batches of 1,000, mostly each of another customer: an operation is a batch. x-zadd is its
// throughput as a share of what Redis reaches when it is told 1,000 new scores in one ZADD, without reading, checking or
// moving a checkpoint; redis-ns/change is how long Redis itself works for one change.
func BenchmarkApply(b *testing.B) {
	const size = 1000
	board, server := loaded(b)
	n := customers(b)
	bytes := info(b, server, "used_memory_dataset") / float64(n)
	random := rand.New(rand.NewPCG(3, 4))
	at := uint64(1)
	var applying, plain time.Duration
	var worked float64
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		minute := year + int64(at)/60
		batch := leaderboard.Batch{From: domain.CheckpointAt(position(at)), To: domain.CheckpointAt(position(at + 1)), AsOf: time.Unix(60*minute, 0)}
		told := []any{"ZADD", board.keys[keyCustomers]}
		for range size {
			batch.Changes = append(batch.Changes, leaderboard.Change{Key: customer(random.IntN(n)), Points: domain.Points(1 + random.ExpFloat64()*10), Minute: minute})
			key := customer(random.IntN(n))
			told = append(told, score(domain.Points(math.Exp(3.4+1.1*random.NormFloat64())), minute), key[:])
		}
		at++
		before := seconds(b, server)
		b.StartTimer()
		started := time.Now()
		if err := board.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		applying += time.Since(started)
		b.StopTimer()
		worked += seconds(b, server) - before
		started = time.Now()
		if err := board.client.Do(b.Context(), told...).Err(); err != nil {
			b.Fatal(err)
		}
		plain += time.Since(started)
		b.StartTimer()
	}
	changes := float64(at-1) * size
	b.ReportMetric(changes/applying.Seconds(), "changes/s")
	b.ReportMetric(plain.Seconds()/applying.Seconds(), "x-zadd")
	b.ReportMetric(worked*1e9/changes, "redis-ns/change")
	b.ReportMetric(bytes, "B/customer")
}

// BenchmarkDashboards has 64 readers at once read dashboards of anybody, in turns of two seconds: one call for each
// dashboard, and calls that they share. x-alone is how many times as many shared calls serve; x-p99 how much longer the
// slowest in a hundred takes then.
func BenchmarkDashboards(b *testing.B) {
	const readers, turns = 64, 3
	board, _ := loaded(b)
	type result struct {
		served int
		took   time.Duration
		times  []time.Duration
	}
	results := map[bool]*result{false: {}, true: {}}
	for b.Loop() {
		for range turns {
			for _, unbatched := range []bool{true, false} {
				board.dashboards.unbatched = unbatched
				started := time.Now()
				times := read(b, board, readers, 2*time.Second)
				r := results[unbatched]
				r.took += time.Since(started)
				r.served += len(times)
				r.times = append(r.times, times...)
			}
		}
	}
	alone, shared := results[true], results[false]
	perSecond := func(r *result) float64 { return float64(r.served) / r.took.Seconds() }
	p99 := func(r *result) float64 {
		slices.Sort(r.times)
		return float64(r.times[len(r.times)*99/100]) / float64(time.Microsecond)
	}
	b.ReportMetric(perSecond(alone), "alone/s")
	b.ReportMetric(perSecond(shared), "shared/s")
	b.ReportMetric(perSecond(shared)/perSecond(alone), "x-alone")
	b.ReportMetric(p99(alone), "alone-p99-µs")
	b.ReportMetric(p99(shared), "shared-p99-µs")
	b.ReportMetric(p99(shared)/p99(alone), "x-p99")
}

// read has readers read for a while, and returns how long each dashboard took.
func read(b *testing.B, board *Board, readers int, long time.Duration) (all []time.Duration) {
	ctx, cancel := context.WithTimeout(b.Context(), long)
	defer cancel()
	var mu sync.Mutex
	var group sync.WaitGroup
	n := customers(b)
	for i := range readers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 9))
			d := leaderboard.Dashboard{Top: make([]leaderboard.Row, 0, 10), Around: make([]leaderboard.Row, 0, 5)}
			var own []time.Duration
			for ctx.Err() == nil {
				started := time.Now()
				err := board.Dashboard(b.Context(), customer(random.IntN(n)), 10, 2, &d)
				own = append(own, time.Since(started))
				if err != nil || !d.Ranked || len(d.Top) != 10 {
					b.Errorf("%+v, %v", d, err)
					return
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	group.Wait()
	return all
}
