package api_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/domain"
)

// BenchmarkLivePages keeps 1,000 pages open while 100 changes a second are applied to the best customer, whom every page shows. It
// reports how long it takes from a change's being applied until a page has it, reader included, and what a page takes of memory:
// here with its reader, who is in the same process.
func BenchmarkLivePages(b *testing.B) {
	const open, changes, every = 1000, 500, 10 * time.Millisecond
	s := startBoard(b, true, func(c *api.Config, _ *http.Server) { c.Log = slog.New(slog.DiscardHandler) })
	before := memoryInUse()
	pages := make([]*livePage, open)
	for i := range pages {
		id := fmt.Sprintf("c-%d", i)
		pages[i] = openPage(b, s.site, customer(id), "/loyalty/"+id+"/live", "")
		pages[i].next(b)
	}
	perPage := float64(memoryInUse()-before) / open / 1024
	// applied is when the change that led to a position was; an event stands for all changes since the one before.
	var mu sync.Mutex
	first := s.at
	applied := make([]time.Time, changes+1)
	var reading sync.WaitGroup
	var took []time.Duration
	events := 0
	b.ResetTimer()
	for _, page := range pages {
		reading.Go(func() {
			for has := uint64(0); has < changes; {
				e, err := page.read()
				now := time.Now()
				if err != nil {
					b.Error(err)
					return
				}
				if e.name != "dashboard" {
					continue
				}
				position, err := domain.ParsePosition("id", e.id)
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				for ; has < position.Commit-first; has++ {
					took = append(took, now.Sub(applied[has+1]))
				}
				events++
				mu.Unlock()
			}
		})
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range changes {
		<-tick.C
		mu.Lock()
		applied[i+1] = time.Now()
		mu.Unlock()
		s.give(b, "zoe", 1)
	}
	reading.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(events)/open, "events/page")
	b.ReportMetric(perPage, "KiB/page")
}

// memoryInUse is the bytes of heap and stacks in use.
func memoryInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
