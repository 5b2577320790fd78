package api

import (
	"context"
	"log/slog"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/domain"
)

func newRefusals() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "loyalty_http_refused_total", Help: "Requests refused because the token does not allow them, by route and role.",
	}, []string{"route", "role"})
}

// noteRefused counts what a caller may not do. A customer who asks for another's account leaves a line in the log, in which both
// go by their proxy keys where they have any: whoever has the secret can tell who it was, and nobody else.
func (s *Server) noteRefused(ctx context.Context, c echo.Context, caller Claims) {
	s.metrics.refused.WithLabelValues(c.Path(), string(caller.Role)).Inc()
	asked, err := pathID[domain.CustomerID](c, "userId")
	if err != nil || caller.Role != RoleCustomer || string(asked) == caller.Subject {
		return
	}
	line := []slog.Attr{slog.String("route", c.Path()), slog.String("id", s.requestID(c))}
	if s.config.Proxies != (domain.Proxies{}) {
		line = append(line, slog.String("asker", s.config.Proxies.Key(domain.CustomerID(caller.Subject)).String()),
			slog.String("asked", s.config.Proxies.Key(asked).String()))
	}
	s.config.Log.LogAttrs(ctx, slog.LevelWarn, "a customer asked for another's account", line...)
}
