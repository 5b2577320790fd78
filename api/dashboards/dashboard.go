// Package dashboards answers with a customer's place on a leaderboard: once, or in a stream that is kept up to date.
package dashboards

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
)

// Seasons are the leaderboards of seasons, asked for from many goroutines at once.
type Seasons interface {
	// Season returns a season's leaderboard and what its keys are made with, or false if there is none with that id.
	Season(id string) (season.Season, leaderboard.Reader, domain.Proxies, bool)
	// Seasons lists them in the order in which they begin.
	Seasons() []season.Season
}

// Handler answers requests for dashboards. It may be used from many goroutines at once.
type Handler struct {
	Leaderboard leaderboard.Reader
	// Seasons are beside Leaderboard; nil for none.
	Seasons Seasons
	// History has the dashboards as of a moment in the past, nil where none is kept, and PastReads admits questions to it, by
	// the role that asks.
	History   history.Reader
	PastReads map[auth.Role]*admission.Semaphore
	Proxies   domain.Proxies
	Views     request.Views
	// Pages admits live streams.
	Pages   *admission.Semaphore
	Streams *LiveStreams
	Log     *slog.Logger
	Now     func() time.Time
	IDs     request.IDs
	// Accepts tells whether a caller's token is still accepted, for live streams, which take long.
	Accepts func(auth.Claims) bool
	// Stopping ends when the server stops, and live streams with it.
	Stopping context.Context

	// json is of Leaderboard.
	json encoder
}

// buffer is what answering one dashboard needs, used again for the next.
type buffer struct {
	dashboard leaderboard.Dashboard
	json      []byte
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// Dashboard answers with a customer's dashboard: as it stands, of a season, or as of a moment in the past.
func (h *Handler) Dashboard(ctx context.Context, c echo.Context, caller auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	values, badQuery := request.Query(c)
	top, badTop := request.Number(values, "top", request.DefaultTop, 1, leaderboard.MaxTop)
	around, badAround := request.Number(values, "around", request.DefaultAround, 0, leaderboard.MaxAround)
	position, badPosition := request.MinPosition(c)
	if values.Has("asOf") {
		if caller.Role == auth.RoleCustomer {
			return domain.ErrForbidden
		}
		moment, badMoment := request.Moment("asOf", values.Get("asOf"))
		if values.Has("season") {
			badMoment = domain.Invalid("season", "season_as_of", "a season is asked for as it is: leave out asOf, or season")
		}
		if err := domain.JoinInvalid(badCustomer, badQuery, badTop, badAround, badPosition, badMoment); err != nil {
			return err
		}
		return h.asOf(ctx, c, caller, customer, moment, top, around, position)
	}
	if err := domain.JoinInvalid(badCustomer, badQuery, badTop, badAround, badPosition); err != nil {
		return err
	}
	if values.Has("season") {
		return h.ofSeason(ctx, c, caller, customer, values.Get("season"), top, around, position)
	}
	v := buffers.Get().(*buffer)
	defer buffers.Put(v)
	key := caller.ProxyKey()
	if string(customer) != caller.Subject || key == (domain.ProxyKey{}) {
		key = h.Proxies.Key(customer)
	}
	err := request.Reflecting(ctx, h.Leaderboard, position, func() (domain.Position, error) {
		err := h.Leaderboard.Dashboard(ctx, key, top, around, &v.dashboard)
		return v.dashboard.Position, err
	})
	if err != nil {
		return err
	}
	if err := request.Shown(ctx, c, h.Views, caller, customer); err != nil {
		return err
	}
	v.json = h.json.appendDashboard(v.json[:0], &v.dashboard, key, caller.SeesNames())
	return request.JSON(c, v.json)
}
