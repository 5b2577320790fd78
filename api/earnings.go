package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/queries/view"
	"loyalty/readmodels/ledger"
)

type earningsAnswer struct {
	By ledger.Span `json:"by"`
	// From and Until are null where the reader gave neither and there are no entries.
	From     *time.Time      `json:"from"`
	Until    *time.Time      `json:"until"`
	Earnings []earningAnswer `json:"earnings"`
	Position domain.Position `json:"position"`
	AsOf     *time.Time      `json:"asOf"`
}

type earningAnswer struct {
	At time.Time `json:"at"`
	// Channel is null for what was given or taken by hand.
	Channel     *domain.Channel `json:"channel"`
	Awards      int64           `json:"awards"`
	Awarded     domain.Points   `json:"awarded"`
	Reversals   int64           `json:"reversals"`
	Reversed    domain.Points   `json:"reversed"`
	Adjustments int64           `json:"adjustments"`
	Adjusted    domain.Points   `json:"adjusted"`
}

// earnings answers with what was earned when, through which channel.
func (s *Server) earnings(ctx context.Context, c echo.Context, _ Claims) error {
	values, badQuery := query(c)
	by, badSpan := ledger.ParseSpan("by", cmp.Or(values.Get("by"), string(ledger.Day)))
	from, until, badTimes := fromUntil(values)
	position, badPosition := minPosition(c)
	if err := domain.JoinInvalid(badQuery, badSpan, badTimes, badPosition); err != nil {
		return err
	}
	if err := catchUp(ctx, s.config.Ledger, position); err != nil {
		return err
	}
	earnings, err := s.config.Earner.Earnings(ctx, from, until, by)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answerEarnings(by, &earnings))
}

func answerEarnings(by ledger.Span, e *ledger.Earnings) earningsAnswer {
	answer := earningsAnswer{
		By: by, From: view.OptionalTime(e.From), Until: view.OptionalTime(e.Until),
		Earnings: make([]earningAnswer, len(e.Rows)), Position: e.Position, AsOf: view.OptionalTime(e.AsOf),
	}
	for i := range e.Rows {
		row := &e.Rows[i]
		answer.Earnings[i] = earningAnswer{
			At: row.At.UTC(), Awards: row.Awards, Awarded: row.Awarded, Reversals: row.Reversals, Reversed: row.Reversed,
			Adjustments: row.Adjustments, Adjusted: row.Adjusted,
		}
		if row.Channel != "" {
			answer.Earnings[i].Channel = &row.Channel
		}
	}
	return answer
}
