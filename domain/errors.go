package domain

import (
	"errors"
	"strings"
)

// The one error vocabulary of the system. Layers wrap these with %w and context on the way up; callers compare with
// errors.Is and errors.As; package api turns them into HTTP in one table. None of them says anything about HTTP.
var (
	// ErrInvalid is input that can never be accepted as it stands. Usually an *InvalidError that names the fields.
	ErrInvalid = errors.New("invalid input")
	// ErrConflict is an id that was used before with other content.
	ErrConflict = errors.New("the id was used before with other content")
	// ErrNotFound is something the command needs and that does not exist, such as the order of a return.
	ErrNotFound = errors.New("not found")
	// ErrReturnExceedsPaid is a return of more than what is left of the amount paid.
	ErrReturnExceedsPaid = errors.New("more would be returned than was paid")
	// ErrPointsLimit is a change that would take a total beyond ±MaxTotal. It is refused, never rounded.
	ErrPointsLimit = errors.New("the points total would pass its limit")
	// ErrDecided is a request that was decided the other way already.
	ErrDecided = errors.New("it was decided the other way already")
	// ErrOwnRequest is somebody who would approve what they requested themselves.
	ErrOwnRequest = errors.New("nobody approves their own request")
	// ErrForgotten is something asked for a customer who was forgotten.
	ErrForgotten = errors.New("the customer was forgotten")
	// ErrNotForgotten is a read model that still leads to a customer who was forgotten.
	ErrNotForgotten = errors.New("the customer is not forgotten everywhere")
	// ErrUnauthenticated is a caller who did not prove who they are.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrForbidden is a caller who is known and may not do this.
	ErrForbidden = errors.New("not allowed")
	// ErrNotCaughtUp is a read model that has not yet reached what the reader asked for.
	ErrNotCaughtUp = errors.New("the read model has not caught up")
	// ErrUnavailable is a store that cannot be reached or refuses work for now; trying again later may succeed.
	ErrUnavailable = errors.New("temporarily unavailable")
	// ErrWrongRevision is an append that expected its stream at another revision.
	ErrWrongRevision = errors.New("the stream is at another revision")
	// ErrCheckpointMoved is a batch that another runner has applied already.
	ErrCheckpointMoved = errors.New("the checkpoint has moved")
	// ErrUndecodable is a stored event that the registry cannot turn into its type. Projections stop at it.
	ErrUndecodable = errors.New("undecodable event")
)

// FieldError says what is wrong with one field of the input.
type FieldError struct {
	// Field is the name the caller used, as a path: "paymentDetails.amount".
	Field string
	// Code is stable and meant for programs: "amount_negative".
	Code string
	// Detail is one sentence for people, and says what would be accepted.
	Detail string
}

// InvalidError is ErrInvalid with the fields at fault, at least one.
type InvalidError struct{ Fields []FieldError }

// Invalid makes an *InvalidError about one field.
func Invalid(field, code, detail string) error {
	return &InvalidError{Fields: []FieldError{{Field: field, Code: code, Detail: detail}}}
}

// Error lists every field at fault.
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

// JoinInvalid gathers the field errors among errs into one, so that a caller learns of every mistake at once. It
// returns nil if all are nil, and the first error that is not an *InvalidError if there is one.
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
