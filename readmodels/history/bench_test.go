package history_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
)

const (
	manyCustomers = 1_000_000
	manyChanges   = 10_000_000
)

// shop makes changes of customers taken at random, ten a second.
type shop struct {
	random  *rand.Rand
	changes []history.Change
	at      uint64
}

func newShop(batch int) *shop {
	return &shop{random: rand.New(rand.NewPCG(8, 22)), changes: make([]history.Change, batch)}
}

// keyAmong is a customer's key: as evenly spread as those that are made of digests.
func keyAmong(i uint64) (key domain.ProxyKey) {
	binary.BigEndian.PutUint64(key[:8], (i+1)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(key[8:], i)
	return key
}

func (s *shop) next() history.Batch {
	b := history.Batch{From: domain.CheckpointAt(domain.Position{Commit: s.at, Prepare: s.at}), Changes: s.changes}
	for i := range s.changes {
		s.at++
		stored := epoch.Add(time.Duration(s.at) * 100 * time.Millisecond)
		s.changes[i] = history.Change{
			Kind: history.Awarded, Key: keyAmong(s.random.Uint64N(manyCustomers)), Points: domain.Points(s.random.IntN(20)),
			Minute: leaderboard.Minute(stored), Position: domain.Position{Commit: s.at, Prepare: s.at}, Stored: stored,
		}
		if s.at%50 == 0 {
			s.changes[i].Kind, s.changes[i].Points = history.Reversed, -1
		}
		b.AsOf = stored
	}
	b.To = domain.CheckpointAt(domain.Position{Commit: s.at, Prepare: s.at})
	return b
}

// openMany makes a history of ten million changes of a million customers.
func openMany(b *testing.B) *history.History {
	h := open(b, b.TempDir(), history.Options{})
	b.Cleanup(func() { shut(b, h) })
	shop := newShop(20_000)
	for shop.at < manyChanges {
		if err := h.Apply(b.Context(), shop.next()); err != nil {
			b.Fatal(err)
		}
	}
	h.Settle()
	return h
}

// measure asks about random moments, on behalf of random customers, and reports how long answers take.
func measure(b *testing.B, ask func(ctx context.Context, moment history.Moment, key domain.ProxyKey) error) {
	random := rand.New(rand.NewPCG(7, 22))
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		at := 1 + random.Uint64N(manyChanges)
		moment := history.Moment{Position: domain.Position{Commit: at, Prepare: at}}
		if at%2 == 0 {
			moment = history.Moment{Time: epoch.Add(time.Duration(at) * 100 * time.Millisecond)}
		}
		began := time.Now()
		if err := ask(b.Context(), moment, keyAmong(random.Uint64N(manyCustomers))); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(took[len(took)-1])/1e6, "max-ms")
}

// BenchmarkAsOf has the bar of a dashboard of the past: under two seconds for any moment of ten million changes of a million
// customers.
func BenchmarkAsOf(b *testing.B) {
	h := openMany(b)
	var d leaderboard.Dashboard
	measure(b, func(ctx context.Context, moment history.Moment, key domain.ProxyKey) error {
		return h.AsOf(ctx, "asOf", moment, key, 10, 2, &d)
	})
}

func BenchmarkChanges(b *testing.B) {
	h := openMany(b)
	measure(b, func(ctx context.Context, moment history.Moment, key domain.ProxyKey) error {
		_, err := h.Changes(ctx, "since", moment, key)
		return err
	})
}

// BenchmarkApply adds batches as a runner does, and larger ones as a rebuild could. Each is on disk before the next comes.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1000, 20_000} {
		b.Run(map[int]string{1000: "1,000 changes", 20_000: "20,000 changes"}[size], func(b *testing.B) {
			h := open(b, b.TempDir(), history.Options{})
			b.Cleanup(func() { shut(b, h) })
			shop := newShop(size)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				batch := shop.next()
				b.StartTimer()
				if err := h.Apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*float64(size)/b.Elapsed().Seconds(), "changes/s")
		})
	}
}
