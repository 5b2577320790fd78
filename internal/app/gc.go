package app

import (
	"os"
	"runtime/debug"
)

// UseServingGCTarget has garbage collected when the heap has grown fivefold, unless GOGC says otherwise. It is for processes that
// answer requests: what lives on their heap is small, the leaderboard being outside it, and would be collected tens of times
// a second under load. A command that folds the log has all of it on the heap, and must not.
func UseServingGCTarget() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// useFoldingGCTarget undoes UseServingGCTarget until what it returns is called: what a fold leaves behind as it grows is as large as what it
// needs, and would be kept five times over.
func useFoldingGCTarget() (again func()) {
	if os.Getenv("GOGC") != "" {
		return debug.FreeOSMemory
	}
	before := debug.SetGCPercent(100)
	return func() {
		debug.SetGCPercent(before)
		debug.FreeOSMemory()
	}
}
