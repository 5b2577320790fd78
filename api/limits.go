package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"loyalty/domain"
)

// Limits bound what callers may ask for. The zero Limits are the defaults.
type Limits struct {
	// Writes is how many writes are carried out at once; as many more wait for a moment, and what comes then is refused as
	// overloaded. Lines of batches get at most half of it. 0 is DefaultWrites.
	Writes int
	// Batches is how many batches are taken at once; what comes then is refused as overloaded. 0 is DefaultBatches.
	Batches int
	// History is how many questions about the past are worked on at once, each of which takes time in proportion to the number
	// of customers; eight times as many wait for a while, and what comes then is refused as overloaded. 0 is DefaultHistory.
	History int
	// LivePages is how many live dashboards are open at once; what comes then is refused as overloaded. 0 is DefaultLivePages.
	LivePages int
	// WriteRates and ReadRates are how many writes and reads a second one client may make, by the kind of client: customer,
	// support, analyst, or the channel of one (website, mobile, store). A kind that is absent or has 0 may make any number. For a second
	// a client may make all of a second's at once, and at least one.
	WriteRates, ReadRates map[string]float64
	// Adjustments are the most points that a role may give or take alone, support or channel; more waits for a second person. A role
	// that is absent or has 0 has no limit.
	Adjustments map[Role]domain.Points
}

// The limits where none are given. At 4,000 orders a second 512 writes are what comes in an eighth of a second: a store that
// pauses for less refuses nobody, and one that takes longer is soon not asked for more.
const (
	DefaultWrites  = 512
	DefaultBatches = 32
	DefaultHistory = 2
	// DefaultLivePages take less than 1 GB.
	DefaultLivePages = 20_000
)

// As many times more than are worked on wait for a turn to look back, for half the time that a request has: the other half is for
// the work.
const (
	historyQueue    = 8
	historyPatience = requestTimeout / 2
)

// kindsOfClients are the keys of rates.
var kindsOfClients = []string{
	string(RoleCustomer), string(RoleSupport), string(RoleAnalyst), string(domain.Website), string(domain.Mobile), string(domain.Store),
}

// Check says what is wrong with the limits: a number below 0, a rate that is no number, or one for a kind of client or a role
// that there is not.
func (l Limits) Check() error {
	if l.Writes < 0 || l.Batches < 0 || l.History < 0 || l.LivePages < 0 {
		return domain.Invalid("limits", "limit_out_of_range", "how many writes, batches, questions about the past and live pages are taken at once must not be negative")
	}
	for role, points := range l.Adjustments {
		if role != RoleSupport && role != RoleChannel {
			return domain.Invalid(string(role), "role_unknown", "adjustments are made by support and channel")
		}
		if points < 0 || points > domain.MaxTotal {
			return domain.Invalid(string(role), "limit_out_of_range", fmt.Sprintf("a limit of points is 0 to %d", domain.MaxTotal))
		}
	}
	for _, rates := range []map[string]float64{l.WriteRates, l.ReadRates} {
		for kind, perSecond := range rates {
			if !slices.Contains(kindsOfClients, kind) {
				return domain.Invalid(kind, "client_unknown", "rates are for "+strings.Join(kindsOfClients, ", "))
			}
			if !(perSecond >= 0 && perSecond <= math.MaxInt32) {
				return domain.Invalid(kind, "rate_out_of_range", "a rate is a number of requests per second, 0 for any")
			}
		}
	}
	return nil
}

// limit puts limits around what the server does.
func (s *Server) limit(l Limits) error {
	if err := l.Check(); err != nil {
		return err
	}
	writes, batches, past := cmp.Or(l.Writes, DefaultWrites), cmp.Or(l.Batches, DefaultBatches), cmp.Or(l.History, DefaultHistory)
	gate, err := newGate(writes, s.config.Metrics)
	if err == nil {
		err = s.metrics.counted.Register(gate.answered)
	}
	if err != nil {
		return err
	}
	s.lookingBack, err = newTurns("history_reads", "Questions about the past", past, historyQueue*past, historyPatience, s.config.Metrics)
	if err != nil {
		return err
	}
	if s.replaying, err = newTurns("what_ifs", "What-ifs", whatIfs, 0, 0, s.config.Metrics); err != nil {
		return err
	}
	if s.pages, err = newPages(cmp.Or(l.LivePages, DefaultLivePages), s.config.Metrics); err != nil {
		return err
	}
	s.gated, s.batches = gated{s.config.Commands, s.config.Reveals, gate}, make(chan struct{}, batches)
	s.writeRates, s.readRates = newRates(l.WriteRates), newRates(l.ReadRates)
	s.stopping, s.stop = context.WithCancel(context.Background())
	return nil
}

// rate is the refusal of a caller who asks a route more often than they may, nil for others.
func (s *Server) rate(r route, caller Claims) error {
	switch {
	case r.byLine:
		return nil
	case r.method == http.MethodGet:
		return s.readRates.take(caller, s.config.Now)
	}
	return s.writeRates.take(caller, s.config.Now)
}

// rateLimited is the refusal of a client that asks more often than it may.
type rateLimited struct {
	// after is when the next request would be taken.
	after time.Duration
}

func (e rateLimited) Error() string {
	return fmt.Sprintf("%v: try again in %s", errRateLimited, e.after)
}

// Is makes errors.Is(err, errRateLimited) true.
func (e rateLimited) Is(target error) bool { return target == errRateLimited }

// seconds is after as Retry-After has it: whole seconds, rounded up.
func (e rateLimited) seconds() int64 {
	return max(1, int64(math.Ceil(e.after.Seconds())))
}
