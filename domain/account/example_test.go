package account_test

import (
	"fmt"
	"time"

	"loyalty/domain/account"
)

// The same id makes the same adjustment once, however often the command comes.
func ExampleDecide() {
	goodwill := account.Adjust{
		Customer: "c-1", ID: "a-1", Points: 25, Reason: "late parcel", Actor: "support-7",
		At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
	}
	var state account.State
	for range 2 {
		events, err := account.Decide(goodwill, state)
		for _, event := range events {
			state = account.Evolve(state, event)
		}
		fmt.Println(len(events), "events,", err, "error,", state.Points, "points")
	}
	goodwill.Points = 50
	_, err := account.Decide(goodwill, state)
	fmt.Println(err)
	// Output:
	// 1 events, <nil> error, 25 points
	// 0 events, <nil> error, 25 points
	// adjustment a-1: the id was used before with other content
}
