package queries

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/readmodels/ledger"
)

// Explainer explains entries of the ledger from the events behind them. It may be used from many goroutines at once.
type Explainer struct {
	Store  *eventstore.Store
	Ledger ledger.Reader
}

// Explain reads the stream that an entry came from, folds it, and compares the result with the ledger. It takes nothing from the ledger
// on trust: what does not agree is in the Proof and is no error. Errors are domain.ErrUnavailable of either store and
// domain.ErrUndecodable of a stored event.
func (x Explainer) Explain(ctx context.Context, entry ledger.Entry) (Explanation, error) {
	stored, _, err := x.Store.Load(ctx, entry.Stream)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain entry %s: %w", entry.EventID, err)
	}
	before, err := x.before(ctx, entry)
	if err != nil {
		return Explanation{}, fmt.Errorf("explain entry %s: %w", entry.EventID, err)
	}
	told := Explanation{Entry: entry, Proof: Proof{Before: before, After: entry.Total}}
	if entry.Kind == ledger.Adjustment {
		stored = told.adjustment(stored)
	} else {
		told.order(stored)
	}
	for _, r := range stored {
		told.Events = append(told.Events, eventOf(r))
	}
	told.compare(stored)
	told.Proof.Agrees = len(told.Proof.Mismatches) == 0
	return told, nil
}

// LatestOfOrders finds the newest entry of each order that an id may mean: of any customer, or of the one given, of whose orders it also finds
// their own. It returns domain.ErrUnavailable when the ledger can't be reached.
func LatestOfOrders(ctx context.Context, l Ledger, id domain.OrderID, customer domain.CustomerID) (latest []ledger.Entry, err error) {
	if customer != "" {
		return latestOfCustomer(ctx, l, id, customer)
	}
	found, err := l.Search(ctx, string(id))
	if err != nil {
		return nil, err
	}
	for _, match := range found.Matches {
		if match.By != ledger.ByOrder {
			continue
		}
		entries, err := latestOfCustomer(ctx, l, match.Order, match.Customer)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Order == match.Order {
				latest = append(latest, e)
			}
		}
	}
	return latest, nil
}

func latestOfCustomer(ctx context.Context, l Ledger, id domain.OrderID, customer domain.CustomerID) (latest []ledger.Entry, err error) {
	seen := make(map[domain.OrderID]bool)
	for page, err := range ledger.Pages(ctx, l, customer, ledger.Filter{Order: id}, ledger.MaxPage) {
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			if !seen[e.Order] {
				seen[e.Order], latest = true, append(latest, e)
			}
		}
	}
	return latest, nil
}

// before is the customer's total before an entry: that of the entry before it.
func (x Explainer) before(ctx context.Context, entry ledger.Entry) (domain.Points, error) {
	cursor := ledger.EncodeCursor(entry.Customer, ledger.Filter{}, entry.Position)
	page, err := x.Ledger.Trail(ctx, entry.Customer, ledger.Filter{}, cursor, 1)
	if err != nil || len(page.Entries) == 0 {
		return 0, err
	}
	return page.Entries[0].Total, nil
}

// order explains the change of an order's points. The proof computes what is left by the payment and what went back, as the
// order's own events say them, which is another way than the one the points came by.
func (t *Explanation) order(stored []eventstore.Recorded) {
	var state order.State
	events := make([]domain.Event, len(stored))
	var texts []string
	for i, r := range stored {
		events[i] = r.Event
		state = order.Evolve(state, r.Event)
	}
	explained := order.Explain(events)
	for _, r := range stored {
		switch r.Event.(type) {
		case order.PointsAwarded, order.PointsReversed:
		default:
			continue
		}
		step := explained[len(t.Steps)]
		id := r.ID.String()
		t.Steps = append(t.Steps, Step{EventID: id, Text: step.Text, Points: step.Points, This: id == t.Entry.EventID})
		if t.Text == "" {
			texts = append(texts, step.Text)
		}
		if id == t.Entry.EventID {
			t.Text = strings.Join(texts, "; ")
		}
		t.Proof.Sum += step.Points
		if step.Left != step.Computed {
			t.mismatch("after event %s the order is worth %d points, and by its policy %d", id, step.Left, step.Computed)
		}
	}
	computed, err := state.Policy.Points(state.Net())
	if err != nil {
		t.mismatch("the policy pinned in the order does not price what is left of the payment: %v", err)
		return
	}
	if t.Proof.Computed = computed; t.Proof.Sum != computed {
		t.mismatch("the order's points add up to %d, and by its policy %s is worth %d", t.Proof.Sum, state.Net(), computed)
	}
}

// adjustment explains an adjustment, and returns the events that have to do with it.
func (t *Explanation) adjustment(stored []eventstore.Recorded) (about []eventstore.Recorded) {
	requested := false
	for _, r := range stored {
		var step Step
		switch e := r.Event.(type) {
		case account.AdjustmentRequested:
			if e.LoyaltyID != t.Entry.Loyalty {
				continue
			}
			requested, t.Proof.Computed = true, e.Points
			step.Text = fmt.Sprintf("%s asked for %+d points, more than they may give or take alone: %s", e.Actor, e.Points, e.Reason)
		case account.AdjustmentApproved:
			if e.LoyaltyID != t.Entry.Loyalty {
				continue
			}
			step.Text = fmt.Sprintf("%s approved what %s asked for", e.Actor, e.RequestedBy)
			if e.Actor == e.RequestedBy {
				t.mismatch("%s approved what they asked for themselves", e.Actor)
			}
		case account.PointsAdjusted:
			if e.LoyaltyID != t.Entry.Loyalty {
				continue
			}
			if !requested {
				t.Proof.Computed = e.Points
			}
			step.Text, step.Points = fmt.Sprintf("%+d points by %s: %s", e.Points, e.Actor, e.Reason), e.Points
		default:
			continue
		}
		step.EventID = r.ID.String()
		step.This = step.EventID == t.Entry.EventID
		if step.This {
			t.Text = step.Text
		}
		t.Steps, about = append(t.Steps, step), append(about, r)
		t.Proof.Sum += step.Points
	}
	if t.Proof.Sum != t.Proof.Computed {
		t.mismatch("%+d points were made of a request for %+d", t.Proof.Sum, t.Proof.Computed)
	}
	return about
}

// compare holds the ledger's entry against the stored event that it came from.
func (t *Explanation) compare(stored []eventstore.Recorded) {
	if t.Proof.Before+t.Entry.Points != t.Proof.After {
		t.mismatch("the ledger's total went from %d to %d with an entry of %d points", t.Proof.Before, t.Proof.After, t.Entry.Points)
	}
	for i, r := range stored {
		if r.ID.String() != t.Entry.EventID {
			continue
		}
		if r.Revision != t.Entry.Revision {
			t.mismatch("the event has revision %d, and in the ledger %d", r.Revision, t.Entry.Revision)
		}
		if t.Events[i].Position != (domain.Position{}) && r.Position != t.Entry.Position {
			t.mismatch("the event stands at position %s, and in the ledger at %s", r.Position, t.Entry.Position)
		}
		if r.Event.Customer() != t.Entry.Customer {
			t.mismatch("the event is about another customer")
		}
		for _, step := range t.Steps {
			if step.This && step.Points != t.Entry.Points {
				t.mismatch("the event changed the points by %d, and in the ledger by %d", step.Points, t.Entry.Points)
			}
		}
		return
	}
	t.mismatch("the event is not in stream %s", t.Entry.Stream)
}

func (t *Explanation) mismatch(format string, values ...any) {
	t.Proof.Mismatches = append(t.Proof.Mismatches, fmt.Sprintf(format, values...))
}

func eventOf(r eventstore.Recorded) Event {
	e := Event{
		EventID: r.ID.String(), Type: r.Type, Stream: r.Stream, Revision: r.Revision, StoredAt: r.Created.UTC(),
		Data: json.RawMessage(r.Data), Metadata: json.RawMessage(r.Stored),
	}
	if r.Positioned() {
		e.Position = r.Position
	}
	return e
}
