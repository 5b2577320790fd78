package problem

import (
	"errors"
	"fmt"

	"loyalty/domain"
)

// What can be wrong with a request besides what packages domain and strictjson have words for.
var (
	ErrTokenMissing     = fmt.Errorf("%w: no token", domain.ErrUnauthenticated)
	ErrTokenMalformed   = fmt.Errorf("%w: not a bearer token", domain.ErrUnauthenticated)
	ErrTokenExpired     = fmt.Errorf("%w: the token has expired", domain.ErrUnauthenticated)
	ErrCrossOrigin      = errors.New("the request comes from a page of another site")
	ErrRouteNotFound    = errors.New("there is no such route")
	ErrMethodNotAllowed = errors.New("the route does not have this method")
	ErrContentType      = errors.New("the body is not of the content type that is wanted")
	ErrRateLimited      = errors.New("the client asks more often than it may")
	ErrTooMuchAtOnce    = errors.New("the client has too much under way")
	ErrOverloaded       = errors.New("too much is under way")
	ErrClientGone       = errors.New("the client has gone")
	ErrNoHistory        = errors.New("no history is kept here")
)
