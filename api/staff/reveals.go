package staff

import (
	"context"

	"github.com/labstack/echo/v4"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/internal/strictjson"
	"loyalty/readmodels/ledger"
)

type revealedAnswer struct {
	Customers []domain.CustomerID `json:"customers"`
	Position  domain.Position     `json:"position"`
}

// Reveal tells who is behind a proxy name, once who is told and why is recorded of each.
func (h *Handler) Reveal(ctx context.Context, c echo.Context, caller auth.Claims) error {
	data, err := request.ReadBody(c)
	if err != nil {
		return err
	}
	name, reason, err := decodeReveal(data)
	if err != nil {
		return err
	}
	customers, err := ledger.Named(ctx, h.Finder, h.Proxies, name)
	if err != nil {
		return err
	}
	record := func(ctx context.Context, r commands.RevealProxyName) (domain.Position, error) {
		return admission.Write(ctx, h.Writes, caller, r, h.Reveals.RevealProxyName)
	}
	revealed, err := commands.Reveal(ctx, record, request.CallerOf(c, caller), customers, reason)
	if err != nil {
		return err
	}
	if len(revealed.Customers) == 0 {
		return domain.ErrNotFound
	}
	return request.Written(c, false, revealedAnswer(revealed))
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
		_, decided := account.Decide(account.Reveal{Reason: reason}, account.State{})
		body.AddInvalid(decided)
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
