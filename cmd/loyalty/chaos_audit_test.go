package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/readmodels/leaderboard"
)

// auditedEntry is an entry of a trail, as much of it as its event tells.
type auditedEntry struct {
	EntryID           string
	Kind              string
	Points, Total     int64
	OccurredAt        time.Time
	OrderID, ReturnID string
	Position          string
}

type auditedTrail struct {
	Points  int64
	Entries []auditedEntry
	Next    string
}

// theLog is the history as the event store has it.
type theLog struct {
	events uint64
	// deeds are how often each thing was done, and with how many points.
	deeds map[string][]int64
	// orders and returns are how often the events are there that come with points.
	orders, returns map[string]int
	trails          map[string][]auditedEntry // by customer, oldest first
}

// readLog reads the whole log of the event store at an address.
func (s *site) readLog(address string) *theLog {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	types, err := eventstore.LoyaltyEvents()
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := eventstore.Open(ctx, address, types, eventstore.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	until, err := store.End(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	log := &theLog{deeds: map[string][]int64{}, orders: map[string]int{}, returns: map[string]int{}, trails: map[string][]auditedEntry{}}
	read := []string{order.TypePlaced, order.TypePointsAwarded, order.TypeItemsReturned, order.TypePointsReversed, account.TypePointsAdjusted}
	if _, err := store.Between(ctx, domain.Checkpoint{}, until, read, func(r eventstore.Recorded) error {
		log.events++
		log.add(r)
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return log
}

func (l *theLog) add(r eventstore.Recorded) {
	entry := auditedEntry{EntryID: r.ID.String(), OccurredAt: r.Event.Occurred(), Position: r.Position.String()}
	var name string
	switch event := r.Event.(type) {
	case order.Placed:
		l.orders[string(event.OrderID)]++
		return
	case order.ItemsReturned:
		l.returns[fmt.Sprint(event.OrderID, " ", event.ReturnID)]++
		return
	case order.PointsAwarded:
		name = fmt.Sprint(event.EventType(), " ", event.OrderID)
		entry.Kind, entry.OrderID, entry.Points = "award", string(event.OrderID), int64(event.Points)
	case order.PointsReversed:
		name = fmt.Sprint(event.EventType(), " ", event.OrderID, " ", event.ReturnID)
		entry.Kind, entry.OrderID, entry.ReturnID, entry.Points = "reversal", string(event.OrderID), string(event.ReturnID), -int64(event.Points)
	case account.PointsAdjusted:
		name = fmt.Sprint(event.EventType(), " ", event.LoyaltyID)
		entry.Kind, entry.Points = "adjustment", int64(event.Points)
	}
	l.deeds[name] = append(l.deeds[name], entry.Points)
	id := string(r.Event.Customer())
	if before := l.trails[id]; len(before) > 0 {
		entry.Total = before[len(before)-1].Total
	}
	entry.Total += entry.Points
	l.trails[id] = append(l.trails[id], entry)
}

// checkDeeds compares the log with what the clients asked for and were told: what was acknowledged is there once, what was
// not at most once, each with its points, and nothing is there that nobody asked for.
func (l *theLog) checkDeeds(s *chaosLoad) {
	s.t.Helper()
	asked := map[string]bool{}
	for _, d := range s.deeds {
		asked[d.name] = true
		switch done := l.deeds[d.name]; {
		case len(done) > 1:
			s.t.Errorf("doubled: %s is in the log %d times", d.name, len(done))
		case len(done) == 0 && d.acknowledged:
			s.t.Errorf("lost: %s was answered with %s", d.name, d.answer)
		case len(done) == 1 && done[0] != d.points:
			s.t.Errorf("%s: %d points in the log, want %d", d.name, done[0], d.points)
		}
	}
	for name := range l.deeds {
		if !asked[name] {
			s.t.Errorf("nobody asked for %s", name)
		}
	}
	awards, reversals := 0, 0
	for _, trail := range l.trails {
		for _, entry := range trail {
			switch entry.Kind {
			case "award":
				awards++
				if l.orders[entry.OrderID] != 1 {
					s.t.Errorf("order %s was placed %d times", entry.OrderID, l.orders[entry.OrderID])
				}
			case "reversal":
				reversals++
				if name := entry.OrderID + " " + entry.ReturnID; l.returns[name] != 1 {
					s.t.Errorf("return %s was made %d times", name, l.returns[name])
				}
			}
		}
	}
	if awards != len(l.orders) || reversals != len(l.returns) {
		s.t.Errorf("%d orders with %d awards, %d returns with %d reversals", len(l.orders), awards, len(l.returns), reversals)
	}
}

// checkTrailsAgainst compares every customer's trail with the log, and returns the standings that the log gives.
func (c *client) checkTrailsAgainst(l *theLog, position string) []standing {
	c.t.Helper()
	var standings []standing
	for id, want := range l.trails {
		var got []auditedEntry
		var page auditedTrail
		for cursor := ""; ; cursor = page.Next {
			page = auditedTrail{}
			c.must(http.StatusOK, &page, supportClaims, http.MethodGet, fmt.Sprintf("/loyalty/%s/trail?limit=200&cursor=%s", id, cursor), nil, "Loyalty-Min-Position: "+position)
			got = append(got, page.Entries...)
			if page.Next == "" {
				break
			}
		}
		slices.Reverse(got)
		last := want[len(want)-1]
		if page.Points != last.Total || !slices.EqualFunc(got, want, func(a, b auditedEntry) bool {
			same := a.OccurredAt.Equal(b.OccurredAt.Truncate(time.Microsecond)) // as exact as Postgres is
			a.OccurredAt = b.OccurredAt
			return same && a == b
		}) {
			c.t.Errorf("%s: the trail has %d points in %d entries, the log %d in %d:\n%s\n%s", id, page.Points, len(got), last.Total, len(want), asJSON(got), asJSON(want))
		}
		var reached time.Time
		for _, entry := range want {
			if entry.Points != 0 {
				reached = entry.OccurredAt
			}
		}
		if !reached.IsZero() {
			standings = append(standings, standing{customer: id, points: last.Total, minute: leaderboard.Minute(reached)})
		}
	}
	slices.SortFunc(standings, func(a, b standing) int { return cmp.Compare(a.customer, b.customer) })
	return standings
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return tail(string(text), 2000)
}
