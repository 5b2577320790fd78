package dashboards

import (
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// encoder writes the dashboards of one leaderboard as JSON. It keeps what many readers see alike until it changes. It may be used from
// many goroutines at once.
type encoder struct {
	tops tops
	end  atomic.Pointer[end]
}

// tops keeps the JSON of the best, by how many they are: all who are not among them see the same, until it changes.
type tops [leaderboard.MaxTop + 1]atomic.Pointer[top]

// top is rows and their JSON. It is never changed.
type top struct {
	rows []leaderboard.Row
	json []byte
}

// appendTop appends the JSON of the best, as the customer behind key sees it, who is not among them.
func (t *tops) appendTop(b []byte, rows []leaderboard.Row, key domain.ProxyKey) []byte {
	kept := &t[len(rows)]
	known := kept.Load()
	if known == nil || !slices.Equal(known.rows, rows) {
		known = &top{slices.Clone(rows), appendRows(nil, rows, key, true)}
		kept.Store(known)
	}
	return append(b, known.json...)
}

// appendDashboard appends the JSON of a dashboard to b, as the customer behind key sees it, with or without proxy names. It writes piece by
// piece, without reflection, because nothing is answered as often. What it puts between quotes (proxy names, positions, times) never holds a character that JSON escapes.
func (e *encoder) appendDashboard(b []byte, d *leaderboard.Dashboard, key domain.ProxyKey, names bool) []byte {
	b = append(b, `{"you":`...)
	if d.Ranked {
		b = appendRow(b, d.You, key, names)
	} else {
		b = append(b, `null`...)
	}
	b = append(b, `,"top":`...)
	if !names || slices.ContainsFunc(d.Top, func(row leaderboard.Row) bool { return row.Key == key }) {
		b = appendRows(b, d.Top, key, names)
	} else {
		b = e.tops.appendTop(b, d.Top, key)
	}
	b = append(b, `,"around":`...)
	b = appendRows(b, d.Around, key, names)
	return e.appendEnd(b, d)
}

// end is what a dashboard ends with, and its JSON. It is never changed.
type end struct {
	customers int64
	state     leaderboard.State
	json      []byte
}

// appendEnd appends what is the same for everybody at one state of the leaderboard.
func (e *encoder) appendEnd(b []byte, d *leaderboard.Dashboard) []byte {
	known := e.end.Load()
	if known == nil || known.customers != d.Customers || known.state != d.State {
		known = &end{d.Customers, d.State, appendState(nil, d)}
		e.end.Store(known)
	}
	return append(b, known.json...)
}

func appendState(b []byte, d *leaderboard.Dashboard) []byte {
	b = append(b, `,"customers":`...)
	b = strconv.AppendInt(b, d.Customers, 10)
	b = append(b, `,"position":"`...)
	b = append(b, d.Position.String()...)
	b = append(b, `","asOf":`...)
	b = appendTime(b, d.AsOf)
	return append(b, '}', '\n')
}

func appendRows(b []byte, rows []leaderboard.Row, key domain.ProxyKey, names bool) []byte {
	b = append(b, '[')
	for i, row := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRow(b, row, key, names)
	}
	return append(b, ']')
}

func appendRow(b []byte, row leaderboard.Row, key domain.ProxyKey, names bool) []byte {
	b = append(b, `{"rank":`...)
	b = strconv.AppendInt(b, row.Rank, 10)
	switch {
	case !names:
		b = append(b, `,"points":`...)
	case row.Key == (domain.ProxyKey{}):
		b = append(b, `,"proxyName":"`+leaderboard.ForgottenName+`","points":`...)
	default:
		b = append(b, `,"proxyName":"`...)
		b = row.Key.AppendName(b)
		b = append(b, `","points":`...)
	}
	b = strconv.AppendInt(b, int64(row.Points), 10)
	b = append(b, `,"you":`...)
	b = strconv.AppendBool(b, row.Key == key)
	return append(b, '}')
}

// appendTime appends a time as a JSON string in UTC, null where there is none.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, `null`...)
	}
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}
