package api

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/internal/problem"
)

// The headers that every answer has. Nothing changes the slices, so that all answers can share them. Policies for documents are not among
// them: an answer is JSON, which no-sniff keeps from being taken for a document, and each header costs a fortieth of a dashboard.
var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

// around surrounds every request. It is one middleware instead of several, because Echo wraps each around every request anew.
func (s *Server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.identify(c)
		start := s.now()
		s.metrics.Begin()
		defer s.metrics.End()
		status, err := 0, recovered(next, c)
		if err != nil {
			status = s.answerError(err, c)
		}
		s.observe(c, cmp.Or(status, c.Response().Status), s.now().Sub(start))
		if errors.Is(err, request.ErrIncomplete) {
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// identify gives every request an id, its caller's if that is a valid id, and its answer the headers that all have. A read gets no id of
// ours unless it is logged: nothing could be found by it.
func (s *Server) identify(c echo.Context) {
	header := c.Response().Header()
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	if id := request.First(c.Request().Header[request.HeaderID]); id != "" {
		if _, err := domain.ParseID[string](request.HeaderID, id); err == nil {
			header[request.HeaderID] = []string{id}
		}
	}
	if c.Request().Method != http.MethodGet || s.log.Enabled(c.Request().Context(), slog.LevelDebug) {
		s.ids.Of(c)
	}
}

// recovered is next with a panic turned into an error, which is answered with 500. http.ErrAbortHandler, by which a handler breaks the
// connection, goes on to net/http.
func recovered(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause)
		default:
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return next(c)
}

// observe measures and logs a request that was answered, or that nobody waited for.
func (s *Server) observe(c echo.Context, status int, took time.Duration) {
	method, path := methodLabel(c.Request().Method), c.Path()
	if status == http.StatusNotFound && path == "" {
		path = "none"
	}
	s.metrics.Observe(method, path, status, took)
	level, ctx := slog.LevelInfo, c.Request().Context()
	if status == problem.StatusClientGone || method == http.MethodGet && (status == http.StatusOK || status == http.StatusNotModified) {
		level = slog.LevelDebug
	}
	if s.log.Enabled(ctx, level) {
		line := []slog.Attr{slog.String("method", method), slog.String("route", path), slog.Int("status", status),
			slog.Duration("took", took), slog.String("id", s.ids.Of(c))}
		s.log.LogAttrs(ctx, level, "request", s.appendCaller(line, c)...)
	}
}

// methodLabel keeps callers from adding label values.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost:
		return method
	}
	return "other"
}
