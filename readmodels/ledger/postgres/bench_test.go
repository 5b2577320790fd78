package postgres

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// onDisk are the settings of a server as it is in production: a commit is on the disk, and a torn page is repaired.
var onDisk = []string{"fsync=on", "full_page_writes=on", "shared_buffers=256MB"}

func position(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }

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
			OccurredAt: occurs(at), Position: position(at),
			Stream: "order-" + string(order), Revision: 1, Order: order,
			Amount: domain.Money{Minor: points * 1000, Currency: domain.GBP}, Channel: domain.Website,
		}
	}
	return entries
}

// occurs is when they occurred: one in every microsecond.
func occurs(at uint64) time.Time {
	return time.Unix(1_770_000_000, 0).UTC().Add(time.Duration(at) * time.Microsecond)
}

func customerNumber(n int) domain.CustomerID {
	return domain.CustomerID(fmt.Sprintf("c_%08d-%06x", n, n*7919%0xffffff))
}

// filled is a ledger of so many entries in batches of 10,000.
func filled(b *testing.B, entries, customers int) (l *Ledger, at uint64) {
	b.Helper()
	l, err := migrated(b.Context(), postgrestest.Start(b, onDisk...).URL())
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
	const customers = 100_000
	for _, held := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("held=%d", held), func(b *testing.B) {
			l, at := filled(b, held, customers)
			b.ReportAllocs()
			applyBatches(b, l, at, customers, occurs)
		})
	}
}

// applyBatches feeds a ledger that is at a position batches of 1,000 entries for so many customers, and reports how many entries go in a second. It returns
// where the ledger is then.
func applyBatches(b *testing.B, l *Ledger, at uint64, customers int, occurs func(at uint64) time.Time) uint64 {
	const size = 1000
	var times []time.Duration
	for b.Loop() {
		b.StopTimer()
		batch := ledger.Batch{From: domain.CheckpointAt(position(at)), To: domain.CheckpointAt(position(at + size)), Entries: entriesFrom(at+1, size, customers)}
		for i := range batch.Entries {
			batch.Entries[i].OccurredAt = occurs(at + uint64(i))
		}
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
	return at
}

// fromEnvironment is the number that a variable holds, or another one without it.
func fromEnvironment(b *testing.B, variable string, least, otherwise int) int {
	b.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least {
		b.Fatalf("%s is %q: want a number from %d on", variable, text, least)
	}
	return n
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

// BenchmarkTrail reads first pages of random customers' trails, of 20 entries from some 50, which occurred in one month or are
// spread over three years.
func BenchmarkTrail(b *testing.B) {
	const entries, customers = 200_000, 4000
	for _, spread := range []int{1, 36} {
		b.Run(fmt.Sprintf("months=%d", spread), func(b *testing.B) {
			l, _ := filled(b, 0, customers)
			all := entriesFrom(1, entries, customers)
			for i := range all {
				all[i].OccurredAt = all[i].OccurredAt.AddDate(0, i*spread/entries, 0)
			}
			for some := range slices.Chunk(all, 10_000) {
				from, to := some[0].Position.Commit-1, some[len(some)-1].Position.Commit
				if err := l.Apply(b.Context(), ledger.Batch{From: domain.CheckpointAt(position(from)), To: domain.CheckpointAt(position(to)), Entries: some}); err != nil {
					b.Fatal(err)
				}
			}
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
		})
	}
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
