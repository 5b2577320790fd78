package output

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"loyalty/internal/english"
)

func TestProgressWritesALineEveryFewSecondsWhereThereIsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := NewProgress(&out, func() time.Time { return now })
	for done := uint64(0); done <= 20_000; done += 1000 {
		p.Show("reading", done, 40_000, func(n uint64) string { return english.Count(n, "event", "events") })
		now = now.Add(time.Second)
	}
	_ = p.End(nil)
	want := []string{
		"reading: 12%, 5,000 of 40,000 events, 1,000 events/s, 35s left",
		"reading: 25%, 10,000 of 40,000 events, 1,000 events/s, 30s left",
		"reading: 37%, 15,000 of 40,000 events, 1,000 events/s, 25s left",
		"reading: 50%, 20,000 of 40,000 events, 1,000 events/s, 20s left",
	}
	if got := strings.TrimSpace(out.String()); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestProgressDrawsABarOnATerminal(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := &Progress{out: &out, terminal: true, now: func() time.Time { return now }}
	p.Show("copying", 0, 0, Size)
	p.Show("copying", 1, 100, Size) // too soon after the one before to be drawn
	now = now.Add(2 * time.Second)
	p.Show("copying", 50, 100, Size)
	p.Show("copying", 100, 100, Size)
	p.Update("reading", 1000, 2000)
	failed := errors.New("as it was")
	if err := p.End(failed); err != failed || p.End(nil) != nil {
		t.Errorf("the error is passed on as %v", err)
	}
	lines := strings.Split(out.String(), "\n")
	want := []string{
		clearTheLine + "copying                [                        ] 0 B" +
			clearTheLine + "copying                [============            ] 50%, 50 of 100 B, 25 B/s, 2s left" +
			clearTheLine + "copying                [========================] 100%, 100 of 100 B, 50 B/s",
		clearTheLine + "reading                [============            ] 50%, 1,000 of 2,000" +
			clearTheLine + "reading                [============            ] 50%, 1,000 of 2,000",
		"",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%q\nwant\n%q", lines, want)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for got, want := range map[string]string{
		Size(999): "999 B", Size(1000): "1.0 kB", Size(999_949): "999.9 kB", Size(999_950): "1.0 MB", Size(12_345_678_901): "12.3 GB",
		Duration(1499 * time.Millisecond): "1s", Duration(61 * time.Second): "1m01s", Duration(3*time.Hour + 5*time.Minute): "3h05m",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
