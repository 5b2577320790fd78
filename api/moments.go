package api

import (
	"net/url"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/history"
)

// fromUntil reads the times that bound a list; one that the reader does not give is zero.
func fromUntil(values url.Values) (from, until time.Time, _ error) {
	var errs []error
	for name, bound := range map[string]*time.Time{"from": &from, "until": &until} {
		text, ok := values.Get(name), false
		if text == "" {
			continue
		}
		if *bound, _, ok = domain.ParseTime(text); !ok {
			errs = append(errs, domain.Invalid(name, "time_malformed",
				"this must be a time such as 2026-11-22T09:30:00Z, or a day such as 2026-11-22"))
		}
	}
	return from, until, domain.JoinInvalid(errs...)
}

// momentAsked reads the moment that a question can't do without. missing is what to do about one that is not there, which nobody can tell of
// a malformed query.
func momentAsked(values url.Values, badQuery error, name, missing string) (history.Moment, error) {
	switch text := values.Get(name); {
	case badQuery != nil:
		return history.Moment{}, nil
	case text == "":
		return history.Moment{}, domain.Invalid(name, "moment_missing", missing)
	default:
		return parseMoment(name, text)
	}
}

// parseMoment reads a point in the past: a time, a day, or a position.
func parseMoment(name, text string) (history.Moment, error) {
	if position, err := domain.ParsePosition(name, text); err == nil {
		return history.Moment{Position: position}, nil
	}
	if moment, _, ok := domain.ParseTime(text); ok {
		return history.Moment{Time: moment}, nil
	}
	return history.Moment{}, domain.Invalid(name, "moment_malformed",
		"this must be a time such as 2026-11-22T09:30:00Z, a day such as 2026-11-22, or the position of an earlier answer")
}
