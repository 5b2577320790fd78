package sqlite

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// entriesFrom makes n awards of 1 to 20 points from position first on, for customers chosen evenly among so many. The
// same arguments make the same entries.
func entriesFrom(first uint64, n, customers int) []ledger.Entry {
	choose := rand.New(rand.NewPCG(first, 1))
	entries := make([]ledger.Entry, n)
	for i := range entries {
		at := first + uint64(i)
		id := uuid.NewSHA1(uuid.NameSpaceOID, binary.BigEndian.AppendUint64(nil, at)).String()
		order, points := domain.OrderID("web-"+id[:13]), 1+choose.Int64N(20)
		entries[i] = ledger.Entry{
			EventID: id, Customer: customerNumber(choose.IntN(customers)), Kind: ledger.Award, Points: domain.Points(points),
			OccurredAt: time.Unix(1_770_000_000, int64(at)*1000).UTC(), Position: position(at),
			Stream: "order-" + string(order), Revision: 1, Order: order,
			Amount: domain.Money{Minor: points * 1000, Currency: domain.GBP}, Channel: domain.Website,
		}
	}
	return entries
}

func customerNumber(n int) domain.CustomerID {
	return domain.CustomerID(fmt.Sprintf("c_%08d-%06x", n, n*7919%0xffffff))
}

// filled is a ledger of so many entries in batches of 10,000.
func filled(b *testing.B, entries, customers int) (l *Ledger, at uint64) {
	b.Helper()
	l, err := Open(b.Context(), filepath.Join(b.TempDir(), "ledger.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	for ; int(at) < entries; at += 10_000 {
		if err := l.Apply(b.Context(), ledger.Batch{From: domain.CheckpointAt(position(at)), To: domain.CheckpointAt(position(at + 10_000)), Entries: entriesFrom(at+1, 10_000, customers)}); err != nil {
			b.Fatal(err)
		}
	}
	return l, at
}

// median reports the middle of the times that single calls took, which a pause of the machine does not move.
func median(b *testing.B, times []time.Duration, perCall int, unit string) {
	slices.Sort(times)
	b.ReportMetric(float64(perCall)/times[len(times)/2].Seconds(), unit)
}

// BenchmarkApply feeds batches of 1,000 entries for 100,000 customers to a ledger that holds so many already.
func BenchmarkApply(b *testing.B) {
	const size, customers = 1000, 100_000
	for _, held := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("held=%d", held), func(b *testing.B) {
			l, at := filled(b, held, customers)
			b.ReportAllocs()
			var times []time.Duration
			for b.Loop() {
				b.StopTimer()
				batch := ledger.Batch{From: domain.CheckpointAt(position(at)), To: domain.CheckpointAt(position(at + size)), Entries: entriesFrom(at+1, size, customers)}
				at += size
				b.StartTimer()
				start := time.Now()
				if err := l.Apply(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
			}
			median(b, times, size, "entries/s(median)")
			b.ReportMetric(float64(len(times)*size)/b.Elapsed().Seconds(), "entries/s(mean)")
		})
	}
}

// BenchmarkEarnings tells what was earned in ten years with entries in every hour, through two channels, by the day; in the last
// month of them by the hour; and in the last day.
func BenchmarkEarnings(b *testing.B) {
	const size, hours = 10_000, 87_660
	l, at := filled(b, 0, 1)
	last := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for ; at < 2*hours; at += size {
		entries := entriesFrom(at+1, size, 1000)
		for i := range entries {
			n := int(at) + i
			entries[i].OccurredAt = last.Add(-hours * time.Hour).Add(time.Duration(n/2) * time.Hour)
			entries[i].Channel = []domain.Channel{domain.Store, domain.Website}[n%2]
		}
		if err := l.Apply(b.Context(), ledger.Batch{From: domain.CheckpointAt(position(at)), To: domain.CheckpointAt(position(at + size)), Entries: entries}); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		by   ledger.Span
		days int
	}{{"days=3650", ledger.Day, 3650}, {"days=31", ledger.Hour, 31}, {"days=1", ledger.Hour, 1}} {
		b.Run(c.name, func(b *testing.B) {
			var times []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				told, err := l.Earnings(b.Context(), last.AddDate(0, 0, -c.days), last, c.by)
				if want := 2 * c.days * int(24*time.Hour/c.by.Length()); err != nil || len(told.Rows) != want {
					b.Fatal(len(told.Rows), err)
				}
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2].Seconds()*1000, "ms(median)")
		})
	}
}

// BenchmarkTrail reads first pages of random customers' trails, of 20 entries from some 50.
func BenchmarkTrail(b *testing.B) {
	const customers = 4000
	l, _ := filled(b, 200_000, customers)
	choose := rand.New(rand.NewPCG(1, 1))
	var times []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		page, err := l.Trail(b.Context(), customerNumber(choose.IntN(customers)), ledger.Filter{}, "", 20)
		if err != nil || len(page.Entries) != 20 {
			b.Fatal(len(page.Entries), err)
		}
		times = append(times, time.Since(start))
	}
	median(b, times, 1, "pages/s(median)")
}

// BenchmarkAccounts streams every account, as a leaderboard does when it starts.
func BenchmarkAccounts(b *testing.B) {
	l, _ := filled(b, 200_000, 100_000)
	b.ReportAllocs()
	read := 0
	for b.Loop() {
		if _, err := l.Accounts(b.Context(), ledger.InTurn(func(ledger.Account, domain.Position) error { read++; return nil })); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "accounts/s")
}

// BenchmarkSupport measures what support waits for: a page of a customer with 100,000 entries, whose trail a filter that lets
// nothing through is followed to its end for; and a search for an order among as many parts of the index as 200,000 entries make.
func BenchmarkSupport(b *testing.B) {
	l, _ := filled(b, 200_000, 2)
	measure := func(name string, read func() error) {
		b.Run(name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				start := time.Now()
				if err := read(); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2].Seconds()*1000, "ms(median)")
		})
	}
	for name, filter := range map[string]ledger.Filter{"newest": {}, "nothing": {Channel: domain.Mobile}} {
		measure("TrailPage/"+name, func() error {
			_, err := l.Trail(b.Context(), customerNumber(0), filter, "", 50)
			return err
		})
	}
	order := string(entriesFrom(100_001, 1, 2)[0].Order)
	measure("Search", func() error {
		found, err := l.Search(b.Context(), order)
		if err == nil && len(found.Matches) != 1 {
			err = fmt.Errorf("%s leads to %+v", order, found)
		}
		return err
	})
}
