//go:build linux && !race

package memory

import (
	"runtime"
	"testing"
	"time"
)

func TestTheMemoryOfAnOldBoardIsGivenBack(t *testing.T) {
	const n, loads = 100_000, 30
	board := New()
	load := func() {
		if err := board.Load(t.Context(), spread(n)); err != nil {
			t.Fatal(err)
		}
	}
	load()
	first := residentBytes()
	for range loads {
		load()
	}
	// One board is 4 MB and more.
	if grown := residentBytes() - first; grown > loads*4<<20/3 {
		t.Errorf("%d loads of %d customers took %d MB more", loads, n, grown>>20)
	}
	for range loads {
		board = New()
		load()
	}
	board = nil
	for deadline := time.Now().Add(30 * time.Second); residentBytes()-first > loads*4<<20/3; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatalf("%d boards that nobody has any more keep %d MB", loads, (residentBytes()-first)>>20)
		}
	}
}
