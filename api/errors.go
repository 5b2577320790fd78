package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
	"loyalty/internal/problem"
)

// What can be wrong with a request besides what package domain has words for.
var (
	errTokenMissing   = problem.ErrTokenMissing
	errTokenMalformed = problem.ErrTokenMalformed
	errTokenExpired   = problem.ErrTokenExpired
	errJSONMalformed  = errors.New("the body is not one JSON object")
	errBodyTooLarge   = errors.New("the body is too large")
	errContentType    = errors.New("the body is not of the content type that is wanted")
	errRateLimited    = problem.ErrRateLimited
	errOverloaded     = problem.ErrOverloaded
	errNoHistory      = problem.ErrNoHistory
	errCrossOrigin    = problem.ErrCrossOrigin
)

// problems is the one table from errors to answers: the first line whose error is the one at hand applies. What is not
// in it is a 500. A domain.InvalidError about one field has that field's code instead of the one here.
var problems = []struct {
	err    error
	status int
	code   string
	title  string
	detail string
}{
	{errTokenMissing, http.StatusUnauthorized, "token_missing", "Not authenticated",
		"send a bearer token in the Authorization header, or sign in"},
	{errTokenMalformed, http.StatusUnauthorized, "token_malformed", "Not authenticated",
		"the Authorization header must hold one bearer token"},
	{errTokenExpired, http.StatusUnauthorized, "token_expired", "Not authenticated",
		"the token has expired: get a new one"},
	{domain.ErrUnauthenticated, http.StatusUnauthorized, "token_invalid", "Not authenticated",
		"the token is not one that this system accepts"},
	{errCrossOrigin, http.StatusForbidden, "cross_origin", "Not allowed",
		"a page of another site can't do this with the session of its reader: send a bearer token"},
	{domain.ErrOwnRequest, http.StatusForbidden, "own_request", "Not allowed",
		"nobody approves what they requested themselves: ask a colleague"},
	{domain.ErrForbidden, http.StatusForbidden, "forbidden", "Not allowed",
		"the token does not allow this"},
	{echo.ErrNotFound, http.StatusNotFound, "route_not_found", "Not found",
		"there is nothing at this address"},
	{echo.ErrMethodNotAllowed, http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed",
		"the Allow header says which methods this address has"},
	{errContentType, http.StatusUnsupportedMediaType, "content_type_unsupported", "Unsupported content type",
		"the body must be application/json, that of POST /orders application/x-ndjson; in UTF-8, not compressed"},
	{errBodyTooLarge, http.StatusRequestEntityTooLarge, "body_too_large", "Body too large",
		fmt.Sprintf("a body, or a line of a batch, has at most %d bytes", maxBody)},
	{errRateLimited, http.StatusTooManyRequests, "rate_limited", "Too many requests",
		"try again after the seconds in Retry-After; a batch is slowed down instead of being refused"},
	{errOverloaded, http.StatusServiceUnavailable, "overloaded", "Overloaded",
		"too much is under way; nothing was done: try again after the seconds in Retry-After"},
	{errJSONMalformed, http.StatusBadRequest, "json_malformed", "Malformed body",
		"the body must be one whole JSON object and nothing else"},
	{domain.ErrInvalid, http.StatusBadRequest, "invalid_input", "Invalid input",
		"several fields are at fault"},
	{domain.ErrNotFound, http.StatusNotFound, "not_found", "Not found",
		"there is no such order, entry or name, or nothing waits under this id"},
	{errNoHistory, http.StatusNotFound, "history_not_kept", "Not found",
		"no history is kept here: leave out asOf for the dashboard as it stands"},
	{domain.ErrConflict, http.StatusConflict, "conflict", "Conflict",
		"the id was used before with other content"},
	{domain.ErrDecided, http.StatusConflict, "already_decided", "Conflict",
		"it was approved or declined already, the other way"},
	{domain.ErrForgotten, http.StatusGone, "customer_forgotten", "Gone",
		"the customer was forgotten: nothing is adjusted any more"},
	{domain.ErrReturnExceedsPaid, http.StatusUnprocessableEntity, "return_exceeds_paid", "Return exceeds payment",
		"more would be returned than is left of what was paid"},
	{domain.ErrPointsLimit, http.StatusUnprocessableEntity, "points_limit", "Points limit",
		fmt.Sprintf("a customer's points, or a change of them, would pass %d either way", domain.MaxTotal)},
	{domain.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "Temporarily unavailable",
		"try again later; repeating a request is safe"},
	{domain.ErrNotCaughtUp, http.StatusServiceUnavailable, "not_caught_up", "Not caught up",
		"what was asked for has not arrived here yet: try again later"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "unavailable", "Temporarily unavailable",
		"try again later; repeating a request is safe"},
	{context.Canceled, http.StatusServiceUnavailable, "unavailable", "Temporarily unavailable",
		"the request was cancelled"},
}

// Problem is the body of every answer that is not a success: RFC 9457, with a code for programs to go by.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is stable. Where one field is at fault it is that field's.
	Code   string       `json:"code"`
	Detail string       `json:"detail,omitempty"`
	Errors []FieldFault `json:"errors,omitempty"`
	// ID is the request's id, which the log knows it by.
	ID string `json:"id"`
}

// FieldFault is what is wrong with one field of a request.
type FieldFault struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// maxFaults bounds how many faults one answer lists, whatever a body of 64 KiB may hold.
const maxFaults = 50

// problemOf looks an error up in the table.
func problemOf(err error) Problem {
	p := Problem{Title: "Internal error", Status: http.StatusInternalServerError, Code: "internal"}
	for _, known := range problems {
		if errors.Is(err, known.err) {
			p = Problem{Title: known.title, Status: known.status, Code: known.code, Detail: known.detail}
			break
		}
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
	for _, f := range fields[:min(len(fields), maxFaults)] {
		p.Errors = append(p.Errors, FieldFault{Field: f.Field, Code: f.Code, Detail: f.Detail})
		one = one && f.Field == first.Field
	}
	if one {
		p.Code, p.Detail = first.Code, first.Detail
	}
}

// fail answers a request with the problem that err is to its caller. It is Echo's HTTPErrorHandler.
func (s *Server) fail(err error, c echo.Context) {
	p := problemOf(err)
	p.ID = s.requestID(c)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, errOverloaded) {
		level := slog.LevelWarn
		if p.Status == http.StatusInternalServerError {
			level = slog.LevelError
		}
		s.config.Log.LogAttrs(c.Request().Context(), level, p.Title, slog.String("id", p.ID), slog.Any("error", err))
	}
	if c.Response().Committed {
		return
	}
	header := c.Response().Header()
	switch p.Status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", challenge(p))
	case http.StatusTooManyRequests:
		var limited rateLimited
		errors.As(err, &limited)
		header.Set("Retry-After", strconv.FormatInt(limited.seconds(), 10))
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	if err := writeProblem(c.Response(), p); err != nil {
		s.config.Log.LogAttrs(c.Request().Context(), slog.LevelDebug, "answer not sent", slog.String("id", p.ID), slog.Any("error", err))
	}
}

func writeProblem(w http.ResponseWriter, p Problem) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, err = w.Write(body)
	return err
}

// challenge is what RFC 6750 section 3 asks a 401 to say.
func challenge(p Problem) string {
	if p.Code == "token_missing" {
		return `Bearer realm="loyalty"`
	}
	return fmt.Sprintf(`Bearer realm="loyalty", error="invalid_token", error_description=%q`, p.Detail)
}
