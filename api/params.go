package api

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
)

// pathID reads an id from the path. The error names it and is one of domain.ParseID's; or echo.ErrNotFound for a path
// that ends before it or goes on after it, either of which Echo takes for the last parameter of a route.
func pathID[T ~string](c echo.Context, name string) (T, error) {
	text := c.Param(name)
	if text == "" || strings.Contains(text, "/") {
		return "", echo.ErrNotFound
	}
	if c.Request().URL.RawPath != "" {
		// The path holds escapes that Go would not have written, and Echo hands them on as they are.
		if unescaped, err := url.PathUnescape(text); err == nil {
			text = unescaped
		}
	}
	return domain.ParseID[T](name, text)
}

// query reads the parameters after the question mark. A malformed one has the code query_malformed.
func query(c echo.Context) (url.Values, error) {
	raw := c.Request().URL.RawQuery
	if raw == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, domain.Invalid("query", "query_malformed", "the part of the address after ? must be name=value pairs joined by &")
	}
	return values, nil
}

// number reads a whole number from least to most, or gives what it is by default. The error's code is the name
// followed by _out_of_range.
func number(values url.Values, name string, byDefault, least, most int) (int, error) {
	if !values.Has(name) {
		return byDefault, nil
	}
	n, err := strconv.Atoi(values.Get(name))
	if err != nil || n < least || n > most {
		return 0, domain.Invalid(name, name+"_out_of_range", fmt.Sprintf("%s must be a whole number from %d to %d", name, least, most))
	}
	return n, nil
}

const (
	headerMinPosition = "Loyalty-Min-Position"
	// catchUpTimeout is how long a read waits for the position its caller asked for.
	catchUpTimeout = 2 * time.Second
)

// first is the first value of a header, which Header.Get finds too, but only after making sure how its name is spelled.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// minPosition reads the position that a read must reflect; the zero Position if the caller asks for none.
func minPosition(c echo.Context) (domain.Position, error) {
	text := first(c.Request().Header[headerMinPosition])
	if text == "" {
		return domain.Position{}, nil
	}
	return domain.ParsePosition(headerMinPosition, text)
}

// catchUp waits until a read model reflects a position, for as long as a caller may ask for.
func catchUp(ctx context.Context, model interface {
	Wait(context.Context, domain.Position) error
}, position domain.Position) error {
	if position == (domain.Position{}) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	return model.Wait(ctx, position)
}
