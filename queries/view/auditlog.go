package view

import (
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// AuditRecord is a record of the audit log in JSON.
type AuditRecord struct {
	EventID     string            `json:"eventId"`
	Kind        ledger.AuditKind  `json:"kind"`
	CustomerID  domain.CustomerID `json:"customerId"`
	LoyaltyID   domain.LoyaltyID  `json:"loyaltyId,omitempty"`
	Points      domain.Points     `json:"points,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Route       string            `json:"route,omitempty"`
	Actor       string            `json:"actor"`
	Correlation string            `json:"correlationId,omitempty"`
	OccurredAt  time.Time         `json:"occurredAt"`
	Position    domain.Position   `json:"position"`
	// Decided is nil for every kind but a request.
	Decided *bool `json:"decided,omitempty"`
}

// AuditRecordsOf converts records; none are an empty list.
func AuditRecordsOf(records []ledger.AuditRecord) []AuditRecord {
	converted := make([]AuditRecord, len(records))
	for i, r := range records {
		converted[i] = AuditRecord{
			EventID: r.EventID, Kind: r.Kind, CustomerID: r.Customer, LoyaltyID: r.Loyalty, Points: r.Points, Reason: r.Reason,
			Route: r.Route, Actor: r.Actor, Correlation: r.Correlation, OccurredAt: r.OccurredAt.UTC(), Position: r.Position,
		}
		if r.Kind == ledger.Requested {
			converted[i].Decided = &r.Decided
		}
	}
	return converted
}

// Approval is a requested adjustment that waits for a second person, in JSON.
type Approval struct {
	CustomerID  domain.CustomerID `json:"customerId"`
	LoyaltyID   domain.LoyaltyID  `json:"loyaltyId"`
	Points      domain.Points     `json:"points"`
	Reason      string            `json:"reason"`
	RequestedBy string            `json:"requestedBy"`
	OccurredAt  time.Time         `json:"occurredAt"`
	Position    domain.Position   `json:"position"`
}

// ApprovalsOf converts requests; none are an empty list.
func ApprovalsOf(requests []ledger.AuditRecord) []Approval {
	converted := make([]Approval, len(requests))
	for i, r := range requests {
		converted[i] = Approval{
			CustomerID: r.Customer, LoyaltyID: r.Loyalty, Points: r.Points, Reason: r.Reason, RequestedBy: r.Actor,
			OccurredAt: r.OccurredAt.UTC(), Position: r.Position,
		}
	}
	return converted
}
