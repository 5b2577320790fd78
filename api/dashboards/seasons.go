package dashboards

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/leaderboard"
)

type seasonsAnswer struct {
	Seasons []seasonAnswer `json:"seasons"`
}

type seasonAnswer struct {
	ID    string    `json:"id"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// ListSeasons lists the seasons that there are leaderboards of.
func (h *Handler) ListSeasons(_ context.Context, c echo.Context, _ auth.Claims) error {
	if _, err := request.Query(c); err != nil {
		return err
	}
	answer := seasonsAnswer{Seasons: []seasonAnswer{}}
	var all []season.Season
	if h.Seasons != nil {
		all = h.Seasons.Seasons()
	}
	for _, each := range all {
		answer.Seasons = append(answer.Seasons, seasonAnswer{each.ID, each.From, each.Until})
	}
	return c.JSON(http.StatusOK, answer)
}

// ofSeason answers with a customer's dashboard of one season. It has no names: whoever watches the leaderboard of all time, too, sees which of
// its customers gains as much at the same moment.
func (h *Handler) ofSeason(ctx context.Context, c echo.Context, caller auth.Claims, customer domain.CustomerID, id string, top, around int, position domain.Position) error {
	of, board, proxies, err := h.seasonOf(id)
	if err != nil {
		return err
	}
	v := buffers.Get().(*buffer)
	defer buffers.Put(v)
	key := proxies.Key(customer)
	err = request.Reflecting(ctx, board, position, func() (domain.Position, error) {
		err := board.Dashboard(ctx, key, top, around, &v.dashboard)
		return v.dashboard.Position, err
	})
	if err != nil {
		return err
	}
	if err := request.Shown(ctx, c, h.Views, caller, customer); err != nil {
		return err
	}
	// What readers of the leaderboard of all time share is of no use here.
	v.json = appendSeason(new(encoder).appendDashboard(v.json[:0], &v.dashboard, key, false), of)
	return request.JSON(c, v.json)
}

// seasonOf finds a season. The error is that there is none of this id.
func (h *Handler) seasonOf(id string) (of season.Season, board leaderboard.Reader, proxies domain.Proxies, err error) {
	if h.Seasons == nil {
		return of, nil, proxies, noSeason(nil)
	}
	of, board, proxies, known := h.Seasons.Season(id)
	if !known {
		err = noSeason(h.Seasons.Seasons())
	}
	return of, board, proxies, err
}

// appendSeason puts a season into the JSON of a dashboard, as its last member. An id needs no escapes.
func appendSeason(b []byte, of season.Season) []byte {
	b = append(bytes.TrimSuffix(b, []byte("}\n")), `,"season":{"id":"`...)
	b = append(b, of.ID...)
	b = append(b, `","from":`...)
	b = appendTime(b, of.From)
	b = append(b, `,"until":`...)
	b = appendTime(b, of.Until)
	return append(b, "}}\n"...)
}

// noSeason says which seasons there are to somebody who asks for another.
func noSeason(seasons []season.Season) error {
	if len(seasons) == 0 {
		return domain.Invalid("season", "season_unknown", "there are no leaderboards of seasons here")
	}
	ids := make([]string, len(seasons))
	for i, each := range seasons {
		ids[i] = each.ID
	}
	return domain.Invalid("season", "season_unknown", "there is no leaderboard of this season; there are those of "+strings.Join(ids, ", "))
}
