// Package domain holds the rules of the loyalty programme: money, points, the earning policy, proxy names, ids, and
// the vocabulary of errors. It is pure: the standard library only, no I/O, no clock, no randomness. The deciders are in
// its packages order and account.
package domain

import "time"

// Event is a fact that was recorded. Once stored it never changes, and applying one cannot fail.
type Event interface {
	// EventType is the name it is stored under, with its version: "points-awarded.v1". Never a Go type's name.
	EventType() string
	// Customer is whom it concerns.
	Customer() CustomerID
	// Occurred is when it happened, UTC, as its command said.
	Occurred() time.Time
}

// About is what every event carries.
type About struct {
	CustomerID CustomerID `json:"customerId"`
	OccurredAt time.Time  `json:"occurredAt"`
}

// Customer is whom the event concerns.
func (a About) Customer() CustomerID { return a.CustomerID }

// Occurred is when the event happened.
func (a About) Occurred() time.Time { return a.OccurredAt }
