// Package output writes what commands print: tables, JSON, numbers and sizes for people, and the progress of long work.
package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	"loyalty/internal/english"
)

// Progress shows how far a long command is. On a terminal it is a bar with the rate and the time left. Elsewhere it is a line every five
// seconds, and nothing for a task that is shorter. It is for standard error, so that results can be piped. Not safe for concurrent use.
type Progress struct {
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
	BarInterval  = 100 * time.Millisecond
	lineInterval = 5 * time.Second
	clearTheLine = "\r\x1b[K"
)

func NewProgress(out io.Writer, now func() time.Time) *Progress {
	return &Progress{out: out, terminal: IsTerminal(out), now: now}
}

// Update says that done of total is done of a task; total is 0 if it is not known. A new name begins a new task. Calling it often is cheap.
func (p *Progress) Update(task string, done, total uint64) {
	p.Show(task, done, total, english.Grouped)
}

// Show is Update with a unit: unit writes a number of what is counted.
func (p *Progress) Show(task string, done, total uint64, unit func(uint64) string) {
	now := p.now()
	if task != p.task {
		p.Finish()
		p.task, p.unit, p.began, p.written = task, unit, now, now
		if p.terminal {
			p.written = time.Time{}
		}
	}
	p.done, p.total = done, total
	every := lineInterval
	if p.terminal {
		every = BarInterval
	}
	if now.Sub(p.written) >= every {
		p.write(now)
	}
}

// End ends the line of the last task, so that other text can follow, and returns err. Another task may follow.
func (p *Progress) End(err error) error {
	p.Finish()
	return err
}

func (p *Progress) Finish() {
	if p.task != "" && p.terminal {
		p.write(p.now())
		fmt.Fprintln(p.out)
	}
	p.task = ""
}

func (p *Progress) write(now time.Time) {
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
			text += ", " + Duration(time.Duration(float64(p.total-p.done)/rate*float64(time.Second))) + " left"
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

func (p *Progress) percent() string {
	if p.total == 0 {
		return ""
	}
	return fmt.Sprintf("%d%%, ", min(100, 100*p.done/p.total))
}
