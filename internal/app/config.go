// Package app is what a process is made of: its configuration, stores, roles, projection runners, seasons, brokers and HTTP servers, and how
// it starts and stops. Adapters are chosen here, by connection strings; nothing above knows which is in use.
package app

import (
	"time"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/auth/keys"
	"loyalty/api/web"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/eventstore/embedded"
)

// Roles are what a process does: take orders (Command), answer dashboards and trails (Query), keep the ledger and a shared leaderboard
// (Project).
type Roles struct{ Command, Query, Project bool }

// names are the roles as the roles flag and the status name them.
func (r Roles) names() (names []string) {
	for _, role := range []struct {
		name string
		has  bool
	}{{"command", r.Command}, {"query", r.Query}, {"project", r.Project}} {
		if role.has {
			names = append(names, role.name)
		}
	}
	return names
}

// Config is what a process is made of. Roles, Connections, Addr, AdminAddr, EventStore.Logger and Secrets are needed.
type Config struct {
	Roles
	Connections
	Brokers
	// Addr and AdminAddr are the addresses of the API and of what operators ask for; port 0 picks one.
	Addr, AdminAddr string
	Calendar        season.Calendar // of the leaderboards beside the one of all time
	// History is the folder in which this process keeps how the leaderboard stood at any time. Empty: it keeps none.
	History string
	// Boards is the folder in which this process keeps its leaderboards in memory, every BoardsEvery and when it stops. Empty: it keeps none.
	Boards      string
	BoardsEvery time.Duration
	// EventStore are the options of an embedded event store; its Logger is that of the whole process. With Exclusive it is an error
	// (embedded.ErrInUse) if another process serves that event store.
	EventStore embedded.Options
	Exclusive  bool
	// Development makes tokens for whoever asks; nil in production.
	Development func(auth.Claims, time.Duration) (string, error)
	// NoSignIn is what people are told where nobody signs in; empty for the usual.
	NoSignIn     string
	AllowOrigins []string             // origins whose pages may show dashboards
	SignIn       web.IdentityProvider // nil where nobody signs in to pages
	PublicURL    string               // the origin at which browsers find the pages; empty if it isn't known
	// NoWhatIf has a process with the query role answer no what-ifs.
	NoWhatIf bool
	// Limits bound what callers may ask for at once.
	Limits admission.Limits
	// MaxOrderPoints and MaxAdjustmentPoints are as in commands.Options.
	MaxOrderPoints, MaxAdjustmentPoints domain.Points
	// Drain is how long a process that is to stop is not ready and answers all the same, so that balancers send it nothing more before its
	// listeners close. An interrupt or SIGTERM within that time ends it.
	Drain time.Duration
	// Secrets is called once the event store is open, whose lock tells that no other process uses the folder.
	Secrets func() (domain.Proxies, *auth.Verifier, error)
	// Keys are those that the verifier and SignIn use, which the process reads; nil where tokens are signed with a secret.
	Keys *keys.Set
	// Started is called once requests are answered. What it returns is called when the process stops, before anything else is
	// stopped. It may be nil.
	Started func(Addresses) (beforeStop func() error)
}

// ConfigError is a mistake in the configuration of a process. Its text says what to do in terms of flags and environment variables.
type ConfigError struct{ error }

// Unwrap is the error that the mistake leads to.
func (e ConfigError) Unwrap() error { return e.error }
