package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/api/request"
)

// IdentityProvider signs people in, from many goroutines at once. A signin.Provider does.
type IdentityProvider interface {
	// Begin sends the browser to the provider, which asks who it is with afresh even if it knows somebody. The browser comes back to Finish, and
	// then to the path to, which is one of ours.
	Begin(w http.ResponseWriter, r *http.Request, to string, afresh bool) error
	// Finish takes the browser's return: the token that is the session from now on, and the path it wanted.
	Finish(w http.ResponseWriter, r *http.Request) (token, to string, err error)
	// EndSession is where the browser is to go for the provider to end its own session of somebody; empty if there is no such place. It comes back
	// with the path to as state.
	EndSession(ctx context.Context, to string) (address string, err error)
}

// Handler opens and closes the sessions of people who look at pages. It may be used from many goroutines at once.
type Handler struct {
	Auth *auth.Authenticator
	// Provider is nil where nobody signs in, because other pages bring a token with them.
	Provider IdentityProvider
	// Returns bounds how many come back from the provider, each of whom makes us ask it.
	Returns *admission.Addresses
	// Development makes tokens for whoever asks. It is nil anywhere but in development.
	Development func(auth.Claims, time.Duration) (token string, err error)
	// NoSignIn is why nobody signs in where nobody does, and what to do; empty for what is always true.
	NoSignIn string
	Log      *slog.Logger
	Now      func() time.Time
	IDs      request.IDs
}
