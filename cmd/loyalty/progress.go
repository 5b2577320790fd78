package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress tells whoever waits how far a long command is: on a terminal with a bar that moves, elsewhere (a file, another
// program) with a line every few seconds, none at all for what is over before that. It writes to standard error, so that
// results can be piped on. Not safe for concurrent use.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	task    string
	unit    func(uint64) string
	done    uint64
	total   uint64
	began   time.Time
	written time.Time // when it was last shown
}

const (
	barWidth     = 24
	barEvery     = 100 * time.Millisecond
	lineEvery    = 5 * time.Second
	clearTheLine = "\r\x1b[K"
)

func newProgress(out io.Writer, now func() time.Time) *progress {
	return &progress{out: out, terminal: isTerminal(out), now: now}
}

// at says that done of total (0: nobody knows) is done of a task. Another task begins when its name changes. Calling it often
// costs little.
func (p *progress) at(task string, done, total uint64) { p.show(task, done, total, grouped) }

// show is at with what is counted: unit writes a number of it.
func (p *progress) show(task string, done, total uint64, unit func(uint64) string) {
	now := p.now()
	if task != p.task {
		p.finish()
		p.task, p.unit, p.began, p.written = task, unit, now, now
		if p.terminal {
			p.written = time.Time{}
		}
	}
	p.done, p.total = done, total
	every := lineEvery
	if p.terminal {
		every = barEvery
	}
	if now.Sub(p.written) >= every {
		p.write(now)
	}
}

// end ends the line of the last task, so that other text can follow, and passes err on. Another task may come after it.
func (p *progress) end(err error) error {
	p.finish()
	return err
}

func (p *progress) finish() {
	if p.task != "" && p.terminal {
		p.write(p.now())
		fmt.Fprintln(p.out)
	}
	p.task = ""
}

func (p *progress) write(now time.Time) {
	p.written = now
	passed := now.Sub(p.began)
	text := p.unit(p.done)
	if p.total > 0 {
		total := p.unit(p.total)
		if name := strings.LastIndexByte(total, ' '); name > 0 {
			text = strings.TrimSuffix(text, total[name:])
		}
		text += " of " + total
	}
	if passed >= time.Second {
		rate := float64(p.done) / passed.Seconds()
		if rate >= 1 {
			text += fmt.Sprintf(", %s/s", p.unit(uint64(rate)))
		}
		if p.total > p.done && rate > 0 {
			text += ", " + shortly(time.Duration(float64(p.total-p.done)/rate*float64(time.Second))) + " left"
		}
	}
	if !p.terminal {
		fmt.Fprintf(p.out, "%s: %s%s\n", p.task, p.percent(), text)
		return
	}
	filled := 0
	if p.total > 0 {
		filled = int(float64(barWidth) * min(1, float64(p.done)/float64(p.total)))
	}
	fmt.Fprintf(p.out, "%s%-22s [%s%s] %s%s", clearTheLine, p.task, strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), p.percent(), text)
}

func (p *progress) percent() string {
	if p.total == 0 {
		return ""
	}
	return fmt.Sprintf("%d%%, ", min(100, 100*p.done/p.total))
}

// shortly writes a duration to the second, or to the minute where that is long.
func shortly(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

// count writes how many there are of something, with commas: "1 event", "12,345 events".
func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// grouped writes a number with a comma before every three digits.
func grouped(n uint64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// size writes a number of bytes in the largest unit that leaves a whole one: "999 B", "1.2 MB".
func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < 4 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[unit])
}
