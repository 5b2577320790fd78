package admission

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/problem"
)

var customerOfTests = auth.Claims{Subject: "ann", Role: auth.RoleCustomer, Channel: domain.Website}

// Given more clients than buckets are kept for
// Then what is kept of them stays within its bound, and one that comes again and again never loses its bucket.
func TestAnyNumberOfClientsTakesABoundedAmountOfMemory(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	r := NewRates(map[string]float64{"store": 1})
	steady := auth.Claims{Subject: "till-0", Role: auth.RoleChannel, Channel: domain.Store}
	if err := r.Take(steady, clock); err != nil {
		t.Fatal(err)
	}
	for i := range 5 * maxClients {
		other := steady
		other.Subject = fmt.Sprintf("till-%d", i+1)
		if err := r.Take(other, clock); err != nil {
			t.Fatalf("a new client is rejected: %v", err)
		}
		if i%1000 == 0 && r.Take(steady, clock) == nil {
			t.Fatalf("after %d others, one that had asked in this second got a new bucket", i)
		}
		if i%1000 != 0 {
			continue
		}
		kept := 0
		for shard := range r.shards {
			kept += len(r.shards[shard].young) + len(r.shards[shard].older)
		}
		if kept > 2*maxClients {
			t.Fatalf("%d buckets are kept", kept)
		}
	}
}

// A client that waits as long as it is told gets through; and over any time none gets more than its rate and its burst.
func TestARateIsKeptExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.Float64Range(0.1, 200).Draw(t, "rate")
		r := NewRates(map[string]float64{"customer": perSecond})
		begun := time.Now()
		now := begun
		clock := func() time.Time { return now }
		taken := 0
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "ms")) * time.Millisecond)
			err := r.Take(customerOfTests, clock)
			if err == nil {
				taken++
			} else {
				var limited *domain.LaterError
				if !errors.As(err, &limited) || !errors.Is(err, problem.ErrRateLimited) {
					t.Fatal(err)
				}
				if limited.After <= 0 || limited.After > time.Duration(1e9/perSecond)+time.Millisecond {
					t.Fatalf("told to wait %s at %f a second", limited.After, perSecond)
				}
				now = now.Add(limited.After.Truncate(time.Second) + time.Second)
				if r.Take(customerOfTests, clock) != nil {
					t.Fatal("rejected after waiting as long as was asked for")
				}
				taken++
			}
		}
		if most := 2 + perSecond*(1+now.Sub(begun).Seconds()); float64(taken) > most {
			t.Fatalf("%d requests in %s at %f a second", taken, now.Sub(begun), perSecond)
		}
	})
}

// Lines of a batch are carried out a rate apart, however many ask.
func TestLinesAreARateApart(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	r := NewRates(map[string]float64{"customer": 4})
	for i := range 20 {
		want := max(0, time.Duration(i-3)*250*time.Millisecond)
		if got := r.Reserve(customerOfTests, clock); got < want-time.Millisecond || got > want+time.Millisecond {
			t.Errorf("line %d waits %s, want %s", i+1, got, want)
		}
	}
	if got := (*Rates)(nil).Reserve(customerOfTests, clock); got != 0 {
		t.Errorf("without a rate a line waits %s", got)
	}
}

// Counting a read must not show beside the dashboard that is read, which takes some microseconds.
func TestCountingARequestAllocatesNothing(t *testing.T) {
	r := NewRates(map[string]float64{"customer": 1e6})
	if n := testing.AllocsPerRun(100, func() { _ = r.Take(customerOfTests, time.Now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkTake counts requests of 10,000 customers, from as many goroutines as there are processors.
func BenchmarkTake(b *testing.B) {
	r := NewRates(map[string]float64{"customer": 1e6})
	customers := make([]auth.Claims, 10_000)
	for i := range customers {
		customers[i] = customerOfTests
		customers[i].Subject = fmt.Sprintf("c-%d", i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i += 7 {
			if err := r.Take(customers[i%len(customers)], time.Now); err != nil {
				b.Fatal(err)
			}
		}
	})
}
