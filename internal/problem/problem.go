// Package problem has the one table from errors to problems (RFC 9457), for HTTP and the bus: status, code, title and detail. Package
// api writes them as answers, package bus as results.
package problem

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"loyalty/domain"
	"loyalty/internal/strictjson"
)

// StatusClientGone is the status, in metrics and in the log, of a request whose client went away before it was answered.
const StatusClientGone = 499

// table is the table from errors to problems. The first entry that errors.Is matches applies; an error that matches none is a
// 500. A domain.InvalidError about one field has that field's code and detail instead of those here.
var table = []struct {
	err    error
	status int
	code   string
	title  string
	detail string
}{
	{ErrClientGone, StatusClientGone, "client_gone", "The client has gone",
		"nobody was there to read this"},
	{ErrTokenMissing, http.StatusUnauthorized, "token_missing", "Not authenticated",
		"send a bearer token in the Authorization header, or sign in"},
	{ErrTokenMalformed, http.StatusUnauthorized, "token_malformed", "Not authenticated",
		"the Authorization header must hold one bearer token"},
	{ErrTokenExpired, http.StatusUnauthorized, "token_expired", "Not authenticated",
		"the token has expired: get a new one"},
	{domain.ErrUnauthenticated, http.StatusUnauthorized, "token_invalid", "Not authenticated",
		"the token is not one that this system accepts"},
	{ErrCrossOrigin, http.StatusForbidden, "cross_origin", "Not allowed",
		"a page of another site can't do this with the session of its reader: send a bearer token"},
	{domain.ErrOwnRequest, http.StatusForbidden, "own_request", "Not allowed",
		"nobody approves what they requested themselves: ask a colleague"},
	{domain.ErrForbidden, http.StatusForbidden, "forbidden", "Not allowed",
		"the token does not allow this"},
	{ErrRouteNotFound, http.StatusNotFound, "route_not_found", "Not found",
		"there is nothing at this address"},
	{ErrMethodNotAllowed, http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed",
		"the Allow header says which methods this address has"},
	{ErrContentType, http.StatusUnsupportedMediaType, "content_type_unsupported", "Unsupported content type",
		"the body must be application/json, that of POST /orders application/x-ndjson; in UTF-8, not compressed"},
	{strictjson.ErrTooLarge, http.StatusRequestEntityTooLarge, "body_too_large", "Body too large",
		fmt.Sprintf("a body, or a line of a batch, has at most %d bytes", strictjson.MaxBytes)},
	{ErrRateLimited, http.StatusTooManyRequests, "rate_limited", "Too many requests",
		"try again after the seconds in Retry-After; a batch is slowed down instead of being refused"},
	{ErrTooMuchAtOnce, http.StatusTooManyRequests, "too_much_at_once", "Too many requests",
		"the token's subject has too much under way; nothing was done: try again after the seconds in Retry-After"},
	{ErrOverloaded, http.StatusServiceUnavailable, "overloaded", "Overloaded",
		"too much is under way; nothing was done: try again after the seconds in Retry-After"},
	{strictjson.ErrMalformed, http.StatusBadRequest, "json_malformed", "Malformed body",
		"the body must be one whole JSON object and nothing else"},
	{domain.ErrInvalid, http.StatusBadRequest, "invalid_input", "Invalid input",
		"several fields are at fault"},
	{domain.ErrOrderNotFound, http.StatusNotFound, "not_found", "Not found",
		"there is no such order of yours: for one of somebody else's write its full id, such as website.o-1, store.o-1 or customer.c-1.o-1"},
	{domain.ErrNotFound, http.StatusNotFound, "not_found", "Not found",
		"there is no such order, entry or name, or nothing waits under this id"},
	{ErrNoHistory, http.StatusNotFound, "history_not_kept", "Not found",
		"no history is kept here: leave out asOf for the dashboard as it stands"},
	{domain.ErrConflict, http.StatusConflict, "conflict", "Conflict",
		"the id was used before with other content"},
	{domain.ErrDecided, http.StatusConflict, "already_decided", "Conflict",
		"it was approved or declined already, the other way"},
	{domain.ErrForgotten, http.StatusGone, "customer_forgotten", "Gone",
		"the customer was forgotten: nothing is adjusted any more"},
	{domain.ErrReturnExceedsPaid, http.StatusUnprocessableEntity, "return_exceeds_paid", "Return exceeds payment",
		"more would be returned than is left of what was paid"},
	{domain.ErrOrderPoints, http.StatusUnprocessableEntity, "order_points_limit", "Points limit",
		"an order can't earn so many points"},
	{domain.ErrAdjustmentPoints, http.StatusUnprocessableEntity, "adjustment_points_limit", "Points limit",
		"an adjustment can't give or take so many points"},
	{domain.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "Temporarily unavailable",
		"try again later; repeating the request, with the id that it had, is safe"},
	{domain.ErrNotCaughtUp, http.StatusServiceUnavailable, "not_caught_up", "Not caught up",
		"what was asked for has not arrived here yet: try again later"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "unavailable", "Temporarily unavailable",
		"try again later; repeating the request, with the id that it had, is safe"},
	{context.Canceled, http.StatusServiceUnavailable, "unavailable", "Temporarily unavailable",
		"the request was cancelled"},
}

// passes has the codes of the problems that pass by themselves, with how long to wait where the error, a domain.LaterError, does not know.
var passes = map[string]time.Duration{
	"rate_limited": time.Second, "too_much_at_once": time.Second, "overloaded": time.Second, "unavailable": time.Second, "not_caught_up": 2 * time.Second,
}

// Problem is the body of every HTTP answer that is not a success: the members of RFC 9457, with a code, the fields and an id.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is stable. Where one field is at fault it is that field's.
	Code   string  `json:"code"`
	Detail string  `json:"detail,omitempty"`
	Errors []Fault `json:"errors,omitempty"`
	// ID is the id of the request, which the log has too.
	ID string `json:"id"`
	// RetryAfter is how long to wait before trying again; 0 where that is of no use.
	RetryAfter time.Duration `json:"-"`
}

// SetRetryAfter says in the header of an answer after how many seconds to try again, rounded up, where that is of use (RFC 9110, section 10.2.3).
func (p Problem) SetRetryAfter(header http.Header) {
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(p.RetryAfter.Seconds())), 10))
	}
}

// Fault is what is wrong with one field of a request or a command.
type Fault struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Of is the problem of an error, with at most strictjson.MaxFaults fields at fault. An error that is not in the table is a 500
// with the code "internal" and no detail.
func Of(err error) Problem {
	p := Problem{Title: "Internal error", Status: http.StatusInternalServerError, Code: "internal"}
	for _, known := range table {
		if errors.Is(err, known.err) {
			p = Problem{Title: known.title, Status: known.status, Code: known.code, Detail: known.detail}
			break
		}
	}
	p.RetryAfter = passes[p.Code]
	var later *domain.LaterError
	if p.RetryAfter > 0 && errors.As(err, &later) {
		p.RetryAfter = later.After
	}
	var limit *domain.PointsLimitError
	if errors.As(err, &limit) {
		p.Detail += fmt.Sprintf(": at most %d", limit.Limit)
	}
	var invalid *domain.InvalidError
	if p.Status == http.StatusBadRequest && errors.As(err, &invalid) {
		p.addFaults(invalid.Fields)
	}
	p.Type = "urn:problem-type:loyalty:" + p.Code
	return p
}

func (p *Problem) addFaults(fields []domain.FieldError) {
	first, one := fields[0], true
	for _, f := range fields[:min(len(fields), strictjson.MaxFaults)] {
		p.Errors = append(p.Errors, Fault{Field: f.Field, Code: f.Code, Detail: f.Detail})
		one = one && f.Field == first.Field
	}
	if one {
		p.Code, p.Detail = first.Code, first.Detail
	}
}
