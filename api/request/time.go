package request

import (
	"net/url"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/history"
)

// TimeRange reads the times that bound a list, from and until. One that is not given is zero.
func TimeRange(values url.Values) (from, until time.Time, _ error) {
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

// RequiredMoment reads a moment that must be given. missing says what to do about one that is not there; where the query is malformed,
// which badQuery says, nobody can tell.
func RequiredMoment(values url.Values, badQuery error, name, missing string) (history.Moment, error) {
	switch text := values.Get(name); {
	case badQuery != nil:
		return history.Moment{}, nil
	case text == "":
		return history.Moment{}, domain.Invalid(name, "moment_missing", missing)
	default:
		return Moment(name, text)
	}
}

// Moment reads a point in the past: a time, a day, or a position. The error's code is moment_malformed.
func Moment(name, text string) (history.Moment, error) {
	if position, err := domain.ParsePosition(name, text); err == nil {
		return history.Moment{Position: position}, nil
	}
	if moment, _, ok := domain.ParseTime(text); ok {
		return history.Moment{Time: moment}, nil
	}
	return history.Moment{}, domain.Invalid(name, "moment_malformed",
		"this must be a time such as 2026-11-22T09:30:00Z, a day such as 2026-11-22, or the position of an earlier answer")
}
