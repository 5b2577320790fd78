package memory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
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

// measured is the board that the benchmarks share, made by the first of them.
var measured struct {
	board  *Board
	before int // bytes of resident memory without it
	load   time.Duration
}

func measuredBoard(b *testing.B) *Board {
	if measured.board == nil {
		measured.before = residentBytes()
		started := time.Now()
		board := New()
		if err := board.Load(b.Context(), spread(customers(b))); err != nil {
			b.Fatal(err)
		}
		measured.board, measured.load = board, time.Since(started)
	}
	return measured.board
}

// bytesPerCustomer is the resident memory that came with the board, to be taken before the benchmark's own grows.
func bytesPerCustomer() float64 {
	debug.FreeOSMemory() // which collects garbage too
	return float64(residentBytes()-measured.before) / float64(measured.board.ranking.tree.count)
}

// BenchmarkDashboard reads dashboards of anybody, one after the other. x-scan is how many of them are read in the time
// that the plainest way takes for a rank alone: to count those before, in an array of nothing but places.
func BenchmarkDashboard(b *testing.B) {
	board, n := measuredBoard(b), customers(b)
	random := rand.New(rand.NewPCG(5, 6))
	d, bytes := roomy(), bytesPerCustomer()
	b.ReportAllocs()
	for b.Loop() {
		read(b, board, random.IntN(n), &d)
	}
	perSecond := float64(b.N) / b.Elapsed().Seconds()
	times := make([]time.Duration, 100_000)
	for i := range times {
		who := random.IntN(n)
		started := time.Now()
		read(b, board, who, &d)
		times[i] = time.Since(started)
	}
	b.ReportMetric(perSecond, "dashboards/s")
	report(b, times, 0.5, "p50-ns", time.Nanosecond)
	report(b, times, 0.99, "p99-ns", time.Nanosecond)
	b.ReportMetric(float64(scan(b, board))/float64(quantile(times, 0.5)), "x-scan")
	b.ReportMetric(bytes, "B/customer")
	b.ReportMetric(float64(n)/measured.load.Seconds(), "loaded/s")
}

// BenchmarkDashboardBesideUpdates reads on all cores, at first with nothing beside it, then while 1,157 updates a second
// go on in a batch every 5 ms. The longest of all reads is told for both: what the first has is the machine's doing.
func BenchmarkDashboardBesideUpdates(b *testing.B) {
	const every = 5 * time.Millisecond
	for _, perSecond := range []int{0, 1157} {
		b.Run(fmt.Sprintf("updates=%d", perSecond), func(b *testing.B) {
			board, n := measuredBoard(b), customers(b)
			ctx, stop := context.WithCancel(b.Context())
			var writer sync.WaitGroup
			if perSecond > 0 {
				writer.Go(func() { keepUpdating(ctx, b, board, every, perSecond) })
			}
			var mu sync.Mutex
			var times []time.Duration
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				random := rand.New(rand.NewPCG(7, rand.Uint64()))
				d := roomy()
				own := make([]time.Duration, 0, b.N)
				for pb.Next() {
					started := time.Now()
					read(b, board, random.IntN(n), &d)
					own = append(own, time.Since(started))
				}
				mu.Lock()
				defer mu.Unlock()
				times = append(times, own...)
			})
			b.StopTimer()
			stop()
			writer.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "dashboards/s")
			report(b, times, 0.5, "p50-ns", time.Nanosecond)
			report(b, times, 0.999, "p99.9-ns", time.Nanosecond)
			report(b, times, 1, "longest-µs", time.Microsecond)
		})
	}
}

func keepUpdating(ctx context.Context, b *testing.B, board *Board, every time.Duration, perSecond int) {
	todo := newUpdates(customers(b))
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	started, made := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			due := int(time.Since(started).Seconds() * float64(perSecond))
			batch := todo.batch(board.now.Position, due-made)
			if err := board.Apply(context.Background(), batch); err != nil {
				b.Error(err)
				return
			}
			made = due
		}
	}
}

// BenchmarkApply makes updates in batches of 1,000, each of one customer: an operation is a batch. x-sorted is how many
// updates are made in the time that the plainest way takes for one: to move a customer within a sorted array.
func BenchmarkApply(b *testing.B) {
	const size = 1000
	board := measuredBoard(b)
	todo := newUpdates(customers(b))
	var times []time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		batch := todo.batch(board.now.Position, size)
		b.StartTimer()
		started := time.Now()
		if err := board.Apply(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(started))
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "updates/s")
	report(b, times, 0.5, "p50-µs", time.Microsecond)
	report(b, times, 1, "longest-µs", time.Microsecond)
	b.ReportMetric(bytesPerCustomer(), "B/customer")
	b.ReportMetric(float64(moveInArray(b, board))/(float64(quantile(times, 0.5))/size), "x-sorted")
}

// roomy is a dashboard that need not grow.
func roomy() leaderboard.Dashboard {
	return leaderboard.Dashboard{Top: make([]leaderboard.Row, 0, 10), Around: make([]leaderboard.Row, 0, 5)}
}

func read(b *testing.B, board *Board, who int, d *leaderboard.Dashboard) {
	if err := board.Dashboard(context.Background(), customer(who), 10, 2, d); err != nil {
		b.Error(err)
	}
	if !d.Ranked || len(d.Top) != 10 {
		b.Errorf("customer %d: %+v", who, d)
	}
}

func report(b *testing.B, times []time.Duration, q float64, name string, unit time.Duration) {
	b.ReportMetric(float64(quantile(times, q))/float64(unit), name)
}

func quantile(times []time.Duration, q float64) time.Duration {
	slices.Sort(times)
	return times[int(q*float64(len(times)-1))]
}

// ordered is everybody on the board, in order.
func ordered(board *Board) []entry {
	tree := &board.ranking.tree
	entries := make([]entry, 0, tree.count)
	for id := tree.best; id != none; id = tree.leaves.at(id).next {
		entries = append(entries, tree.leaves.at(id).all()...)
	}
	return entries
}

func scan(b *testing.B, board *Board) time.Duration {
	var places []uint64
	for _, e := range ordered(board) {
		places = append(places, e.place)
	}
	return plainly(b, func(i int) bool {
		own, before := places[i*len(places)/10], 0
		for _, place := range places {
			if place < own {
				before++
			}
		}
		return before < len(places)
	})
}

func moveInArray(b *testing.B, board *Board) time.Duration {
	entries := ordered(board)
	return plainly(b, func(i int) bool {
		from := i * len(entries) / 10
		e := entries[from]
		e.place -= 10 << minuteBits // ten points more
		to, _ := slices.BinarySearchFunc(entries, e, entry.compare)
		entries = slices.Insert(slices.Delete(entries, from, from+1), min(to, from), e)
		return slices.IsSortedFunc(entries[max(to-2, 0):min(to+2, len(entries))], entry.compare)
	})
}

// plainly is the median time that something takes, which must come out right.
func plainly(b *testing.B, f func(i int) bool) time.Duration {
	times := make([]time.Duration, 9)
	for i := range times {
		started := time.Now()
		right := f(i)
		times[i] = time.Since(started)
		if !right {
			b.Fatal("the plain way went wrong")
		}
	}
	return quantile(times, 0.5)
}

// BenchmarkRestore starts from a file, which is in the page cache. save-s is how long the file takes to write.
func BenchmarkRestore(b *testing.B) {
	board := measuredBoard(b)
	file := &File{Board: board, Path: filepath.Join(b.TempDir(), "leaderboard.board"), Of: "all time"}
	started := time.Now()
	if err := file.Save(b.Context()); err != nil {
		b.Fatal(err)
	}
	saving := time.Since(started)
	for b.Loop() {
		again := New()
		if err := (&File{Board: again, Path: file.Path, Of: file.Of}).Restore(b.Context(), func(domain.Checkpoint, int) error { return nil }); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		again.ranking.release()
		again.cleanup.Stop()
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "restore-s")
	b.ReportMetric(saving.Seconds(), "save-s")
	b.ReportMetric(float64(customers(b))/measured.load.Seconds(), "loaded/s")
}
