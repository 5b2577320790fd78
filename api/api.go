// Package api is the system over HTTP: its routes, who may call them, what their bodies look like, and one table from
// the errors of the system to RFC 9457 problems. It decides nothing itself: writes go to commands, reads to the read
// models. The contract it keeps is docs/openapi.yaml, which its tests check every answer against.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/web"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/queries"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// Commands carries out what callers ask for, from many goroutines at once. A commands.Handler does.
type Commands interface {
	PlaceOrder(context.Context, commands.PlaceOrder) (commands.Placed, error)
	ReturnItems(context.Context, commands.ReturnItems) (commands.Returned, error)
	AdjustPoints(context.Context, commands.AdjustPoints) (commands.Adjusted, error)
	ApproveAdjustment(context.Context, commands.ApproveAdjustment) (commands.Adjusted, error)
	DeclineAdjustment(context.Context, commands.DeclineAdjustment) (commands.Adjusted, error)
}

// Reveals records that somebody is told which customer is behind a proxy name. A commands.Handler does, from many goroutines at
// once.
type Reveals interface {
	RevealProxyName(context.Context, commands.RevealProxyName) (domain.Position, error)
}

// Seasons are the leaderboards of seasons, asked for from many goroutines at once.
type Seasons interface {
	// Season gives a season's leaderboard and what its keys are made with, or false if there is none of that id.
	Season(id string) (season.Season, leaderboard.Reader, domain.Proxies, bool)
	// Seasons lists them, in order of their beginning.
	Seasons() []season.Season
}

// Evidence explains entries of the ledger, from many goroutines at once. An queries.Explainer does.
type Evidence interface {
	Explain(context.Context, ledger.Entry) (queries.Explanation, error)
}

// Config is what a Server works with. Commands, Leaderboard, Seasons, Ledger, Finder, Auditor, Earner, Evidence, Reveals, History
// and Replays may each be nil in a process that doesn't have them; the routes that need them are then not there. Finder, Auditor,
// Earner and Evidence need Ledger, Reveals needs Finder. All else must be set, Proxies only where Leaderboard, Finder or History is.
type Config struct {
	Commands    Commands
	Leaderboard leaderboard.Reader
	// Seasons are beside Leaderboard.
	Seasons Seasons
	Ledger  ledger.Reader
	// Finder, Auditor and Earner are the same ledger, to those who search it, who look at what others did, and who ask what was
	// earned when.
	Finder  ledger.Finder
	Auditor ledger.Auditor
	Earner  ledger.Earner
	// Evidence is for explanations, which need Finder too.
	Evidence Evidence
	Reveals  Reveals
	// History is for what was: changes of rank, and dashboards and leaderboards as of a moment, which are not there without it.
	History history.Reader
	// Replays is for what would have been.
	Replays  Replays
	Proxies  domain.Proxies
	Verifier *Verifier
	// SignIn signs in those who look at pages; nil where nobody does, because other pages bring a token with them.
	SignIn SignIn
	// Development makes tokens for whoever asks, and a page to choose on. It is nil anywhere but in development.
	Development func(Claims, time.Duration) (token string, err error)
	// AllowOrigins are those whose pages may show dashboards, as "https://shop.example".
	AllowOrigins []string
	// Log gets one line for each request: reads that went well at level debug, as there may be 100,000 a second, all
	// else at info. Lines name no customer, and hold nothing of a body or a token. What went wrong inside is logged with
	// its cause, at level warn if trying again may help and error if not.
	Log *slog.Logger
	Now func() time.Time
	// NewRequestID names a request whose caller did not, with a valid id.
	NewRequestID func() string
	// Status gathers all of the process's status but whether it is ready, what it counts, and the time. It is given 2 s. Without it
	// there is no status to look at.
	Status func(context.Context) Status
	// Ready says why this process should not be sent requests now, nil if it should. It is given 2 s.
	Ready func(context.Context) error
	// Limits bound what callers may ask for.
	Limits Limits
	// Metrics gets the metrics of the requests, and is what /metrics shows.
	Metrics *prometheus.Registry
}

// Server answers HTTP requests. It may be used from many goroutines at once, and has none of its own between requests.
type Server struct {
	config  Config
	echo    *echo.Echo
	auth    *auth.Authenticator
	metrics *metrics
	shared  shared
	files   *web.Pages

	admission *admission.Admission
	gated     gated
	lines     *prometheus.CounterVec
	looked    lookedAt
	pages     *pages
	// stopping ends when Stop is called.
	stopping context.Context
	stop     context.CancelFunc
}

// New makes a Server. It fails where the configuration is incomplete or its Limits are wrong, or Metrics holds the same
// metrics already.
func New(config Config) (*Server, error) {
	switch {
	case config.Verifier == nil, config.Log == nil, config.Now == nil, config.NewRequestID == nil, config.Ready == nil, config.Metrics == nil:
		return nil, errors.New("api: the configuration is incomplete")
	case (config.Leaderboard != nil || config.Finder != nil || config.History != nil) && config.Proxies == domain.Proxies{}:
		return nil, errors.New("api: a leaderboard, a history and a search need proxies")
	case (config.Finder != nil || config.Auditor != nil || config.Earner != nil) && config.Ledger == nil:
		return nil, errors.New("api: a search, an audit and earnings need the ledger")
	}
	metrics, err := newMetrics(config.Metrics)
	if err != nil {
		return nil, err
	}
	// Only dashboards are read by a customer's key.
	var keys domain.Proxies
	if config.Leaderboard != nil {
		keys = config.Proxies
	}
	s := &Server{config: config, echo: echo.New(), auth: auth.NewAuthenticator(config.Verifier, keys), metrics: metrics}
	if s.admission, err = admission.New(config.Limits, config.Metrics); err != nil {
		return nil, err
	}
	if s.lines, err = newLineCounter(config.Metrics, metrics.counted); err != nil {
		return nil, err
	}
	if s.pages, err = newPages(config.Limits.WithDefaults().LivePages, config.Metrics); err != nil {
		return nil, err
	}
	s.gated = gated{config.Commands, config.Reveals, s.admission.Writes}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Use(s.around)
	s.allowOrigins(config.AllowOrigins)
	for _, r := range routes {
		if r.needs(config) {
			s.echo.Add(r.method, r.path, s.guard(r))
		}
	}
	if err := s.addPages(); err != nil {
		return nil, err
	}
	return s, nil
}

// ServeHTTP answers a request to the public address. How long a client may take to send a request or to read an answer
// is for the http.Server around it to bound.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Stop ends batches in order: what was read of them is carried out and answered, and nothing more is read. It ends live pages
// too, whose readers come back elsewhere, and what-ifs. Other requests go on. It is for http.Server's RegisterOnShutdown.
func (s *Server) Stop() { s.stop() }
