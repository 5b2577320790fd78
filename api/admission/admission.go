// Package admission says how much is done at once, and for whom how often: what is too much is rejected, 503 for the system's limits and
// 429 for those of one client.
package admission

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// historyQueue is how many questions about the past wait for each that is worked on, and historyTimeout how long: half of the time
	// that a request has, because the other half is for the work.
	historyQueue   = 8
	historyTimeout = 5 * time.Second
)

// maxWhatIfs is how many what-ifs are worked on at once, as each holds a part of every customer in memory.
const maxWhatIfs = 1

// Admission is what one server admits. It may be used from many goroutines at once.
type Admission struct {
	Writes *Writes
	// History bounds the questions about the past, and WhatIfs those about another policy.
	History, WhatIfs *Semaphore
	// WriteRates and ReadRates are nil where nobody has a rate.
	WriteRates, ReadRates *Rates
}

// New makes an Admission whose metrics are in registry. It fails where the limits are wrong or registry has these metrics already.
func New(l Limits, registry *prometheus.Registry) (*Admission, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	l = l.WithDefaults()
	a := &Admission{WriteRates: NewRates(l.WriteRates), ReadRates: NewRates(l.ReadRates)}
	var err error
	if a.Writes, err = newWrites(l.Writes, l.Batches, registry); err != nil {
		return nil, err
	}
	a.History, err = NewSemaphore("history_reads", "Questions about the past", l.History, historyQueue*l.History, historyTimeout, registry)
	if err != nil {
		return nil, err
	}
	a.WhatIfs, err = NewSemaphore("what_ifs", "What-ifs", maxWhatIfs, 0, 0, registry)
	return a, err
}
