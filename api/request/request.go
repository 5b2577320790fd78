// Package request reads what all handlers need of a request, and writes what all answers have in common.
package request

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/commands"
)

const (
	// Timeout bounds the work on one request, unless its route bounds its own waits: it is answered within 3 s, also while a store hangs.
	Timeout = 2500 * time.Millisecond
	// PastTimeout bounds the work on a question to the history in this process, which asks no store and may read all customers.
	PastTimeout = 10 * time.Second
)

// The headers that more than one package reads or writes.
const (
	HeaderID          = "X-Request-Id"
	HeaderMinPosition = "Loyalty-Min-Position"
)

// IDs gives ids to requests whose callers did not. Each must be a valid id.
type IDs func() string

// Of is the id of a request, which its answer bears. A request without one gets one.
func (ids IDs) Of(c echo.Context) string {
	header := c.Response().Header()
	id := header.Get(HeaderID)
	if id == "" {
		id = ids()
		header[HeaderID] = []string{id}
	}
	return id
}

// CallerOf is on whose behalf a command is carried out.
func CallerOf(c echo.Context, claims auth.Claims) commands.Caller {
	return commands.Caller{
		Actor: claims.Subject, Channel: claims.Channel, Issuer: claims.Issuer(), Correlation: c.Response().Header().Get(HeaderID),
	}
}

// Recover turns a panic into an error. It is deferred where work is done on behalf of a request but not by its handler's goroutine.
func Recover(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
	}
}

// First is the first of a header's values. It is Header.Get without making the name canonical.
func First(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
