package english_test

import (
	"testing"

	"loyalty/internal/english"
)

func TestCountsHaveCommasAndTheRightWord(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 events", 1: "1 event", 2: "2 events", 999: "999 events", 1000: "1,000 events", 12345: "12,345 events", 1234567: "1,234,567 events",
		18446744073709551615: "18,446,744,073,709,551,615 events",
	} {
		if got := english.Count(n, "event", "events"); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
