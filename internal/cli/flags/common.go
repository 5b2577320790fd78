package flags

import (
	"errors"
	"strings"
	"time"

	"loyalty/commands"
	"loyalty/domain"
)

// Format say how what was found is printed, instead of as a table.
type Format struct {
	JSON bool `name:"json" help:"Print JSON, one object a line." xor:"format"`
	CSV  bool `name:"csv" help:"Print CSV with a heading." xor:"format"`
}

// Caller says on whose behalf something is done that is noted for ever.
type Caller struct {
	Actor string `help:"Who you are, for whoever audits this later: an id such as that in your token." env:"LOYALTY_ACTOR,USER" placeholder:"NAME"`
}

func (f Caller) Parse() (commands.Caller, error) {
	actor, err := domain.ParseID[string]("--actor", f.Actor)
	return commands.Caller{Actor: actor}, err
}

// CheckReason refuses a --reason that no event could carry.
func CheckReason(text string) error {
	if strings.TrimSpace(text) == "" {
		return domain.Invalid("--reason", "reason_missing", "say why, for whoever audits this later")
	}
	return domain.CheckText("--reason", "reason", text, domain.MaxReasonLength)
}

// Time is a flag's time.
type Time struct{ time.Time }

// UnmarshalText reads a time with its zone, or a day, which begins at midnight UTC.
func (m *Time) UnmarshalText(text []byte) error {
	var ok bool
	if m.Time, _, ok = domain.ParseTime(string(text)); ok {
		return nil
	}
	return errors.New("this must be a time such as 2026-11-22T09:30:00Z, or a day such as 2026-11-22")
}
