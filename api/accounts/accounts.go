// Package accounts answers those who look at one customer's points trail and put it right.
package accounts

import (
	"context"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Commands adjusts points, from many goroutines at once. A commands.Handler does.
type Commands interface {
	AdjustPoints(context.Context, commands.AdjustPoints) (commands.Adjusted, error)
	ApproveAdjustment(context.Context, commands.ApproveAdjustment) (commands.Adjusted, error)
	DeclineAdjustment(context.Context, commands.DeclineAdjustment) (commands.Adjusted, error)
}

// Handler answers requests about accounts. Commands may be nil where nobody adjusts, Ledger where nobody asks for trails. It may be
// used from many goroutines at once.
type Handler struct {
	Commands Commands
	// Writes admits adjustments, approvals and declines.
	Writes *admission.Writes
	// Limits are the most points that somebody of a role may give or take alone, DayLimits those of all their adjustments on a day in UTC;
	// no entry and 0 are for no limit.
	Limits, DayLimits map[auth.Role]domain.Points
	Ledger            ledger.Reader
	Views             request.Views
}
