package loyalty_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"loyalty/internal/english"
)

// What docs/capacity.md begins with: the mission, and what was measured.
const (
	ordersADay      = 10e6
	peakFactor      = 10
	nodeAppends     = 7931.0  // a second, of the slowest measurement
	bytesAnOrder    = 1120.0  // on the disk of a real node
	indexAnOrder    = 150.0   // of it
	filterBytes     = 256e6   // the default of StreamExistenceFilterSize, a byte a stream
	unfiltered      = 94_900  // events a second that a real node sends
	replayLog       = 408_000 // events of the log a second
	replayExport    = 7.8e6   // changes of points a second and core
	day, year       = 86_400.0, 365.0
	eventsAnOrder   = 2
	queryNodes      = 10
	projectingNodes = 2
	ofQueryNode     = 1 + 3 + 1 // the leaderboard, its seasons, the history
	ofProjecting    = 1 + 1 + 3 + 1
	readsABeat      = 2 // of each projection by itself
)

// The rows of docs/capacity.md that are reckoned say what follows from its inputs.
func TestCapacityIsReckonedRight(t *testing.T) {
	text, err := os.ReadFile("docs/capacity.md")
	if err != nil {
		t.Fatal(err)
	}
	whole := func(v float64) string { return english.Grouped(uint64(v + 0.5)) }
	tenth := func(v float64) string {
		tenths := uint64(10*v + 0.5)
		return fmt.Sprintf("%s.%d", english.Grouped(tenths/10), tenths%10)
	}
	short := func(v float64) string { return fmt.Sprintf("%.3g", v) }
	rows := map[string]func(orders float64) string{
		"appends a second, mean and peak (×10)": func(o float64) string { return whole(o/day) + " and " + whole(peakFactor*o/day) },
		"streams a year":                        func(o float64) string { return short(o*year/1e9) + " billion" },
		"disk a day and a year": func(o float64) string {
			return tenth(o*bytesAnOrder/1e9) + " GB and " + tenth(o*year*bytesAnOrder/1e12) + " TB"
		},
		"of it index, a year": func(o float64) string { return tenth(o*year*indexAnOrder/1e12) + " TB" },
		"stream-existence filter, a year (memory of the server)": func(o float64) string { return short(o*year/1e9) + " GB" },
		"… full at its default after":                            func(o float64) string { return tenth(filterBytes/o) + " days" },
		"reading the whole of a year's log, unfiltered, at 94,900 events/s": func(o float64) string {
			return tenth(o*year*eventsAnOrder/unfiltered/day) + " days"
		},
		"`replay` of a year from an embedded store, at 408,000 events/s": func(o float64) string {
			return tenth(o*year*eventsAnOrder/replayLog/3600) + " hours"
		},
		"`replay` of a year from an export, at 7.8 million changes of points a second and core": func(o float64) string {
			return tenth(o*year/replayExport/60) + " minutes"
		},
	}
	share := func(o float64) float64 { return peakFactor * o / day / nodeAppends }
	want := []string{fmt.Sprintf("| share of what the node took, at the peak | %.2f | %.1f | %.1f |", share(ordersADay), share(10*ordersADay), share(100*ordersADay))}
	for name, of := range rows {
		want = append(want, fmt.Sprintf("| %s | %s | %s | %s |", name, of(ordersADay), of(10*ordersADay), of(100*ordersADay)))
	}
	each, once := queryNodes*ofQueryNode+projectingNodes*ofProjecting, queryNodes+projectingNodes
	peak := peakFactor * ordersADay / day
	want = append(want,
		fmt.Sprintf("| subscriptions, each a filter over all events | %d | %d |", each, once),
		fmt.Sprintf("| reads a second while nothing happens | %d | %d |", readsABeat*each, once),
		fmt.Sprintf("| events sent a second at the peak | %s | %s |", whole(float64(each)*peak), whole(float64(once)*peak)),
		fmt.Sprintf("| … at ten times the mission | %s | %s |", whole(10*float64(each)*peak), whole(10*float64(once)*peak)),
	)
	for _, row := range want {
		if !strings.Contains(string(text), row+"\n") {
			t.Errorf("docs/capacity.md does not say: %s", row)
		}
	}
}
