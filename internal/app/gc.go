package app

import (
	"os"
	"runtime/debug"
)

// UseServingGCTarget sets GOGC to 400 unless the environment has it, for processes that answer requests. Their live heap is small, as the
// leaderboard is outside it, and garbage would be collected tens of times a second under load. A command that folds the log has
// everything on the heap and must not use it.
func UseServingGCTarget() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// useFoldingGCTarget sets GOGC to 100 until restore is called. What a fold leaves behind as it grows is as large as what it needs, and
// the serving target would keep that five times over.
func useFoldingGCTarget() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return debug.FreeOSMemory
	}
	before := debug.SetGCPercent(100)
	return func() {
		debug.SetGCPercent(before)
		debug.FreeOSMemory()
	}
}
