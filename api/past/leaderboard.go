package past

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/queries/view"
	"loyalty/readmodels/leaderboard"
)

type leaderboardAnswer struct {
	Top       []bestAnswer `json:"top"`
	Customers int64        `json:"customers"`
	// Begins is the earliest moment that can be asked for.
	Begins   time.Time       `json:"begins"`
	Position domain.Position `json:"position"`
	AsOf     *time.Time      `json:"asOf"`
}

// bestAnswer is a row of a leaderboard that is nobody's own.
type bestAnswer struct {
	Rank      int64         `json:"rank"`
	ProxyName string        `json:"proxyName,omitempty"`
	Points    domain.Points `json:"points"`
}

// Leaderboard answers with the best as they stood at a moment.
func (h *Handler) Leaderboard(ctx context.Context, c echo.Context, caller auth.Claims) error {
	values, badQuery := request.Query(c)
	top, badTop := request.Number(values, "top", request.DefaultTop, 1, leaderboard.MaxTop)
	position, badPosition := request.MinPosition(c)
	moment, badMoment := request.RequiredMoment(values, badQuery, "asOf", "say as of when: a time, a day, or the position of an earlier answer")
	if err := domain.JoinInvalid(badQuery, badTop, badMoment, badPosition); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, request.PastTimeout)
	defer cancel()
	release, err := h.acquire(ctx, caller, position)
	if err != nil {
		return err
	}
	defer release()
	var d leaderboard.Dashboard
	// Nobody has the zero key but, in the answer, those who were forgotten.
	if err := h.History.AsOf(ctx, "asOf", moment, domain.ProxyKey{}, top, 0, &d); err != nil {
		return err
	}
	begins, err := h.History.Begins(ctx)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answerLeaderboard(&d, begins, caller.SeesNames()))
}

func answerLeaderboard(d *leaderboard.Dashboard, begins time.Time, names bool) leaderboardAnswer {
	answer := leaderboardAnswer{Top: make([]bestAnswer, len(d.Top)), Customers: d.Customers, Begins: begins, Position: d.Position, AsOf: view.OptionalTime(d.AsOf)}
	for i, row := range d.Top {
		answer.Top[i] = bestAnswer{Rank: row.Rank, Points: row.Points}
		switch {
		case !names:
		case row.Key == (domain.ProxyKey{}):
			answer.Top[i].ProxyName = leaderboard.ForgottenName
		default:
			answer.Top[i].ProxyName = row.Key.Name()
		}
	}
	return answer
}
