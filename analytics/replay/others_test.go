package replay_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"loyalty/analytics/export"
	"loyalty/analytics/replay"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// shared is a log with n events of ours, and others in front of them and behind them.
func shared(t testing.TB, n, others int) (*storetest.Front, *eventstore.Store) {
	t.Helper()
	_, target := storetest.Start(t)
	storetest.Others(t, target, others/2)
	before := storetest.Connect(t, target)
	storetest.Begin(t, before)
	events := make([]domain.Event, n)
	for i := range events {
		events[i] = storetest.Adjusted("a", 1)
	}
	storetest.Add(t, before, "account-a", events...)
	storetest.Others(t, target, others/2)
	front := storetest.InFrontOf(t, target)
	return front, storetest.Connect(t, front.Target)
}

// analyses are what analysts do with a log; each returns the number of events that it has met.
func analyses(t testing.TB, store *eventstore.Store) map[string]func() (uint64, error) {
	folder := filepath.Join(t.TempDir(), "export")
	return map[string]func() (uint64, error){
		"replay": func() (uint64, error) {
			h, err := replay.FromLog(t.Context(), store, replay.Options{})
			return h.Events(), err
		},
		"export": func() (uint64, error) {
			m, err := export.Run(t.Context(), store, export.Options{Dir: folder, Format: export.JSONLines, Types: export.Types()})
			var rows uint64
			for _, file := range m.Files {
				rows += uint64(file.Events)
			}
			return rows, err
		},
	}
}

// Given a log that is shared with another application, whose events are many
// When an analyst replays it or exports it
// Then the server sends ours and a bounded number of others.
func TestAnalystsReadNoMoreThanOurEvents(t *testing.T) {
	const ours, others, bound = 100, 30_000, 4096 + 500
	front, store := shared(t, ours, others)
	for what, analyse := range analyses(t, store) {
		so := front.Passed()
		if n, err := analyse(); err != nil || n != ours {
			t.Errorf("%s: %d events, %v", what, n, err)
		}
		if sent := front.Passed() - so; sent > bound {
			t.Errorf("%s: the server has sent %d messages", what, sent)
		}
	}
}

// BenchmarkAmongOthers analyses a thousand events of ours among 300,000 of others.
func BenchmarkAmongOthers(b *testing.B) {
	const ours, others = 1000, 300_000
	front, store := shared(b, ours, others)
	for what := range analyses(b, store) {
		b.Run(what, func(b *testing.B) {
			so, cpu := front.Passed(), cpuTime(b)
			for b.Loop() {
				if n, err := analyses(b, store)[what](); err != nil || n != ours {
					b.Fatalf("%d events, %v", n, err)
				}
			}
			b.ReportMetric(float64(front.Passed()-so)/float64(b.N), "messages/op")
			b.ReportMetric((cpuTime(b)-cpu).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
