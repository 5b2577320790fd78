package past

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/queries"
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
func (h *Handler) Changes(ctx context.Context, c echo.Context, caller auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	values, badQuery := request.Query(c)
	since, badSince := request.RequiredMoment(values, badQuery, "since", "say since when: a time, a day, or the position of an earlier answer")
	position, badPosition := request.MinPosition(c)
	if err := domain.JoinInvalid(badCustomer, badQuery, badSince, badPosition); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, request.PastTimeout)
	defer cancel()
	release, err := h.acquire(ctx, caller, position)
	if err != nil {
		return err
	}
	defer release()
	changes, err := queries.WhatChanged(ctx, h.History, h.Proxies, since, customer)
	if err != nil {
		return err
	}
	if err := request.Shown(ctx, c, h.Views, caller, customer); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answerChanges(changes))
}

func answerChanges(c queries.Changes) changesAnswer {
	return changesAnswer{
		Then: answerPlace(c.Then), Now: answerPlace(c.Now), Awarded: c.Awarded, Reversed: c.Reversed, Adjusted: c.Adjusted,
		Overtaken: c.Overtaken, Overtook: c.Overtook, Left: c.Left, Fell: c.Fell, Text: c.Text,
	}
}

func answerPlace(p history.Place) placeAnswer {
	answer := placeAnswer{Points: p.Points, Customers: p.Customers, Position: p.Position, AsOf: view.OptionalTime(p.AsOf)}
	if p.Ranked {
		answer.Rank = &p.Rank
	}
	return answer
}
