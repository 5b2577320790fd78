// Package baseline is what Echo and net/http cost alone, for benchmarks to compare with.
package baseline

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Handler answers the address of a dashboard with body and does nothing else: it has no middleware.
func Handler(body []byte) http.Handler {
	e := echo.New()
	e.GET("/loyalty/:userId", func(c echo.Context) error { return c.JSONBlob(http.StatusOK, body) })
	return e
}
