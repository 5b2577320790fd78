package replay_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
func analyses(t testing.TB, store *eventstore.Store, progress func(doing string, done, total uint64)) map[string]func() (uint64, error) {
	folder := filepath.Join(t.TempDir(), "export")
	return map[string]func() (uint64, error){
		"replay": func() (uint64, error) {
			h, err := replay.FromLog(t.Context(), store, replay.Options{Progress: progress})
			return h.Events(), err
		},
		"export": func() (uint64, error) {
			m, err := export.Run(t.Context(), store, export.Options{Dir: folder, Format: export.JSONLines, Types: export.Types(), Progress: progress})
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
	for what, analyse := range analyses(t, store, nil) {
		so := front.Passed()
		if n, err := analyse(); err != nil || n != ours {
			t.Errorf("%s: %d events, %v", what, n, err)
		}
		if sent := front.Passed() - so; sent > bound {
			t.Errorf("%s: the server has sent %d messages", what, sent)
		}
	}
}

// Given a log that is shared with another application, whose events are many, and are before ours and behind them
// When an analyst replays it or exports it
// Then they are told how far it is while only events of others are passed, at every part of the log, and never that more is done than there is.
func TestAnalystsAreToldHowFarItIsAmongEventsOfOthers(t *testing.T) {
	const ours, others = 3000, 30_000
	_, store := shared(t, ours, others)
	for what := range analyses(t, store, nil) {
		told := map[string][]uint64{} // hundredths by what is done
		if _, err := analyses(t, store, func(doing string, done, total uint64) {
			if total == 0 || done > total {
				t.Errorf("%s, %s: %d of %d", what, doing, done, total)
				return
			}
			told[doing] = append(told[doing], 100*done/total)
		})[what](); err != nil {
			t.Fatal(err)
		}
		for _, doing := range []string{"finding the end", export.Looking} {
			if len(told[doing]) == 0 || told[doing][0] > 10 || !slices.IsSorted(told[doing]) {
				t.Errorf("%s: while it is %s it tells %v hundredths", what, doing, told[doing])
			}
		}
		work := append(told[replay.Replaying], told[export.Exporting]...)
		if len(work) < 3 || work[len(work)-1] < 90 {
			t.Errorf("%s: at work it tells %v hundredths", what, work)
		}
	}
}

// BenchmarkAmongOthers analyses a thousand events of ours among those of others: 300,000, or as many as OTHERS says.
func BenchmarkAmongOthers(b *testing.B) {
	const ours = 1000
	others := 300_000
	if text := os.Getenv("OTHERS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		others = n
	}
	front, store := shared(b, ours, others)
	for what := range analyses(b, store, nil) {
		b.Run(what, func(b *testing.B) {
			so, cpu := front.Passed(), cpuTime(b)
			for b.Loop() {
				if n, err := analyses(b, store, nil)[what](); err != nil || n != ours {
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
