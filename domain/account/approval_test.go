package account_test

import (
	"errors"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"

	"pgregory.net/rapid"
)

var about = domain.About{CustomerID: "c-1", OccurredAt: noon}

func limited(id domain.LoyaltyID, points, limit domain.Points) account.Adjust {
	c := adjust(id, points)
	c.Limit = limit
	return c
}

func approve(id domain.LoyaltyID, actor string) account.Approve {
	return account.Approve{Customer: "c-1", ID: id, Actor: actor, At: noon}
}

func decline(id domain.LoyaltyID, actor string) account.Decline {
	return account.Decline{Customer: "c-1", ID: id, Reason: "no receipt", Actor: actor, At: noon}
}

func requested(id domain.LoyaltyID, points domain.Points) domain.Event {
	return account.AdjustmentRequested{About: about, LoyaltyID: id, Points: points, Reason: "late parcel", Actor: "support-7"}
}

func approved(id domain.LoyaltyID, points domain.Points, by string) domain.Event {
	return account.AdjustmentApproved{About: about, LoyaltyID: id, Points: points, RequestedBy: "support-7", Actor: by}
}

func declined(id domain.LoyaltyID, by string) domain.Event {
	return account.AdjustmentDeclined{About: about, LoyaltyID: id, Reason: "no receipt", Actor: by}
}

func TestAdjust_above_the_limit_of_who_makes_it(t *testing.T) {
	given := func(events ...domain.Event) []domain.Event { return events }
	check(t,
		scenario{name: "up to the limit it is made at once", when: limited("a-1", 100, 100), then: given(adjusted("a-1", 100))},
		scenario{name: "above it, it is a request", when: limited("a-1", 101, 100), then: given(requested("a-1", 101))},
		scenario{name: "also where it takes points", when: limited("a-1", -101, 100), then: given(requested("a-1", -101))},
		scenario{name: "the same again changes nothing while it waits", given: given(requested("a-1", 101)), when: limited("a-1", 101, 100)},
		scenario{name: "nor under a limit that would allow it now", given: given(requested("a-1", 101)), when: limited("a-1", 101, 500)},
		scenario{name: "nor after it was approved", given: given(requested("a-1", 101), approved("a-1", 101, "support-8"), adjusted("a-1", 101)), when: limited("a-1", 101, 100)},
		scenario{name: "nor after it was declined", given: given(requested("a-1", 101), declined("a-1", "support-8")), when: limited("a-1", 101, 100)},
		scenario{name: "its id with other points conflicts", given: given(requested("a-1", 101)), when: limited("a-1", 99, 100), refused: domain.ErrConflict},
		scenario{
			name: "what nobody may approve is refused at once",
			when: account.Adjust{ID: "a-1", Points: 101, Reason: "why", Limit: 100, MaxPoints: 100}, refused: domain.ErrAdjustmentPoints,
		},
		scenario{name: "without a reason it is refused", when: account.Adjust{ID: "a-1", Points: 101, Limit: 100}, refused: domain.ErrInvalid, fields: []string{"reason reason_missing"}},
	)
}

func TestApprove(t *testing.T) {
	given := func(events ...domain.Event) []domain.Event { return events }
	waiting := requested("a-1", 101)
	check(t,
		scenario{name: "a second person makes it", given: given(waiting), when: approve("a-1", "support-8"), then: given(approved("a-1", 101, "support-8"), adjusted("a-1", 101))},
		scenario{name: "nobody approves their own", given: given(waiting), when: approve("a-1", "support-7"), refused: domain.ErrOwnRequest},
		scenario{name: "nothing was requested", given: given(adjusted("a-2", 5)), when: approve("a-2", "support-8"), refused: domain.ErrNotFound},
		scenario{name: "once approved, approving again changes nothing", given: given(waiting, approved("a-1", 101, "support-8"), adjusted("a-1", 101)), when: approve("a-1", "support-9")},
		scenario{name: "what was declined stays declined", given: given(waiting, declined("a-1", "support-8")), when: approve("a-1", "support-8"), refused: domain.ErrDecided},
		scenario{
			name: "whatever else was given", given: given(waiting, adjusted("a-2", domain.MaxChange)), when: approve("a-1", "support-8"),
			then: given(approved("a-1", 101, "support-8"), adjusted("a-1", 101)),
		},
	)
}

func TestDecline(t *testing.T) {
	given := func(events ...domain.Event) []domain.Event { return events }
	waiting := requested("a-1", 101)
	check(t,
		scenario{name: "nothing comes of it", given: given(waiting), when: decline("a-1", "support-8"), then: given(declined("a-1", "support-8"))},
		scenario{name: "whoever requested it may take it back", given: given(waiting), when: decline("a-1", "support-7"), then: given(declined("a-1", "support-7"))},
		scenario{name: "again changes nothing", given: given(waiting, declined("a-1", "support-8")), when: decline("a-1", "support-9")},
		scenario{name: "nothing was requested", when: decline("a-1", "support-8"), refused: domain.ErrNotFound},
		scenario{name: "what was approved stays", given: given(waiting, approved("a-1", 101, "support-8"), adjusted("a-1", 101)), when: decline("a-1", "support-8"), refused: domain.ErrDecided},
		scenario{name: "it takes a reason", given: given(waiting), when: account.Decline{ID: "a-1", Actor: "support-8"}, refused: domain.ErrInvalid, fields: []string{"reason reason_missing"}},
	)
}

// Requests, approvals and refusals of two people in any order: each id is made at most once, never by the one who asked, and
// what was declined is never made.
func TestRequests_are_decided_once_and_by_a_second_person(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state account.State
		made, decided := map[domain.LoyaltyID]int{}, map[domain.LoyaltyID]int{}
		for range rapid.IntRange(0, 30).Draw(t, "commands") {
			id := domain.LoyaltyID(rapid.SampledFrom([]string{"a-1", "a-2"}).Draw(t, "id"))
			actor := rapid.SampledFrom([]string{"support-7", "support-8"}).Draw(t, "actor")
			var command account.Command
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				c := limited(id, 101, 100)
				c.Actor, c.At = actor, noon.Add(time.Minute)
				command = c
			case 1:
				command = approve(id, actor)
			default:
				command = decline(id, actor)
			}
			events, err := account.Decide(command, state)
			if err != nil && len(events) > 0 {
				t.Fatalf("%v and yet %d events", err, len(events))
			}
			for _, e := range events {
				switch e := e.(type) {
				case account.AdjustmentApproved:
					decided[e.LoyaltyID]++
					if e.Actor == e.RequestedBy || e.RequestedBy != state.Requests[e.LoyaltyID].Actor {
						t.Fatalf("%+v of the request %+v", e, state.Requests[e.LoyaltyID])
					}
				case account.AdjustmentDeclined:
					decided[e.LoyaltyID]++
				case account.PointsAdjusted:
					made[e.LoyaltyID]++
				}
				state = account.Evolve(state, e)
			}
			if errors.Is(err, domain.ErrOwnRequest) && state.Requests[id].Actor != actor {
				t.Fatalf("%s was taken for the one who requested %+v", actor, state.Requests[id])
			}
		}
		var sum domain.Points
		for _, id := range []domain.LoyaltyID{"a-1", "a-2"} {
			_, wasDeclined := state.Declined[id]
			if made[id] > 1 || decided[id] > 1 || (wasDeclined && made[id] > 0) {
				t.Fatalf("%s was made %d times and decided %d times", id, made[id], decided[id])
			}
			sum += domain.Points(made[id]) * 101
		}
		if state.Points != sum {
			t.Fatalf("%d points, want %d", state.Points, sum)
		}
	})
}
