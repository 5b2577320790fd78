package bus_test

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"

	"loyalty/bus"
	"loyalty/bus/bustest"
)

// lockedBuffer takes what many goroutines log.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func TestAStopInOrderIsNoReasonToWarn(t *testing.T) {
	var out lockedBuffer
	s := bustest.NewSystem(t, goChannel(t))
	stop := s.Start(func(o *bus.IntakeOptions) {
		o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	s.Send(bustest.Mug("o-1", "alice"))
	bustest.WaitFor(t, "the order", func() bool { return s.Stored("order-store.o-1") == 2 })
	stop()
	if said := out.String(); said != "" {
		t.Errorf("the log says %s", said)
	}
}
