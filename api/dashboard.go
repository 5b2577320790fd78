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

// buffer is what answering one dashboard needs, used again for the next.
type buffer struct {
	dashboard leaderboard.Dashboard
	json      []byte
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (s *Server) dashboard(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	values, badQuery := query(c)
	top, badTop := number(values, "top", defaultTop, 1, leaderboard.MaxTop)
	around, badAround := number(values, "around", defaultAround, 0, leaderboard.MaxAround)
	position, badPosition := minPosition(c)
	if values.Has("asOf") {
		if caller.Role == RoleCustomer {
			return domain.ErrForbidden
		}
		moment, badMoment := parseMoment("asOf", values.Get("asOf"))
		if values.Has("season") {
			badMoment = domain.Invalid("season", "season_as_of", "a season is asked for as it is: leave out asOf, or season")
		}
		if err := domain.JoinInvalid(badCustomer, badQuery, badTop, badAround, badPosition, badMoment); err != nil {
			return err
		}
		return s.lookBack(ctx, c, customer, moment, top, around, position)
	}
	if err := domain.JoinInvalid(badCustomer, badQuery, badTop, badAround, badPosition); err != nil {
		return err
	}
	if values.Has("season") {
		return s.ofSeason(ctx, c, customer, values.Get("season"), top, around, position)
	}
	if err := catchUp(ctx, s.config.Leaderboard, position); err != nil {
		return err
	}
	v := buffers.Get().(*buffer)
	defer buffers.Put(v)
	key := caller.ProxyKey()
	if string(customer) != caller.Subject || key == (domain.ProxyKey{}) {
		key = s.config.Proxies.Key(customer)
	}
	if err := s.config.Leaderboard.Dashboard(ctx, key, top, around, &v.dashboard); err != nil {
		return err
	}
	v.json = s.shared.appendDashboard(v.json[:0], &v.dashboard, key)
	return sendDashboard(c, v.json)
}

func sendDashboard(c echo.Context, json []byte) error {
	response := c.Response()
	response.Header()["Content-Type"] = jsonType
	response.WriteHeader(http.StatusOK)
	_, err := response.Write(json)
	return err
}

// shared is the JSON that many readers see alike, kept until it changes.
type shared struct {
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
		known = &top{slices.Clone(rows), appendRows(nil, rows, key)}
		kept.Store(known)
	}
	return append(b, known.json...)
}

// appendDashboard appends the JSON of a dashboard to b, as the customer behind key sees it. It writes it piece by piece,
// without reflection, because nothing is answered as often. What it puts between quotes (proxy names, positions, times)
// never holds a character that JSON escapes.
func (s *shared) appendDashboard(b []byte, d *leaderboard.Dashboard, key domain.ProxyKey) []byte {
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
		b = s.tops.appendTop(b, d.Top, key)
	}
	b = append(b, `,"around":`...)
	b = appendRows(b, d.Around, key)
	return s.appendEnd(b, d)
}

// end is what a dashboard ends with, and its JSON. It is never changed.
type end struct {
	customers int64
	state     leaderboard.State
	json      []byte
}

// appendEnd appends what is the same for everybody at one state of the leaderboard.
func (s *shared) appendEnd(b []byte, d *leaderboard.Dashboard) []byte {
	known := s.end.Load()
	if known == nil || known.customers != d.Customers || known.state != d.State {
		known = &end{d.Customers, d.State, appendState(nil, d)}
		s.end.Store(known)
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
	if row.Key == (domain.ProxyKey{}) {
		b = append(b, forgottenName...)
	} else {
		b = row.Key.AppendName(b)
	}
	b = append(b, `","points":`...)
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
