// Package admission says how much is done at once, and for whom how often: what is too much is rejected, 503 for the system's limits and
// 429 for those of one client.
package admission

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/auth"
)

const (
	// pastQueue is how many questions about the past wait for each that is worked on, and pastTimeout how long: half of the time that a
	// request has, because the other half is for the work. pastRetry is how long who is refused is told to wait.
	pastQueue   = 8
	pastTimeout = 5 * time.Second
	pastRetry   = 10 * time.Second
)

// liveRetry is how long a page that may not be live is told to wait. It reads its dashboard as often.
const liveRetry = 30 * time.Second

// maxWhatIfs is how many what-ifs are worked on at once, as each holds a part of every customer in memory.
const maxWhatIfs = 1

// Admission is what one server admits. It may be used from many goroutines at once.
type Admission struct {
	Writes *Writes
	// Past bounds the questions about the past by the role that asks, each of which takes time in proportion to the number of customers. A
	// subject has one at work, so that none has all turns of its role.
	Past map[auth.Role]*Semaphore
	// Live bounds the live streams that are open.
	Live *Semaphore
	// WhatIfs bounds the questions about another policy.
	WhatIfs *Semaphore
	// WriteRates and ReadRates are nil where nobody has a rate.
	WriteRates, ReadRates *Rates
	// Returns bound how many people come back from the identity provider, which is asked about each.
	Returns *Addresses
}

// New makes an Admission whose metrics are in registry. It fails where the limits are wrong or registry has these metrics already.
func New(l Limits, registry *prometheus.Registry) (*Admission, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	l = l.WithDefaults()
	a := &Admission{Past: make(map[auth.Role]*Semaphore), WriteRates: NewRates(l.WriteRates), ReadRates: NewRates(l.ReadRates), Returns: newAddresses(l.SignIns)}
	var err error
	if a.Writes, err = newWrites(l, registry); err != nil {
		return nil, err
	}
	for _, role := range []auth.Role{auth.RoleSupport, auth.RoleAnalyst} {
		a.Past[role], err = NewSemaphore("history_reads", "Questions about the past", prometheus.Labels{"role": string(role)}, Bounds{
			Slots: l.History, OfSubject: 1, Queue: pastQueue * l.History, Patience: pastTimeout, RetryAfter: pastRetry,
		}, registry)
		if err != nil {
			return nil, err
		}
	}
	a.Live, err = NewSemaphore("live_pages", "Live pages", nil, Bounds{
		Slots: l.LiveStreams, OfSubject: min(l.LiveStreams, l.LiveStreamsOfSubject), RetryAfter: liveRetry,
	}, registry)
	if err != nil {
		return nil, err
	}
	a.WhatIfs, err = NewSemaphore("what_ifs", "What-ifs", nil, Bounds{Slots: maxWhatIfs, OfSubject: maxWhatIfs, RetryAfter: time.Minute}, registry)
	return a, err
}
