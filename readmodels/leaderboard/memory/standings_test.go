package memory

import (
	"testing"

	"loyalty/domain"
)

// The contract's boards are small. On this one the standings are in many leaves.
func TestStandingsAreReadFromAllOverALargeBoard(t *testing.T) {
	const n = 20_000
	board := New()
	if err := board.Load(t.Context(), spread(n)); err != nil {
		t.Fatal(err)
	}
	for from := 0; from < n+1000; from += 1000 {
		keys := make([]domain.ProxyKey, 1000)
		for i := range keys {
			keys[i] = customer(from + i)
		}
		s, err := board.Standings(t.Context(), keys)
		if err != nil || s.Customers != n || s.Position != position(1) {
			t.Fatalf("%d customers at %s, %v", s.Customers, s.Position, err)
		}
		for i, key := range keys {
			want, found, _, err := board.Standing(t.Context(), key)
			if err != nil || s.Found[i] != found || s.Standings[i] != want || found != (from+i < n) {
				t.Fatalf("customer %d: got %+v, %v, want %+v, %v", from+i, s.Standings[i], s.Found[i], want, found)
			}
		}
	}
}
