// Package api is the system over HTTP. It is composed of rooms, a package of handlers for each kind of caller, and holds what they have in
// common: the routes and who may call them, what surrounds every request, and how errors are answered (RFC 9457). It decides nothing
// itself: writes go to commands, reads to the read models. The contract is docs/openapi.yaml, which its tests check every answer against.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/accounts"
	"loyalty/api/admin"
	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/dashboards"
	"loyalty/api/orders"
	"loyalty/api/past"
	"loyalty/api/request"
	"loyalty/api/staff"
	"loyalty/api/web"
	"loyalty/domain"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// Commands carries out what callers ask for, from many goroutines at once. A commands.Handler does.
type Commands interface {
	orders.Commands
	accounts.Commands
}

// Config is what a Server works with. Commands, Leaderboard, Seasons, Ledger, Finder, Auditor, Earner, Evidence, Reveals, History
// and Replays may each be nil in a process that doesn't have them; the routes that need them are then absent. Finder, Auditor,
// Earner and Evidence need Ledger, Reveals needs Finder. All else must be set, Proxies only where Leaderboard, Finder or History is.
type Config struct {
	Commands    Commands
	Leaderboard leaderboard.Reader
	// Seasons are beside Leaderboard.
	Seasons dashboards.Seasons
	Ledger  ledger.Reader
	// Finder, Auditor and Earner are the same ledger: for search, for the audit log, and for what was earned when.
	Finder  ledger.Finder
	Auditor ledger.Auditor
	Earner  ledger.Earner
	// Views records which customers staff are shown, who are shown none without it.
	Views request.Views
	// Evidence is for explanations, which need Finder too.
	Evidence staff.Evidence
	Reveals  staff.Reveals
	// History is for what was: changes of rank, and dashboards and leaderboards as of a moment.
	History history.Reader
	// Replays is for what would have been.
	Replays  past.Replays
	Proxies  domain.Proxies
	Verifier *auth.Verifier
	// SignIn signs in those who look at pages; nil where nobody does, because other pages bring a token with them.
	SignIn web.IdentityProvider
	// PublicURL is the origin at which browsers find the pages, as "https://loyalty.example"; empty where it isn't known.
	PublicURL string
	// Development makes tokens for whoever asks, and a page to choose on. It is nil anywhere but in development.
	Development func(auth.Claims, time.Duration) (token string, err error)
	// NoSignIn is why nobody signs in where nobody does; see web.Handler.
	NoSignIn string
	// AllowOrigins are those whose pages may show dashboards, as "https://shop.example".
	AllowOrigins []string
	// Log gets one line for each request: reads that went well at level debug, as there may be 100,000 a second, all
	// else at info. Lines name no customer, and hold nothing of a body or a token. What went wrong inside is logged with
	// its cause, at level warn if trying again may help and error if not.
	Log *slog.Logger
	Now func() time.Time
	// NewRequestID names a request whose caller did not, with a valid id.
	NewRequestID func() string
	// Status and Ready are for operators, as in admin.Handler. Without Status there is no status to look at.
	Status func(context.Context) admin.Status
	Ready  map[string]func(context.Context) error
	// Limits bound what callers may ask for.
	Limits admission.Limits
	// Metrics gets the metrics of the requests, and is what /metrics shows.
	Metrics *prometheus.Registry
}

// check returns an error where the configuration is incomplete.
func (c *Config) check() error {
	switch {
	case c.Verifier == nil, c.Log == nil, c.Now == nil, c.NewRequestID == nil, len(c.Ready) == 0, c.Metrics == nil:
		return errors.New("api: the configuration is incomplete")
	case (c.Leaderboard != nil || c.Finder != nil || c.History != nil) && c.Proxies == domain.Proxies{}:
		return errors.New("api: a leaderboard, a history and a search need proxies")
	case (c.Finder != nil || c.Auditor != nil || c.Earner != nil) && c.Ledger == nil:
		return errors.New("api: a search, an audit and earnings need the ledger")
	}
	return nil
}

// Server answers HTTP requests. It may be used from many goroutines at once, and has none of its own between requests.
type Server struct {
	echo      *echo.Echo
	auth      *auth.Authenticator
	admission *admission.Admission
	metrics   *admin.RequestMetrics
	rooms     rooms
	files     *web.Pages
	status    bool
	proxies   domain.Proxies
	log       *slog.Logger
	now       func() time.Time
	ids       request.IDs
	stop      func()
}

// rooms are the handlers, by who asks for what.
type rooms struct {
	orders     *orders.Handler
	accounts   *accounts.Handler
	dashboards *dashboards.Handler
	past       *past.Handler
	staff      *staff.Handler
	admin      *admin.Handler
	web        *web.Handler
}

// New makes a Server. It fails where the configuration is incomplete or its Limits are wrong, or Metrics holds the same
// metrics already.
func New(c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Server{echo: echo.New(), proxies: c.Proxies, status: c.Status != nil, log: c.Log, now: c.Now, ids: c.NewRequestID}
	// Only dashboards are read by a customer's key.
	var keys domain.Proxies
	if c.Leaderboard != nil {
		keys = c.Proxies
	}
	s.auth = auth.NewAuthenticator(c.Verifier, keys, c.PublicURL)
	var err error
	if s.metrics, err = admin.NewRequestMetrics(c.Metrics); err != nil {
		return nil, err
	}
	if s.admission, err = admission.New(c.Limits, c.Metrics); err != nil {
		return nil, err
	}
	if s.files, err = web.Load(); err != nil {
		return nil, err
	}
	stopping, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.rooms = s.furnish(&c, stopping)
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Use(s.around)
	s.allowOrigins(c.AllowOrigins)
	for _, r := range s.rooms.routes(&c) {
		if r.has {
			s.echo.Add(r.method, r.path, s.guard(r))
		}
	}
	s.addPages(&c)
	return s, nil
}

// furnish gives each room the ports that it needs, and no others.
func (s *Server) furnish(c *Config, stopping context.Context) rooms {
	limits := c.Limits.WithDefaults()
	return rooms{
		orders: &orders.Handler{
			Commands: c.Commands, Writes: s.admission.Writes, Rates: s.admission.WriteRates, Lines: s.metrics.Lines,
			Log: c.Log, Now: c.Now, Accepts: s.auth.Accepts, Stopping: stopping,
		},
		accounts: &accounts.Handler{Commands: c.Commands, Writes: s.admission.Writes, Limits: limits.Adjustments, DayLimits: limits.AdjustmentsOfDay, Ledger: c.Ledger, Views: c.Views},
		dashboards: &dashboards.Handler{
			Leaderboard: c.Leaderboard, Seasons: c.Seasons, History: c.History, PastReads: s.admission.Past, Proxies: c.Proxies, Views: c.Views,
			Pages: s.admission.Live, Streams: dashboards.NewLiveStreams(), Log: c.Log, Now: c.Now, IDs: s.ids, Accepts: s.auth.Accepts, Stopping: stopping,
		},
		past: &past.Handler{
			History: c.History, Reads: s.admission.Past, Proxies: c.Proxies, Views: c.Views, Ledger: c.Ledger, Earner: c.Earner,
			Replays: c.Replays, WhatIfs: s.admission.WhatIfs, Now: c.Now, IDs: s.ids, Stopping: stopping,
		},
		staff: &staff.Handler{
			Ledger: c.Ledger, Finder: c.Finder, Auditor: c.Auditor, Proxies: c.Proxies, Evidence: c.Evidence, Reveals: c.Reveals, Views: c.Views,
			Writes: s.admission.Writes,
		},
		admin: &admin.Handler{
			Ready: c.Ready, Status: c.Status, Metrics: c.Metrics, Requests: s.metrics, LiveStreams: s.admission.Live.InFlight,
			Log: c.Log, Now: c.Now, IDs: s.ids,
		},
		web: &web.Handler{Auth: s.auth, Provider: c.SignIn, Returns: s.admission.Returns, Development: c.Development, NoSignIn: c.NoSignIn, Log: c.Log, Now: c.Now, IDs: s.ids},
	}
}

// ServeHTTP answers a request to the public address. How long a client may take to send a request or to read an answer
// is for the http.Server around it to bound.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Admin answers operators, as admin.Handler does, and has the page that shows the status. It belongs on an address that only they reach.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	s.rooms.admin.Register(mux)
	if s.status {
		mux.Handle("GET "+web.StatusPath, s.files)
		mux.Handle("GET "+web.AssetsPath, s.files)
	}
	return mux
}

// Stop ends batches in order: what was read of them is carried out and answered, and nothing more is read. It ends live streams too, whose
// readers come back elsewhere, and what-ifs. Other requests go on. It is for http.Server's RegisterOnShutdown.
func (s *Server) Stop() { s.stop() }
