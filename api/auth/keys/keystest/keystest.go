// Package keystest has sets of keys for tests of what uses them.
package keystest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"loyalty/api/auth/keys"
)

// Start has the keys at an address read until the end of the test. A token for which they are not read yet waits for them.
func Start(t testing.TB, url string, now func() time.Time) *keys.Set {
	t.Helper()
	set, err := keys.New(keys.Options{URL: url, Log: slog.New(slog.DiscardHandler), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { set.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return set
}
