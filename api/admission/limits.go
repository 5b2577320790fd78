package admission

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"loyalty/api/auth"
	"loyalty/domain"
)

// Limits bound what callers may ask for. The zero Limits are the defaults.
type Limits struct {
	// Writes is how many writes are carried out at once. As many more wait for up to a second; the rest is refused. Lines of batches get at
	// most half of it, and so does one subject. 0 is DefaultWrites.
	Writes int
	// Batches is how many batches are read at once, and BatchesOfSubject how many of one subject; the rest is refused. 0 is DefaultBatches
	// and DefaultBatchesOfSubject.
	Batches, BatchesOfSubject int
	// History is how many questions about the past are worked on at once for support, and again for analysts, one for each subject. Eight
	// times as many wait for up to 5 seconds; the rest is refused. 0 is DefaultHistory.
	History int
	// LiveStreams is how many live streams of dashboards are open at once, and LiveStreamsOfSubject how many of one subject; the rest is
	// refused. 0 is DefaultLiveStreams and DefaultLiveStreamsOfSubject.
	LiveStreams, LiveStreamsOfSubject int
	// WriteRates and ReadRates are how many writes and reads per second one client may make, by the kind of client: customer, support,
	// analyst, or the channel of one (website, mobile, store). A kind with 0 may make any number, and one that is absent what is in
	// DefaultWriteRates and DefaultReadRates. A client may make the requests of one second all at once, and at least one.
	WriteRates, ReadRates map[string]float64
	// SignIns is how many people per second may come back from the identity provider, and half of it how many from one network address. 0 is
	// DefaultSignIns.
	SignIns float64
	// Adjustments are the most points that somebody of a role, support or channel, may give or take alone; more waits for a second person.
	// A role with 0 has no limit, and one that is absent what is in DefaultAdjustments.
	Adjustments map[auth.Role]domain.Points
	// AdjustmentsOfDay are the same for all that somebody gives or takes alone on a day in UTC. They are for support, who are people: of a
	// channel each adjustment is bounded, and not their sum. Defaults are DefaultAdjustmentsOfDay.
	AdjustmentsOfDay map[auth.Role]domain.Points
}

// The default limits. At 4,000 orders per second 512 writes arrive in an eighth of a second: nothing is rejected while a store pauses for
// less, and a store that is slower soon gets no more writes.
const (
	DefaultWrites           = 512
	DefaultBatches          = 32
	DefaultBatchesOfSubject = 4
	DefaultHistory          = 2
	// DefaultLiveStreams take less than 1 GB.
	DefaultLiveStreams          = 20_000
	DefaultLiveStreamsOfSubject = 10
	// DefaultSignIns are as many as an identity provider surely takes.
	DefaultSignIns = 20
)

// DefaultWriteRates and DefaultReadRates are more than a person or a page makes, and much less than a loop. A website or an app makes the
// requests of a whole shop, and has none.
func DefaultWriteRates() map[string]float64 {
	return map[string]float64{"customer": 2, "support": 10, "analyst": 2, "store": 50}
}

// DefaultReadRates are beside DefaultWriteRates. A page makes a handful of reads when it opens.
func DefaultReadRates() map[string]float64 {
	return map[string]float64{"customer": 20, "support": 50, "analyst": 20}
}

// DefaultAdjustments are for support: £5,000 spent. A channel adjusts by rules that the shop has given it.
func DefaultAdjustments() map[auth.Role]domain.Points {
	return map[auth.Role]domain.Points{auth.RoleSupport: 500}
}

// DefaultAdjustmentsOfDay are beside DefaultAdjustments.
func DefaultAdjustmentsOfDay() map[auth.Role]domain.Points {
	return map[auth.Role]domain.Points{auth.RoleSupport: 2000}
}

// NoRates let every client make any number of requests.
func NoRates() map[string]float64 {
	none := make(map[string]float64)
	for _, kind := range kindsOfClients {
		none[kind] = 0
	}
	return none
}

// kindsOfClients are the keys of WriteRates and ReadRates.
var kindsOfClients = []string{
	string(auth.RoleCustomer), string(auth.RoleSupport), string(auth.RoleAnalyst), string(domain.Website), string(domain.Mobile), string(domain.Store),
}

// WithDefaults is l with the defaults for the limits that are 0.
func (l Limits) WithDefaults() Limits {
	l.Writes = cmp.Or(l.Writes, DefaultWrites)
	l.Batches, l.BatchesOfSubject = cmp.Or(l.Batches, DefaultBatches), cmp.Or(l.BatchesOfSubject, DefaultBatchesOfSubject)
	l.History = cmp.Or(l.History, DefaultHistory)
	l.LiveStreams = cmp.Or(l.LiveStreams, DefaultLiveStreams)
	l.LiveStreamsOfSubject = cmp.Or(l.LiveStreamsOfSubject, DefaultLiveStreamsOfSubject)
	l.SignIns = cmp.Or(l.SignIns, DefaultSignIns)
	l.WriteRates, l.ReadRates = over(DefaultWriteRates(), l.WriteRates), over(DefaultReadRates(), l.ReadRates)
	l.Adjustments, l.AdjustmentsOfDay = over(DefaultAdjustments(), l.Adjustments), over(DefaultAdjustmentsOfDay(), l.AdjustmentsOfDay)
	return l
}

// over are the defaults with what was set in their place.
func over[K comparable, V any](defaults, set map[K]V) map[K]V {
	maps.Copy(defaults, set)
	return defaults
}

// Check returns domain.ErrInvalid for a negative limit, a rate that is not a number, and an unknown kind of client or role.
func (l Limits) Check() error {
	if l.Writes < 0 || l.Batches < 0 || l.BatchesOfSubject < 0 || l.History < 0 || l.LiveStreams < 0 || l.LiveStreamsOfSubject < 0 {
		return domain.Invalid("limits", "limit_out_of_range", "how many writes, batches, questions about the past and live pages are taken at once must not be negative")
	}
	if !(l.SignIns >= 0 && l.SignIns <= math.MaxInt32) {
		return domain.Invalid("signIns", "rate_out_of_range", "how many people sign in per second is a number above 0")
	}
	if err := cmp.Or(
		checkPoints(l.Adjustments, "adjustments are made by support and channel", auth.RoleSupport, auth.RoleChannel),
		checkPoints(l.AdjustmentsOfDay, "only support has a limit for a day: channels are machines", auth.RoleSupport),
	); err != nil {
		return err
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

func checkPoints(limits map[auth.Role]domain.Points, roles string, known ...auth.Role) error {
	for role, points := range limits {
		if !slices.Contains(known, role) {
			return domain.Invalid(string(role), "role_unknown", roles)
		}
		if points < 0 || points > domain.MaxChange {
			return domain.Invalid(string(role), "limit_out_of_range", fmt.Sprintf("a limit of points is 0 to %d", domain.MaxChange))
		}
	}
	return nil
}
