package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

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
	ProxyName string        `json:"proxyName"`
	Points    domain.Points `json:"points"`
}

// leaderboard answers with the best as they stood at a moment. A question that finds no turn in its time is overloaded.
func (s *Server) leaderboard(ctx context.Context, c echo.Context, _ Claims) error {
	values, badQuery := query(c)
	top, badTop := number(values, "top", defaultTop, 1, leaderboard.MaxTop)
	position, badPosition := minPosition(c)
	moment, badMoment := momentAsked(values, badQuery, "asOf", "say as of when: a time, a day, or the position of an earlier answer")
	if err := domain.JoinInvalid(badQuery, badTop, badMoment, badPosition); err != nil {
		return err
	}
	if err := s.enterPast(ctx, position); err != nil {
		return err
	}
	defer s.admission.History.Release()
	var d leaderboard.Dashboard
	// Nobody has the zero key but, in the answer, those who were forgotten.
	if err := s.config.History.AsOf(ctx, "asOf", moment, domain.ProxyKey{}, top, 0, &d); err != nil {
		return err
	}
	begins, err := s.config.History.Begins(ctx)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answerLeaderboard(&d, begins))
}

func answerLeaderboard(d *leaderboard.Dashboard, begins time.Time) leaderboardAnswer {
	answer := leaderboardAnswer{Top: make([]bestAnswer, len(d.Top)), Customers: d.Customers, Begins: begins, Position: d.Position, AsOf: view.OptionalTime(d.AsOf)}
	for i, row := range d.Top {
		name := forgottenName
		if row.Key != (domain.ProxyKey{}) {
			name = row.Key.Name()
		}
		answer.Top[i] = bestAnswer{Rank: row.Rank, ProxyName: name, Points: row.Points}
	}
	return answer
}
