package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// The size of a dashboard whose reader does not say, in rows.
const (
	defaultTop    = 10
	defaultAround = 2
)

// view is what answering one dashboard needs, used again for the next.
type view struct {
	dashboard leaderboard.Dashboard
	json      []byte
}

var views = sync.Pool{New: func() any { return new(view) }}

func (s *Server) dashboard(ctx context.Context, c echo.Context, _ Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	values, badQuery := query(c)
	top, badTop := number(values, "top", defaultTop, 1, leaderboard.MaxTop)
	around, badAround := number(values, "around", defaultAround, 0, leaderboard.MaxAround)
	position, badPosition := minPosition(c)
	if err := domain.JoinInvalid(badCustomer, badQuery, badTop, badAround, badPosition); err != nil {
		return err
	}
	if err := catchUp(ctx, s.config.Leaderboard, position); err != nil {
		return err
	}
	v := views.Get().(*view)
	defer views.Put(v)
	key := s.config.Proxies.Key(customer)
	if err := s.config.Leaderboard.Dashboard(ctx, key, top, around, &v.dashboard); err != nil {
		return err
	}
	v.json = s.tops.appendDashboard(v.json[:0], &v.dashboard, key)
	return c.JSONBlob(http.StatusOK, v.json)
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
		known = &top{slices.Clone(rows), appendRows(nil, rows, key)}
		kept.Store(known)
	}
	return append(b, known.json...)
}

// appendDashboard appends the JSON of a dashboard to b, as the customer behind key sees it. It writes it piece by piece,
// without reflection, because nothing is answered as often. What it puts between quotes (proxy names, positions, times)
// never holds a character that JSON escapes.
func (t *tops) appendDashboard(b []byte, d *leaderboard.Dashboard, key domain.ProxyKey) []byte {
	b = append(b, `{"you":`...)
	if d.Ranked {
		b = appendRow(b, d.You, key)
	} else {
		b = append(b, `null`...)
	}
	b = append(b, `,"top":`...)
	if slices.ContainsFunc(d.Top, func(row leaderboard.Row) bool { return row.Key == key }) {
		b = appendRows(b, d.Top, key)
	} else {
		b = t.appendTop(b, d.Top, key)
	}
	b = append(b, `,"around":`...)
	b = appendRows(b, d.Around, key)
	b = append(b, `,"customers":`...)
	b = strconv.AppendInt(b, d.Customers, 10)
	b = append(b, `,"position":"`...)
	b = appendPosition(b, d.Position)
	b = append(b, `","asOf":`...)
	b = appendTime(b, d.AsOf)
	return append(b, '}', '\n')
}

func appendRows(b []byte, rows []leaderboard.Row, key domain.ProxyKey) []byte {
	b = append(b, '[')
	for i, row := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRow(b, row, key)
	}
	return append(b, ']')
}

func appendRow(b []byte, row leaderboard.Row, key domain.ProxyKey) []byte {
	b = append(b, `{"rank":`...)
	b = strconv.AppendInt(b, row.Rank, 10)
	b = append(b, `,"proxyName":"`...)
	b = row.Key.AppendName(b)
	b = append(b, `","points":`...)
	b = strconv.AppendInt(b, int64(row.Points), 10)
	b = append(b, `,"you":`...)
	b = strconv.AppendBool(b, row.Key == key)
	return append(b, '}')
}

// appendPosition appends what Position.String writes, without a string on the way where both parts agree.
func appendPosition(b []byte, p domain.Position) []byte {
	if p.Commit == p.Prepare {
		return strconv.AppendUint(b, p.Commit, 10)
	}
	return append(b, p.String()...)
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
