package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/problem"
)

// NameResult is the name of a result on the wire.
const NameResult = "command-result.v1"

// Status is the outcome of a command.
type Status string

// The statuses. Those before Conflict mean that the events of the command are in the log.
const (
	Placed   Status = "placed"
	Returned Status = "returned"
	Adjusted Status = "adjusted"
	// Waiting is an adjustment that waits for a second person, Declined one that a second person has declined.
	Waiting  Status = "waiting"
	Declined Status = "declined"
	// Replayed is a command that was carried out before. The result has the points and the position of that time.
	Replayed Status = "replayed"
	// Conflict is an id that was used before with other content. The command is poisoned.
	Conflict Status = "conflict"
	// Failed is a command that can't succeed, for the reason in its problem. It is poisoned.
	Failed Status = "problem"
	// Dropped is a poisoned command that an operator has deleted.
	Dropped Status = "dropped"
)

// Result tells a channel the outcome of a command. A command may have several results: the last one counts.
type Result struct {
	// CommandID is the id of the command's message.
	CommandID string `json:"commandId"`
	// Command is its name: "place-order.v1".
	Command       string `json:"command"`
	CorrelationID string `json:"correlationId,omitempty"`
	Status        Status `json:"status"`

	OrderID   domain.OrderID   `json:"orderId,omitempty"`
	ReturnID  domain.ReturnID  `json:"returnId,omitempty"`
	LoyaltyID domain.LoyaltyID `json:"loyaltyId,omitempty"`
	// Points are those an order was awarded, PointsReversed those that a return took back; nil where it does not apply.
	Points         *domain.Points `json:"points,omitempty"`
	PointsReversed *domain.Points `json:"pointsReversed,omitempty"`
	// Position is the command's place in the log, empty if it has none. A read with it as Loyalty-Min-Position reflects the command.
	Position string `json:"position,omitempty"`

	Problem *Problem `json:"problem,omitempty"`
	// Discarded is true for a poisoned command whose content is not kept, because it is too large or the poison topic is full: only the sender
	// can send it again.
	Discarded bool `json:"discarded,omitempty"`
	// Reason is the operator's reason for dropping the command.
	Reason string `json:"reason,omitempty"`
}

// Problem says why a command can't succeed, with the codes of the HTTP API.
type Problem struct {
	// Code is stable. Where one field is at fault it is that field's.
	Code   string          `json:"code"`
	Detail string          `json:"detail"`
	Errors []problem.Fault `json:"errors,omitempty"`
}

// problemOf is the problem of an error. An unknown error is told in the log only.
func problemOf(err error) Problem {
	p := problem.Of(err)
	if p.Status == http.StatusInternalServerError {
		p.Detail = "the command failed for a reason that the log of the process tells"
	}
	return Problem{Code: p.Code, Detail: p.Detail, Errors: p.Errors}
}

// lasting are the errors that a repeat can't change: what is wrong with the command itself, and a panic, which would meet every process.
var lasting = []error{
	domain.ErrInvalid, domain.ErrNotFound, domain.ErrConflict, domain.ErrDecided, domain.ErrForgotten, domain.ErrReturnExceedsPaid,
	domain.ErrOrderPoints, domain.ErrAdjustmentPoints, errPanic,
}

// passing are the errors that end when a store is available again or has caught up.
var passing = []error{domain.ErrUnavailable, domain.ErrNotCaughtUp, context.DeadlineExceeded, context.Canceled}

// permanent reports whether an error will come again however often the command is repeated. All other errors may pass, also those that nobody
// knows yet: whoever waits loses nothing.
func permanent(err error) bool { return isOneOf(err, lasting) && !temporary(err) }

// temporary reports whether a store is known to be the reason.
func temporary(err error) bool { return isOneOf(err, passing) }

func isOneOf(err error, known []error) bool {
	return slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) })
}

// Commands carries out commands: *commands.Handler.
type Commands interface {
	PlaceOrder(context.Context, commands.PlaceOrder) (commands.Placed, error)
	ReturnItems(context.Context, commands.ReturnItems) (commands.Returned, error)
	AdjustPoints(context.Context, commands.AdjustPoints) (commands.Adjusted, error)
}

// placeOrder, returnItems and adjustPoints carry out a command and return its result. After an error the result has the ids of
// the command only.
func placeOrder(ctx context.Context, in *Intake, c commands.PlaceOrder) (Result, error) {
	placed, err := in.Commands.PlaceOrder(ctx, c)
	if err != nil {
		return Result{OrderID: c.Order}, err
	}
	return Result{OrderID: c.Order, Status: unlessReplayed(Placed, placed.Replayed), Points: &placed.Points, Position: placed.Position.String()}, nil
}

func returnItems(ctx context.Context, in *Intake, c commands.ReturnItems) (Result, error) {
	returned, err := in.Commands.ReturnItems(ctx, c)
	if err != nil {
		return Result{OrderID: c.Order, ReturnID: c.Return}, err
	}
	return Result{
		OrderID: c.Order, ReturnID: c.Return, Status: unlessReplayed(Returned, returned.Replayed),
		PointsReversed: &returned.Points, Position: returned.Position.String(),
	}, nil
}

func adjustPoints(ctx context.Context, in *Intake, c commands.AdjustPoints) (Result, error) {
	c.Limit = in.AdjustmentLimit
	adjusted, err := in.Commands.AdjustPoints(ctx, c)
	if err != nil {
		return Result{LoyaltyID: c.ID}, err
	}
	status := unlessReplayed(Adjusted, adjusted.Replayed)
	switch adjusted.Status {
	case commands.AdjustmentWaiting:
		status = Waiting
	case commands.AdjustmentDeclined:
		status = Declined
	}
	return Result{LoyaltyID: c.ID, Status: status, Position: adjusted.Position.String()}, nil
}

func unlessReplayed(status Status, replayed bool) Status {
	if replayed {
		return Replayed
	}
	return status
}

// message is the message of a result for the results topic.
func (r Result) message() (*message.Message, error) {
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the result of %s: %w", r.CommandID, err)
	}
	return newMessage(NameResult, r.CorrelationID, payload), nil
}

// DecodeResult reads a message of the results topic. It is not strict: later versions may add members.
func DecodeResult(m *message.Message) (Result, error) {
	var r Result
	if err := json.Unmarshal(m.Payload, &r); err != nil {
		return r, fmt.Errorf("decode a result: %w", err)
	}
	return r, nil
}
