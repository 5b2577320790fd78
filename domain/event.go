// Package domain holds the rules of the loyalty programme: money, points, the earning policy, proxy names, ids and errors. It is pure: only
// the standard library, no I/O, no clock, no randomness. The deciders are in the packages order and account.
package domain

import "time"

// Event is a recorded fact. Once stored, it never changes, and applying it can't fail.
type Event interface {
	// EventType is the stored name with its version: "points-awarded.v1". It does not depend on the Go type's name.
	EventType() string
	// Customer is the customer that the event concerns.
	Customer() CustomerID
	// Occurred is when it happened, UTC, from its command.
	Occurred() time.Time
}

// About has the fields of every event.
type About struct {
	CustomerID CustomerID `json:"customerId"`
	OccurredAt time.Time  `json:"occurredAt"`
}

// Customer is the customer that the event concerns.
func (a About) Customer() CustomerID { return a.CustomerID }

// Occurred is when the event happened.
func (a About) Occurred() time.Time { return a.OccurredAt }
