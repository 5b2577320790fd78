package request

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"loyalty/internal/problem"
	"loyalty/internal/strictjson"
)

// ReadBody reads the whole body of a request, which must say that it is JSON and has at most strictjson.MaxBytes. Errors are problem.ErrContentType,
// strictjson.ErrTooLarge, and strictjson.ErrMalformed for a body that ends too early.
func ReadBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if !HasContentType(r, echo.MIMEApplicationJSON) {
		return nil, problem.ErrContentType
	}
	switch size := r.ContentLength; {
	case size > strictjson.MaxBytes:
		return nil, strictjson.ErrTooLarge
	case size >= 0:
		data := make([]byte, size)
		if _, err := io.ReadFull(r.Body, data); err != nil {
			return nil, strictjson.ErrMalformed
		}
		return data, nil
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, strictjson.MaxBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, strictjson.ErrTooLarge
	case err != nil:
		return nil, strictjson.ErrMalformed
	}
	return data, nil
}

// HasContentType tells whether a request says that its body is of a kind, in UTF-8 and not compressed.
func HasContentType(r *http.Request, want string) bool {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return false
	}
	given := First(r.Header["Content-Type"])
	if given == want {
		return true
	}
	kind, parameters, err := mime.ParseMediaType(given)
	charset := parameters["charset"]
	return err == nil && kind == want && (charset == "" || strings.EqualFold(charset, "utf-8"))
}
