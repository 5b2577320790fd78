package staff

import (
	"context"

	"github.com/labstack/echo/v4"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/strictjson"
	"loyalty/readmodels/ledger"
)

type revealedAnswer struct {
	Customers []domain.CustomerID `json:"customers"`
	Position  domain.Position     `json:"position"`
}

// Reveal tells who is behind a proxy name, once who is told and why is recorded of all of them.
func (h *Handler) Reveal(ctx context.Context, c echo.Context, caller auth.Claims) error {
	key, badKey := request.IdempotencyKey[domain.RevealID](c, false)
	data, err := request.ReadBody(c)
	if err != nil {
		return err
	}
	name, reason, badBody := decodeReveal(data)
	if err := domain.JoinInvalid(badKey, badBody); err != nil {
		return err
	}
	customers, err := ledger.Named(ctx, h.Finder, h.Proxies, name)
	if err != nil {
		return err
	}
	revealed, err := admission.Write(ctx, h.Writes, caller, commands.RevealProxyName{
		Caller: request.CallerOf(c, caller), ID: key, Customers: customers, Reason: reason,
	}, h.Reveals.RevealProxyName)
	if err != nil {
		return err
	}
	if len(revealed.Customers) == 0 {
		return domain.ErrNotFound
	}
	return request.Written(c, revealed.Replayed, revealedAnswer{revealed.Customers, revealed.Position})
}

var revealFields = []string{"proxyName", "reason"}

func decodeReveal(data []byte) (name, reason string, err error) {
	body := strictjson.Parse(data, revealFields)
	if text, ok := body.String("proxyName", "proxy_name_malformed"); ok {
		name, err = revealedName(text)
		body.Add(err)
	}
	reason, readable := body.String("reason", "reason_malformed")
	if readable {
		body.Add(domain.CheckReason("reason", reason))
	}
	return name, reason, body.Err()
}

func revealedName(text string) (string, error) {
	if text == "" {
		return "", domain.Invalid("proxyName", "proxy_name_missing", "say which name is to be revealed")
	}
	name, ok := domain.ParseProxyName(text)
	if !ok {
		return "", domain.Invalid("proxyName", "proxy_name_malformed", "a proxy name is two words and six digits, such as Amber Otter 482913")
	}
	return name, nil
}
