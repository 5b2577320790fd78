package past

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
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

// Earnings answers with the points earned in each hour, day or month, by channel.
func (h *Handler) Earnings(ctx context.Context, c echo.Context, _ auth.Claims) error {
	values, badQuery := request.Query(c)
	by, badSpan := ledger.ParseSpan("by", cmp.Or(values.Get("by"), string(ledger.Day)))
	from, until, badTimes := request.TimeRange(values)
	position, badPosition := request.MinPosition(c)
	if err := domain.JoinInvalid(badQuery, badSpan, badTimes, badPosition); err != nil {
		return err
	}
	var earnings ledger.Earnings
	err := request.Reflecting(ctx, h.Ledger, position, func() (_ domain.Position, err error) {
		earnings, err = h.Earner.Earnings(ctx, from, until, by)
		return earnings.Position, err
	})
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
