package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"loyalty/commands"
	"loyalty/domain"
)

// formatFlags say how what was found is printed, instead of as a table.
type formatFlags struct {
	JSON bool `name:"json" help:"Print JSON, one object a line." xor:"format"`
	CSV  bool `name:"csv" help:"Print CSV with a heading." xor:"format"`
}

// actorFlag says on whose behalf something is done that is noted for ever.
type actorFlag struct {
	Actor string `help:"Who you are, for whoever audits this later: an id such as that in your token." env:"LOYALTY_ACTOR,USER" placeholder:"NAME"`
}

func (f actorFlag) caller() (commands.Caller, error) {
	actor, err := domain.ParseID[string]("--actor", f.Actor)
	return commands.Caller{Actor: actor}, err
}

// checkReason refuses a --reason that no event could carry.
func checkReason(text string) error {
	if strings.TrimSpace(text) == "" {
		return domain.Invalid("--reason", "reason_missing", "say why, for whoever audits this later")
	}
	return domain.CheckText("--reason", "reason", text, domain.MaxReasonLength)
}

// looking opens the stores that are wanted beside the ledger for a piece of work, and brings the ledger up to date where nobody
// else does. What the work refuses as bad input was used wrongly.
func (f storeFlags) looking(ctx context.Context, want wanted, work func(stores) error) (err error) {
	want.ledger = true
	s, err := f.open(ctx, want)
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	if err == nil {
		err = f.catchUp(ctx, s)
	}
	if err == nil {
		err = work(s)
	}
	if errors.Is(err, domain.ErrInvalid) {
		err = usageError{err}
	}
	return err
}

// handler carries out commands that give and take no points.
func (s stores) handler() (*commands.Handler, error) {
	return commands.New(s.store, commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New})
}

// moment is a flag's time.
type moment struct{ time.Time }

// UnmarshalText reads a time with its zone, or a day, which begins at midnight UTC.
func (m *moment) UnmarshalText(text []byte) error {
	var ok bool
	if m.Time, _, ok = domain.ParseTime(string(text)); ok {
		return nil
	}
	return errors.New("this must be a time such as 2026-11-22T09:30:00Z, or a day such as 2026-11-22")
}

// dash is text in a table, where a dash stands for none.
func dash[T ~string](text T) string {
	if text == "" {
		return "-"
	}
	return string(text)
}

// utc writes a time for people, to the second.
func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }
