package outage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/domain"
)

// logged is a log behind a Handler whose clock stands still until the test moves it.
type logged struct {
	*slog.Logger
	handler *Handler
	out     *bytes.Buffer
	now     time.Time
}

func open() *logged {
	l := &logged{out: new(bytes.Buffer), now: time.Unix(0, 0)}
	l.handler = Limit(slog.NewTextHandler(l.out, nil), func() time.Time { return l.now })
	l.Logger = slog.New(l.handler)
	return l
}

// lines are those that were written since it was last asked.
func (l *logged) lines() []string {
	text := strings.TrimSpace(l.out.String())
	l.out.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

var errRefusedConnection = errors.New("connection refused")

func away(request int) error {
	return fmt.Errorf("place order o-%d: %w: %w", request, domain.ErrUnavailable, errRefusedConnection)
}

func (l *logged) fail(requests int) {
	for i := range requests {
		l.Warn("Temporarily unavailable", "id", fmt.Sprint("request-", i), "error", away(i))
	}
}

// Given a store that is away
// When requests fail, then none for a while, and the process stops after some more
// Then the first is written at once, a count once a second, and the last count at the end.
func TestAnOutageIsOneLineASecondWithACount(t *testing.T) {
	l := open()
	expect := func(when string, want ...string) {
		t.Helper()
		lines := l.lines()
		if len(lines) != len(want) {
			t.Fatalf("%s: %q, want %d lines", when, lines, len(want))
		}
		for i := range want {
			if !strings.Contains(lines[i], want[i]) || !strings.Contains(want[i], "left_out") && strings.Contains(lines[i], "left_out") {
				t.Errorf("%s: %q, want %q", when, lines[i], want[i])
			}
		}
	}
	l.fail(300)
	expect("at first", "id=request-0")
	l.handler.flush(t.Context(), false)
	expect("within the second")
	l.now = l.now.Add(Interval)
	l.handler.flush(t.Context(), false)
	expect("after a second", "left_out=298")
	l.fail(10)
	l.now = l.now.Add(Interval)
	l.fail(1)
	expect("with the next request", "left_out=10")
	l.now = l.now.Add(Interval)
	l.handler.flush(t.Context(), false)
	expect("when it is over")
	l.fail(5)
	expect("when it begins again", "id=request-0")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	l.handler.Run(ctx, nil)
	expect("at the end", "left_out=3")
}

func TestOutagesOfDifferentCausesAreToldApart(t *testing.T) {
	l := open()
	for range 3 {
		l.fail(1)
		l.Warn("Temporarily unavailable", "id", "request-1", "error", fmt.Errorf("read a trail: %w: %w", domain.ErrUnavailable, errors.New("the database is starting up")))
		l.Warn("a projection starts again", "projection", "ledger", "error", away(1))
		l.Warn("a projection starts again", "projection", "leaderboard", "error", away(1))
		l.With("role", "command").Warn("Temporarily unavailable", "error", away(1))
	}
	if lines := l.lines(); len(lines) != 5 {
		t.Errorf("got %q", lines)
	}
}

func TestOnlyOutagesAreCounted(t *testing.T) {
	l := open()
	for range 3 {
		l.Error("Internal error", "id", "request-1", "error", errors.New("a mistake of ours"))
		l.Warn("a customer asked for another's account", "subject", "c-1")
		l.Info("request", "error", away(1))
		l.Error("a projection has stopped", "error", domain.ErrUndecodable)
	}
	if lines := l.lines(); len(lines) != 12 {
		t.Errorf("got %q", lines)
	}
}

// Given causes that differ each time
// When there are many of them
// Then what is kept is bounded, and so is what is written.
func TestManyCausesAreOneOutage(t *testing.T) {
	l := open()
	for i := range 1000 {
		l.Warn("Temporarily unavailable", "error", fmt.Errorf("%w: %w", domain.ErrUnavailable, fmt.Errorf("read from port %d", i)))
	}
	if lines := l.lines(); len(lines) != maxOutages+1 || len(l.handler.outages.open) != maxOutages+1 {
		t.Errorf("%d lines, %d outages", len(lines), len(l.handler.outages.open))
	}
}

func TestManyMayLogAtOnce(t *testing.T) {
	l := open()
	ctx, stop := context.WithCancel(t.Context())
	ticks := make(chan time.Time)
	var running, failing sync.WaitGroup
	running.Go(func() { l.handler.Run(ctx, ticks) })
	for range 8 {
		failing.Go(func() { l.fail(100) })
	}
	ticks <- time.Time{}
	failing.Wait()
	stop()
	running.Wait()
	if lines := l.lines(); len(lines) != 2 || !strings.Contains(lines[1], "left_out=798") {
		t.Errorf("got %q", lines)
	}
}
