package api

import (
	"context"
	"log/slog"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/domain"
)

// noteDenied counts a request that its caller's token does not allow. A customer who asks for another's account is logged: both by their
// proxy keys, where they have any, so that only those who have the secret can tell who they are.
func (s *Server) noteDenied(ctx context.Context, c echo.Context, caller auth.Claims) {
	s.metrics.Denied.WithLabelValues(c.Path(), string(caller.Role)).Inc()
	asked, err := request.PathID[domain.CustomerID](c, "userId")
	if err != nil || caller.Role != auth.RoleCustomer || string(asked) == caller.Subject {
		return
	}
	line := []slog.Attr{slog.String("route", c.Path()), slog.String("id", s.ids.Of(c))}
	if s.proxies != (domain.Proxies{}) {
		line = append(line, slog.String("asker", s.proxies.Key(domain.CustomerID(caller.Subject)).String()),
			slog.String("asked", s.proxies.Key(asked).String()))
	}
	s.log.LogAttrs(ctx, slog.LevelWarn, "a customer asked for another's account", line...)
}
