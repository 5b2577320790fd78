package domain

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of the whole system. Layers wrap them with %w and context; callers compare with errors.Is and errors.As. One table maps them to
// problem codes, for HTTP and the bus; the errors themselves don't depend on HTTP.
var (
	// ErrInvalid: the input can never be accepted. Usually it is an *InvalidError, which names the fields.
	ErrInvalid = errors.New("invalid input")
	// ErrConflict: the id was used before with other content.
	ErrConflict = errors.New("the id was used before with other content")
	// ErrNotFound: something that is asked for or needed does not exist, such as the order of a return.
	ErrNotFound = errors.New("not found")
	// ErrOrderNotFound: the order of a return does not exist. It is an ErrNotFound.
	ErrOrderNotFound = fmt.Errorf("%w: no such order", ErrNotFound)
	// ErrReturnExceedsPaid: the return is of more than what is left of the amount paid.
	ErrReturnExceedsPaid = errors.New("more would be returned than was paid")
	// ErrOrderPoints: an order would earn more points than one order may. Usually it is a *PointsLimitError.
	ErrOrderPoints = errors.New("an order can't earn so many points")
	// ErrAdjustmentPoints: an adjustment would give or take more points than one adjustment may. Usually it is a *PointsLimitError.
	ErrAdjustmentPoints = errors.New("an adjustment can't give or take so many points")
	// ErrDecided: the request was already decided the other way.
	ErrDecided = errors.New("it was decided the other way already")
	// ErrOwnRequest: the approver is the one who made the request.
	ErrOwnRequest = errors.New("nobody approves their own request")
	// ErrForgotten: the customer was forgotten, so the operation is impossible.
	ErrForgotten = errors.New("the customer was forgotten")
	// ErrNotForgotten: a read model still has data that leads to a forgotten customer.
	ErrNotForgotten = errors.New("the customer is not forgotten everywhere")
	// ErrUnauthenticated: the caller is not authenticated.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrForbidden: the caller is authenticated and not authorized.
	ErrForbidden = errors.New("not allowed")
	// ErrNotCaughtUp: the read model has not reached the position that the reader asked for.
	ErrNotCaughtUp = errors.New("the read model has not caught up")
	// ErrUnavailable: a store can't be reached or can't work at the moment. A retry may succeed.
	ErrUnavailable = errors.New("temporarily unavailable")
	// ErrWrongRevision: an append expected its stream at another revision.
	ErrWrongRevision = errors.New("the stream is at another revision")
	// ErrCheckpointMoved: another runner has moved the checkpoint, so the batch was not applied.
	ErrCheckpointMoved = errors.New("the checkpoint has moved")
	// ErrUndecodable: a stored event can't be decoded. Projections stop at it, until it is quarantined.
	ErrUndecodable = errors.New("undecodable event")
	// ErrNewerEvent: a newer version of the program wrote an event. It is an ErrUndecodable that can't be quarantined.
	ErrNewerEvent = fmt.Errorf("%w: a newer version of the program wrote this: upgrade", ErrUndecodable)
	// ErrWrongLog: a read model was folded from another log than the one that it is to follow. Projections stop.
	ErrWrongLog = errors.New("the read model does not belong to this log")
	// ErrNewerFold: a newer version of the program keeps the read model. Projections stop.
	ErrNewerFold = errors.New("a newer version of the program keeps this read model: upgrade this process")
	// ErrOtherNames: the names in a read model were made with another proxy secret than this process has. Processes don't start, and
	// projections stop.
	ErrOtherNames = errors.New("its names were made with another proxy secret than this process has")
)

// PointsLimitError is ErrOrderPoints or ErrAdjustmentPoints with the limit that was passed.
type PointsLimitError struct {
	Kind  error
	Limit Points
}

// Error says which limit it is.
func (e *PointsLimitError) Error() string { return fmt.Sprintf("%v: at most %d", e.Kind, e.Limit) }

// Unwrap returns Kind.
func (e *PointsLimitError) Unwrap() error { return e.Kind }

// FieldError is what is wrong with one field of the input.
type FieldError struct {
	// Field is the path of the field in the caller's input: "paymentDetails.amount".
	Field string
	// Code is stable, for programs: "amount_negative".
	Code string
	// Detail is a sentence for people that says what would be accepted.
	Detail string
}

// InvalidError is ErrInvalid with the invalid fields, at least one.
type InvalidError struct{ Fields []FieldError }

// Invalid makes an *InvalidError about one field.
func Invalid(field, code, detail string) error {
	return &InvalidError{Fields: []FieldError{{Field: field, Code: code, Detail: detail}}}
}

// Error lists the invalid fields.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString(ErrInvalid.Error())
	for i, f := range e.Fields {
		b.WriteString([...]string{": ", "; "}[min(i, 1)])
		b.WriteString(f.Field + " (" + f.Code + "): " + f.Detail)
	}
	return b.String()
}

// Is makes errors.Is(err, ErrInvalid) true.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// JoinInvalid joins *InvalidErrors into one, so that a caller learns of all invalid fields at once. It returns nil if all errs are nil, and the
// first error that is not an *InvalidError if there is one.
func JoinInvalid(errs ...error) error {
	var fields []FieldError
	for _, err := range errs {
		if err == nil {
			continue
		}
		var invalid *InvalidError
		if !errors.As(err, &invalid) {
			return err
		}
		fields = append(fields, invalid.Fields...)
	}
	if len(fields) == 0 {
		return nil
	}
	return &InvalidError{Fields: fields}
}
