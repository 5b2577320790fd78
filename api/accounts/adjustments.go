package accounts

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
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

// Adjust gives or takes points by hand.
func (h *Handler) Adjust(ctx context.Context, c echo.Context, caller auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	preview, badPreview := request.Preview(c)
	key, badKey := request.IdempotencyKey[domain.LoyaltyID](c, preview || badPreview != nil)
	body, err := request.ReadBody(c)
	if err != nil {
		return err
	}
	command, badBody := decodeAdjustment(body)
	if err := domain.JoinInvalid(badCustomer, badKey, badPreview, badBody); err != nil {
		return err
	}
	command.Customer, command.ID, command.Caller = customer, key, request.CallerOf(c, caller)
	command.Limit, command.DayLimit, command.Preview = h.Limits[caller.Role], h.DayLimits[caller.Role], preview
	adjusted, err := admission.Write(ctx, h.Writes, caller, command, h.Commands.AdjustPoints)
	return answerAdjusted(c, adjusted, preview, err)
}

// Approve makes an adjustment that waits for a second person.
func (h *Handler) Approve(ctx context.Context, c echo.Context, caller auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	id, badID := request.PathFullID[domain.LoyaltyID](c, "loyaltyId")
	preview, badPreview := request.Preview(c)
	if err := domain.JoinInvalid(badCustomer, badID, badPreview); err != nil {
		return err
	}
	adjusted, err := admission.Write(ctx, h.Writes, caller, commands.ApproveAdjustment{
		Caller: request.CallerOf(c, caller), Customer: customer, ID: id, Preview: preview,
	}, h.Commands.ApproveAdjustment)
	return answerAdjusted(c, adjusted, preview, err)
}

var declineFields = []string{"reason"}

// Decline turns down an adjustment that waits for a second person.
func (h *Handler) Decline(ctx context.Context, c echo.Context, caller auth.Claims) error {
	customer, badCustomer := request.PathID[domain.CustomerID](c, "userId")
	id, badID := request.PathFullID[domain.LoyaltyID](c, "loyaltyId")
	data, err := request.ReadBody(c)
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
	adjusted, err := admission.Write(ctx, h.Writes, caller, commands.DeclineAdjustment{
		Caller: request.CallerOf(c, caller), Customer: customer, ID: id, Reason: reason,
	}, h.Commands.DeclineAdjustment)
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
		return request.Written(c, true, answer)
	case preview:
		answer.Preview = true
		return request.Previewed(c, answer)
	case a.Status == commands.AdjustmentWaiting:
		return c.JSON(http.StatusAccepted, answer)
	}
	return request.Written(c, false, answer)
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
