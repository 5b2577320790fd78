package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/internal/strictjson"
)

type adjustedAnswer struct {
	LoyaltyID domain.LoyaltyID          `json:"loyaltyId"`
	Status    commands.AdjustmentStatus `json:"status"`
	Points    domain.Points             `json:"points"`
	// Position is zero in a preview.
	Position domain.Position `json:"position"`
	Preview  bool            `json:"preview,omitempty"`
}

const headerIdempotencyKey = "Idempotency-Key"

func (s *Server) adjustPoints(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	key, badKey := idempotencyKey(c)
	preview, badPreview := isPreview(c)
	body, err := readBody(c)
	if err != nil {
		return err
	}
	command, badBody := decodeAdjustment(body)
	if err := domain.JoinInvalid(badCustomer, badKey, badPreview, badBody); err != nil {
		return err
	}
	command.Customer, command.ID, command.Caller = customer, key, behalf(c, caller)
	command.Limit, command.Preview = s.config.Limits.Adjustments[caller.Role], preview
	adjusted, err := s.gated.AdjustPoints(ctx, command)
	return answerAdjusted(c, adjusted, preview, err)
}

func (s *Server) approveAdjustment(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	id, badID := pathID[domain.LoyaltyID](c, "loyaltyId")
	preview, badPreview := isPreview(c)
	if err := domain.JoinInvalid(badCustomer, badID, badPreview); err != nil {
		return err
	}
	adjusted, err := s.gated.ApproveAdjustment(ctx, commands.ApproveAdjustment{
		Caller: behalf(c, caller), Customer: customer, ID: id, Preview: preview,
	})
	return answerAdjusted(c, adjusted, preview, err)
}

var declineFields = []string{"reason"}

func (s *Server) declineAdjustment(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	id, badID := pathID[domain.LoyaltyID](c, "loyaltyId")
	data, err := readBody(c)
	if err != nil {
		return err
	}
	body := strictjson.Parse(data, declineFields)
	reason, readable := body.String("reason", "reason_malformed")
	if readable {
		_, decided := account.Decide(account.Decline{Reason: reason}, account.State{})
		body.AddInvalid(decided)
	}
	if err := domain.JoinInvalid(badCustomer, badID, body.Err()); err != nil {
		return err
	}
	adjusted, err := s.gated.DeclineAdjustment(ctx, commands.DeclineAdjustment{
		Caller: behalf(c, caller), Customer: customer, ID: id, Reason: reason,
	})
	return answerAdjusted(c, adjusted, false, err)
}

// answerAdjusted says where an adjustment stands: 201, or 202 while it waits for a second person; 200 for a preview and for what
// was asked for before.
func answerAdjusted(c echo.Context, a commands.Adjusted, preview bool, err error) error {
	if err != nil {
		return err
	}
	answer := adjustedAnswer{LoyaltyID: a.ID, Status: a.Status, Points: a.Points, Position: a.Position}
	switch {
	case a.Replayed:
		return written(c, true, answer)
	case preview:
		answer.Preview = true
		return previewed(c, answer)
	case a.Status == commands.AdjustmentWaiting:
		return c.JSON(http.StatusAccepted, answer)
	}
	return written(c, false, answer)
}

// previewed answers with what would happen.
func previewed(c echo.Context, answer any) error {
	c.Response().Header()["Idempotent-Replayed"] = no
	return c.JSON(http.StatusOK, answer)
}

// isPreview tells whether the caller only wants to know what would happen.
func isPreview(c echo.Context) (bool, error) {
	values, err := query(c)
	if err != nil {
		return false, err
	}
	switch values.Get("preview") {
	case "":
		return false, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, domain.Invalid("preview", "preview_malformed", "preview is true or false")
}

// idempotencyKey reads the id under which an adjustment can be repeated; empty if the caller gives none.
func idempotencyKey(c echo.Context) (domain.LoyaltyID, error) {
	if _, given := c.Request().Header[headerIdempotencyKey]; !given {
		return "", nil
	}
	return domain.ParseID[domain.LoyaltyID](headerIdempotencyKey, c.Request().Header.Get(headerIdempotencyKey))
}

var adjustmentFields = []string{"loyalty-points", "reason"}

func decodeAdjustment(data []byte) (commands.AdjustPoints, error) {
	body := strictjson.Parse(data, adjustmentFields)
	points, hasPoints := body.Points("loyalty-points")
	reason, hasReason := body.String("reason", "reason_malformed")
	if body.Err() == nil {
		return commands.AdjustPoints{Points: points, Reason: reason}, nil
	}
	adjust := account.Adjust{Points: points, Reason: reason}
	if !hasPoints {
		adjust.Points = 1
	}
	if !hasReason {
		adjust.Reason = "unread"
	}
	_, decided := account.Decide(adjust, account.State{})
	body.AddInvalid(decided)
	return commands.AdjustPoints{}, body.Err()
}
