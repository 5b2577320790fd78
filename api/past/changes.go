package past

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/queries/view"
	"loyalty/readmodels/history"
)

type changesAnswer struct {
	Then placeAnswer `json:"then"`
	Now  placeAnswer `json:"now"`

	Awarded  domain.Points `json:"awarded"`
	Reversed domain.Points `json:"reversed"`
	Adjusted domain.Points `json:"adjusted"`

	Overtaken int64 `json:"overtaken"`
	Overtook  int64 `json:"overtook"`
	Left      int64 `json:"left"`
	Fell      int64 `json:"fell"`

	Text []string `json:"text"`
}

type placeAnswer struct {
	// Rank is nil for a customer who was not on the leaderboard.
	Rank      *int64          `json:"rank"`
	Points    domain.Points   `json:"points"`
	Customers int64           `json:"customers"`
	Position  domain.Position `json:"position"`
	AsOf      *time.Time      `json:"asOf"`
}

// Changes says why a customer's rank is not what it was.
func (h *Handler) Changes(ctx context.Context, c echo.Context, _ auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	values, badQuery := request.Query(c)
	since, badSince := request.RequiredMoment(values, badQuery, "since", "say since when: a time, a day, or the position of an earlier answer")
	position, badPosition := request.MinPosition(c)
	if err := domain.JoinInvalid(badCustomer, badQuery, badSince, badPosition); err != nil {
		return err
	}
	if err := h.acquire(ctx, position); err != nil {
		return err
	}
	defer h.Reads.Release()
	changes, err := h.History.Changes(ctx, "since", since, h.Proxies.Key(customer))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answerChanges(changes))
}

func answerChanges(c history.Changes) changesAnswer {
	return changesAnswer{
		Then: answerPlace(c.Then), Now: answerPlace(c.Now), Awarded: c.Awarded, Reversed: c.Reversed, Adjusted: c.Adjusted,
		Overtaken: c.Overtaken, Overtook: c.Overtook, Left: c.Left, Fell: c.Fell, Text: sayChanges(c),
	}
}

func answerPlace(p history.Place) placeAnswer {
	answer := placeAnswer{Points: p.Points, Customers: p.Customers, Position: p.Position, AsOf: view.OptionalTime(p.AsOf)}
	if p.Ranked {
		answer.Rank = &p.Rank
	}
	return answer
}

// sayChanges tells in sentences, to the customer, what moved their rank.
func sayChanges(c history.Changes) []string {
	var said []string
	say := func(happened bool, format string, arguments ...any) {
		if happened {
			said = append(said, fmt.Sprintf(format, arguments...))
		}
	}
	then, now := c.Then, c.Now
	say(!then.Ranked && !now.Ranked, "You are not on the leaderboard, and were not.")
	say(!then.Ranked && now.Ranked, "You joined the leaderboard and have rank %d.", now.Rank)
	say(then.Ranked && !now.Ranked, "You had rank %d and are no longer on the leaderboard.", then.Rank)
	say(then.Ranked && now.Ranked && then.Rank == now.Rank, "You have rank %d, as you had.", now.Rank)
	say(then.Ranked && now.Ranked && then.Rank != now.Rank, "Your rank went from %d to %d.", then.Rank, now.Rank)
	say(c.Awarded != 0, "You earned %s.", count(int64(c.Awarded), "point", "points"))
	say(c.Reversed != 0, "%s reversed.", count(-int64(c.Reversed), "point was", "points were"))
	say(c.Adjusted > 0, "%s given to you by hand.", count(int64(c.Adjusted), "point was", "points were"))
	say(c.Adjusted < 0, "%s taken from you by hand.", count(-int64(c.Adjusted), "point was", "points were"))
	say(c.Overtaken > 0, "%s passed you.", count(c.Overtaken, "customer", "customers"))
	say(c.Overtook > c.Fell, "You passed %s.", count(c.Overtook-c.Fell, "customer", "customers"))
	say(c.Fell > 0, "%s above you lost points and fell below you.", count(c.Fell, "customer", "customers"))
	say(c.Left > 0, "%s above you left the leaderboard.", count(c.Left, "customer", "customers"))
	return said
}

// count is a number with what is counted.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
