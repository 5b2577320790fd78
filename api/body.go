package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"loyalty/internal/strictjson"
)

// maxBody bounds a request's body, in bytes.
const maxBody = strictjson.MaxBytes

// readBody reads the whole body of a request, which must say that it is JSON. Errors are errContentType,
// strictjson.ErrTooLarge, and strictjson.ErrMalformed for a body that ends too early.
func readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if !hasContentType(r, echo.MIMEApplicationJSON) {
		return nil, errContentType
	}
	switch size := r.ContentLength; {
	case size > maxBody:
		return nil, strictjson.ErrTooLarge
	case size >= 0:
		data := make([]byte, size)
		if _, err := io.ReadFull(r.Body, data); err != nil {
			return nil, strictjson.ErrMalformed
		}
		return data, nil
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, strictjson.ErrTooLarge
	case err != nil:
		return nil, strictjson.ErrMalformed
	}
	return data, nil
}

// hasContentType tells whether a request says that its body is of a kind, in UTF-8 and not compressed.
func hasContentType(r *http.Request, want string) bool {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return false
	}
	given := first(r.Header["Content-Type"])
	if given == want {
		return true
	}
	kind, parameters, err := mime.ParseMediaType(given)
	charset := parameters["charset"]
	return err == nil && kind == want && (charset == "" || strings.EqualFold(charset, "utf-8"))
}
