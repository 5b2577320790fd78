// Package flags has the flags that several commands share, as structs for kong, and what they stand for.
package flags

import (
	"errors"
	"time"

	"loyalty/commands"
	"loyalty/domain"
)

// Format are the flags for the format of results. Without them results are a table.
type Format struct {
	JSON bool `name:"json" help:"Print JSON, one object a line." xor:"format"`
	CSV  bool `name:"csv" help:"Print CSV with a heading." xor:"format"`
}

// Caller is the flag for the person on whose behalf something is appended.
type Caller struct {
	Actor string `help:"Who you are, for whoever audits this later: an id such as that in your token." env:"LOYALTY_ACTOR,USER" placeholder:"NAME"`
}

// Parse returns the caller of commands, or domain.ErrInvalid.
func (f Caller) Parse() (commands.Caller, error) {
	actor, err := domain.ParseActor("--actor", f.Actor)
	return commands.Caller{Actor: actor, Issuer: domain.Staff}, err
}

// Time is a flag with a time.
type Time struct{ time.Time }

// UnmarshalText reads a time with its zone, or a day, which is midnight UTC.
func (m *Time) UnmarshalText(text []byte) error {
	var ok bool
	if m.Time, _, ok = domain.ParseTime(string(text)); ok {
		return nil
	}
	return errors.New("this must be a time such as 2026-11-22T09:30:00Z, or a day such as 2026-11-22")
}
