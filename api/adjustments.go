package api

import (
	"context"
	"strconv"

	"github.com/labstack/echo/v4"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
)

type adjustedAnswer struct {
	LoyaltyID domain.LoyaltyID `json:"loyaltyId"`
	Position  domain.Position  `json:"position"`
}

const headerIdempotencyKey = "Idempotency-Key"

func (s *Server) adjustPoints(ctx context.Context, c echo.Context, caller Claims) error {
	customer, badCustomer := pathID[domain.CustomerID](c, "userId")
	key, badKey := idempotencyKey(c)
	body, err := readBody(c)
	if err != nil {
		return err
	}
	command, badBody := decodeAdjustment(body)
	if err := domain.JoinInvalid(badCustomer, badKey, badBody); err != nil {
		return err
	}
	command.Customer, command.ID, command.Caller = customer, key, behalf(c, caller)
	adjusted, err := s.gated.AdjustPoints(ctx, command)
	if err != nil {
		return err
	}
	return written(c, adjusted.Replayed, adjustedAnswer{LoyaltyID: adjusted.ID, Position: adjusted.Position})
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
