// Package export writes the event history to files for analysis tools: Parquet, CSV or JSON lines, in a folder for each day. The
// same events give the same bytes.
package export

// The columns of an export, in order. A row is one event. A value that the event does not have is null in Parquet, empty in CSV and
// absent in JSON. Times are UTC: in Parquet microseconds with the logical type TIMESTAMP, elsewhere RFC 3339.
const (
	Commit        = "commit"          // int64, the event's position
	Prepare       = "prepare"         // int64, the other half of it
	Type          = "type"            // text: "points-awarded.v1"
	Stream        = "stream"          // text: "order-o1"
	Revision      = "revision"        // int64
	EventID       = "event_id"        // text, a UUID
	StoredAt      = "stored_at"       // time at which the event store stored it
	OccurredAt    = "occurred_at"     // time at which it happened
	CustomerID    = "customer_id"     // text
	Channel       = "channel"         // text: mobile, website, store
	Actor         = "actor"           // text
	OrderID       = "order_id"        // text
	ReturnID      = "return_id"       // text
	LoyaltyID     = "loyalty_id"      // text
	Currency      = "currency"        // text: GBP, EUR
	Amount        = "amount"          // int64, minor units: paid (order-placed, points-awarded), refunded (items-returned, points-reversed)
	NetBefore     = "net_before"      // int64, minor units, of points-reversed
	NetAfter      = "net_after"       // int64, minor units, of points-reversed
	Points        = "points"          // int64, by how much the customer's points change: negative for points-reversed
	Policy        = "policy"          // text, the id of the policy
	SpendPerPoint = "spend_per_point" // int64, minor units of the currency
	Items         = "items"           // int64, how many
	Method        = "method"          // text, how it was paid
	Reason        = "reason"          // text
	Correlation   = "correlation_id"  // text
	Causation     = "causation_id"    // text
	Requested     = "requested"       // int64, the points asked for: points-adjustment-requested, points-adjustment-approved
)

// Columns are the names of the columns, in their order.
func Columns() []string {
	return []string{
		Commit, Prepare, Type, Stream, Revision, EventID, StoredAt, OccurredAt, CustomerID, Channel, Actor, OrderID, ReturnID, LoyaltyID,
		Currency, Amount, NetBefore, NetAfter, Points, Policy, SpendPerPoint, Items, Method, Reason, Correlation, Causation, Requested,
	}
}
