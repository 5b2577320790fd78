package domain

import (
	"fmt"
	"time"
)

// LaterError is an error that passes, with how long to wait before trying again.
type LaterError struct {
	Err error
	// After is from now; more than 0.
	After time.Duration
}

// Later makes a *LaterError.
func Later(err error, after time.Duration) error { return &LaterError{err, after} }

// Error says how long to wait.
func (e *LaterError) Error() string { return fmt.Sprintf("%v: try again in %s", e.Err, e.After) }

// Unwrap returns Err.
func (e *LaterError) Unwrap() error { return e.Err }
