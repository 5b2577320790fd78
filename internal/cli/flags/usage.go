package flags

import (
	"errors"

	"loyalty/internal/app"
)

// usageError is a mistake in how the program was called: exit status 2.
type usageError struct{ error }

// Unwrap is the error that was marked.
func (e usageError) Unwrap() error { return e.error }

// Usage marks err as a usage error: a mistake in how the program was called.
func Usage(err error) error { return usageError{err} }

// IsUsage tells whether err is a usage error or an app.ConfigError.
func IsUsage(err error) bool {
	var called usageError
	var config app.ConfigError
	return errors.As(err, &called) || errors.As(err, &config)
}
