package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
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

var refusalFields = []string{"reason"}

func (s *Server) declineAdjustment(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	id, badID := pathID[domain.LoyaltyID](c, "loyaltyId")
	data, err := readBody(c)
	if err != nil {
		return err
	}
	body, badBody := parseObject(data, refusalFields)
	reason, badReason := body.text("reason", "reason_malformed")
	if badReason == nil {
		_, decided := account.Decide(account.Decline{Reason: reason}, account.State{})
		badReason = alsoInvalid(nil, decided)
	}
	if err := domain.JoinInvalid(badCustomer, badID, badBody, badReason); err != nil {
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
	body, badBody := parseObject(data, adjustmentFields)
	points, badPoints := pointsOf(&body)
	reason, badReason := body.text("reason", "reason_malformed")
	if err := domain.JoinInvalid(badBody, badPoints, badReason); err != nil {
		check := account.Adjust{Points: points, Reason: reason}
		if badPoints != nil {
			check.Points = 1
		}
		if badReason != nil {
			check.Reason = "unread"
		}
		_, decided := account.Decide(check, account.State{})
		return commands.AdjustPoints{}, alsoInvalid(err, decided)
	}
	return commands.AdjustPoints{Points: points, Reason: reason}, nil
}

// pointsOf reads points from a JSON number that is written as an integer: without point or exponent.
func pointsOf(body *object) (domain.Points, error) {
	const name = "loyalty-points"
	raw, present := body.raw(name)
	if !present {
		return 0, domain.Invalid(name, "points_missing", "say how many points, as an integer")
	}
	for i, c := range raw {
		if (c < '0' || c > '9') && !(i == 0 && c == '-') {
			return 0, domain.Invalid(name, "points_malformed", "points are a JSON number without decimals or exponent")
		}
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		// More digits than 64 bits hold: far out of the range that the domain has for points.
		n = int64(domain.MaxTotal) + 1
	}
	return domain.Points(n), nil
}
