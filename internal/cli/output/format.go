package output

import (
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/internal/english"
)

// Duration writes a duration to the second, or to the minute where that is long.
func Duration(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

// Size writes a number of bytes in the largest unit that leaves a whole one: "999 B", "1.2 MB".
func Size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < 4 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[unit])
}

// Events is how many events there are.
func Events(n uint64) string { return english.Count(n, "event", "events") }

// OrDash is text for a table, and a dash if it is empty.
func OrDash[T ~string](text T) string {
	if text == "" {
		return "-"
	}
	return string(text)
}

// UTC writes a time in UTC to the second.
func UTC(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func Signed(p domain.Points) string { return fmt.Sprintf("%+d", p) }
