package api

import (
	"context"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/readmodels/history"
)

// These names stay here while callers move to packages auth, admission and request.
type (
	Claims   = auth.Claims
	Role     = auth.Role
	Verifier = auth.Verifier
	JWKS     = auth.JWKS
	Limits   = admission.Limits
)

const (
	RoleCustomer = auth.RoleCustomer
	RoleChannel  = auth.RoleChannel
	RoleSupport  = auth.RoleSupport
	RoleAnalyst  = auth.RoleAnalyst

	MinTokenSecret = auth.MinTokenSecret

	DefaultWrites    = admission.DefaultWrites
	DefaultBatches   = admission.DefaultBatches
	DefaultHistory   = admission.DefaultHistory
	DefaultLivePages = admission.DefaultLivePages
)

var (
	NewSecretVerifier = auth.NewSecretVerifier
	NewJWKSVerifier   = auth.NewJWKSVerifier
	Mint              = auth.Mint
)

const (
	headerRequestID   = request.HeaderID
	headerMinPosition = request.HeaderMinPosition
	requestTimeout    = request.Timeout
)

func pathID[T ~string](c echo.Context, name string) (T, error) { return request.PathID[T](c, name) }

func query(c echo.Context) (url.Values, error) { return request.Query(c) }

func number(values url.Values, name string, byDefault, least, most int) (int, error) {
	return request.Number(values, name, byDefault, least, most)
}

func minPosition(c echo.Context) (domain.Position, error) { return request.MinPosition(c) }

func catchUp(ctx context.Context, model interface {
	Wait(context.Context, domain.Position) error
}, position domain.Position) error {
	return request.CatchUp(ctx, model, position)
}

func fromUntil(values url.Values) (from, until time.Time, _ error) { return request.TimeRange(values) }

func momentAsked(values url.Values, badQuery error, name, missing string) (history.Moment, error) {
	return request.RequiredMoment(values, badQuery, name, missing)
}

func parseMoment(name, text string) (history.Moment, error) { return request.Moment(name, text) }

func first(values []string) string { return request.First(values) }

// gated are commands with admission.
type gated struct {
	Commands
	reveals Reveals
	writes  *admission.Writes
}

func (g gated) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	return admission.Write(ctx, g.writes, c, g.Commands.PlaceOrder)
}

func (g gated) ReturnItems(ctx context.Context, c commands.ReturnItems) (commands.Returned, error) {
	return admission.Write(ctx, g.writes, c, g.Commands.ReturnItems)
}

func (g gated) AdjustPoints(ctx context.Context, c commands.AdjustPoints) (commands.Adjusted, error) {
	return admission.Write(ctx, g.writes, c, g.Commands.AdjustPoints)
}

func (g gated) ApproveAdjustment(ctx context.Context, c commands.ApproveAdjustment) (commands.Adjusted, error) {
	return admission.Write(ctx, g.writes, c, g.Commands.ApproveAdjustment)
}

func (g gated) DeclineAdjustment(ctx context.Context, c commands.DeclineAdjustment) (commands.Adjusted, error) {
	return admission.Write(ctx, g.writes, c, g.Commands.DeclineAdjustment)
}

func (g gated) RevealProxyName(ctx context.Context, c commands.RevealProxyName) (domain.Position, error) {
	return admission.Write(ctx, g.writes, c, g.reveals.RevealProxyName)
}
