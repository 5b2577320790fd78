package flags

import (
	"errors"

	"loyalty/internal/app"
)

// usageError is a mistake in how the program was called.
type usageError struct{ error }

// Unwrap is the mistake itself.
func (e usageError) Unwrap() error { return e.error }

// Usage marks err as a mistake in how the program was called.
func Usage(err error) error { return usageError{err} }

// IsUsage tells whether err is such a mistake, in a flag or in what the flags together configure.
func IsUsage(err error) bool {
	var called usageError
	var config app.ConfigError
	return errors.As(err, &called) || errors.As(err, &config)
}
