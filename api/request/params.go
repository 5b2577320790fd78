package request

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
)

// PathID reads an id from the path. The error is domain.ErrInvalid and names the id; or echo.ErrNotFound for a path that ends before it
// or goes on after it, both of which Echo takes for the last parameter of a route.
func PathID[T ~string](c echo.Context, name string) (T, error) {
	return pathID(c, name, domain.ParseID[T])
}

// PathFullID is PathID for an id that may be a full one.
func PathFullID[T ~string](c echo.Context, name string) (T, error) {
	return pathID(c, name, domain.ParseFullID[T])
}

func pathID[T ~string](c echo.Context, name string, parse func(field, text string) (T, error)) (T, error) {
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
	return parse(name, text)
}

// Query reads the parameters after the question mark. A malformed query has the code query_malformed.
func Query(c echo.Context) (url.Values, error) {
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

// CheckQuery makes sure that a query has no other parameters than these, each once: what is misspelt would otherwise count as left out. The
// error names the first that it should not have; its code is query_malformed, parameter_unknown or parameter_repeated.
func CheckQuery(c echo.Context, known ...string) error {
	values, err := Query(c)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(known, name):
			return domain.Invalid(name, "parameter_unknown", "there is no such parameter here, and case counts")
		case len(values[name]) > 1:
			return domain.Invalid(name, "parameter_repeated", "this is given more than once")
		}
	}
	return nil
}

// What a reader gets who does not say how many: entries of a page, and rows of a leaderboard at its top and around a customer.
const (
	DefaultPage   = 50
	DefaultTop    = 10
	DefaultAround = 2
)

// Number reads a whole number from least to most, or returns byDefault where there is none. The error's code is the name followed by
// _out_of_range.
func Number(values url.Values, name string, byDefault, least, most int) (int, error) {
	if !values.Has(name) {
		return byDefault, nil
	}
	n, err := strconv.Atoi(values.Get(name))
	if err != nil || n < least || n > most {
		return 0, domain.Invalid(name, name+"_out_of_range", fmt.Sprintf("%s must be a whole number from %d to %d", name, least, most))
	}
	return n, nil
}

// Preview tells whether the caller only wants to know what a write would do.
func Preview(c echo.Context) (bool, error) {
	values, err := Query(c)
	if err != nil {
		return false, err
	}
	switch {
	case !values.Has("preview"), values.Get("preview") == "false":
		return false, nil
	case values.Get("preview") == "true":
		return true, nil
	}
	return false, domain.Invalid("preview", "preview_malformed", "preview is true or false")
}
