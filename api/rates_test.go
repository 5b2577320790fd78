package api

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
)

// Given more clients than are remembered
// Then what is kept of them stays within its bound, and one that comes again and again is never forgotten.
func TestAnyNumberOfClientsTakesABoundedAmountOfMemory(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	r := newRates(map[string]float64{"store": 1})
	steady := Claims{Subject: "till-0", Role: RoleChannel, Channel: domain.Store}
	if err := r.take(steady, clock); err != nil {
		t.Fatal(err)
	}
	for i := range 5 * rememberedClients {
		other := steady
		other.Subject = fmt.Sprintf("till-%d", i+1)
		if err := r.take(other, clock); err != nil {
			t.Fatalf("a new client is refused: %v", err)
		}
		if i%1000 == 0 && r.take(steady, clock) == nil {
			t.Fatalf("after %d others, one that had asked in this second was forgotten", i)
		}
		if n := len(r.young) + len(r.older); n > 2*rememberedClients {
			t.Fatalf("%d clients are remembered", n)
		}
	}
}

// A client that waits as long as it is told gets through; and over any time none gets more than its rate and its burst.
func TestARateIsKeptExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.Float64Range(0.1, 200).Draw(t, "rate")
		r := newRates(map[string]float64{"customer": perSecond})
		begun := time.Now()
		now := begun
		clock := func() time.Time { return now }
		taken := 0
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "ms")) * time.Millisecond)
			err := r.take(customerOfTests, clock)
			if err == nil {
				taken++
			} else {
				limited := err.(rateLimited)
				if limited.after <= 0 || limited.after > time.Duration(1e9/perSecond)+time.Millisecond {
					t.Fatalf("told to wait %s at %f a second", limited.after, perSecond)
				}
				now = now.Add(time.Duration(limited.seconds()) * time.Second)
				if r.take(customerOfTests, clock) != nil {
					t.Fatal("refused after waiting as long as was asked for")
				}
				taken++
			}
		}
		if most := 2 + perSecond*(1+now.Sub(begun).Seconds()); float64(taken) > most {
			t.Fatalf("%d requests in %s at %f a second", taken, now.Sub(begun), perSecond)
		}
	})
}

// Lines of a batch are given their turns a rate apart, however many ask.
func TestTurnsAreARateApart(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	r := newRates(map[string]float64{"customer": 4})
	for i := range 20 {
		want := max(0, time.Duration(i-3)*250*time.Millisecond)
		if got := r.reserve(customerOfTests, clock); got < want-time.Millisecond || got > want+time.Millisecond {
			t.Errorf("line %d waits %s, want %s", i+1, got, want)
		}
	}
	if got := (*rates)(nil).reserve(customerOfTests, clock); got != 0 {
		t.Errorf("without a rate a line waits %s", got)
	}
}
