package api

import (
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/domain"
)

// callerKey is under which a request has its caller, for the log.
const callerKey = "caller"

// remember keeps the caller of a request whose line is going to be logged. It costs some allocations, which a dashboard does without.
func (s *Server) remember(c echo.Context, caller auth.Claims, err error) {
	if err != nil || c.Request().Method != http.MethodGet || s.log.Enabled(c.Request().Context(), slog.LevelDebug) {
		c.Set(callerKey, caller)
	}
}

// appendCaller says whose a request is: the role, and the subject of staff and channels. Of customers it is the proxy key, which only those
// can follow who have the secret, or nothing in a process without proxies.
func (s *Server) appendCaller(line []slog.Attr, c echo.Context) []slog.Attr {
	caller, known := c.Get(callerKey).(auth.Claims)
	if !known {
		return line
	}
	line = append(line, slog.String("role", string(caller.Role)))
	switch {
	case caller.Role != auth.RoleCustomer:
		line = append(line, slog.String("subject", caller.Subject))
	case s.proxies != (domain.Proxies{}):
		line = append(line, slog.String("key", s.proxies.Key(domain.CustomerID(caller.Subject)).String()))
	}
	return line
}
