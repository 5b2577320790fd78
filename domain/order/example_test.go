package order_test

import (
	"fmt"
	"time"

	"loyalty/domain"
	"loyalty/domain/order"
)

// An order of £14 earns 1 point. Returning £5 leaves £9, which still earns 1; returning the rest takes the point back.
func ExampleDecide() {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var state order.State
	for _, command := range []order.Command{
		order.Place{
			Order: "o-1", Customer: "c-1", Items: []string{"tea", "mug"}, Paid: domain.Money{Minor: 14_00, Currency: domain.GBP},
			Method: "card", Policy: domain.DefaultPolicy(), At: at,
		},
		order.Return{Order: "o-1", Return: "r-1", Amount: 5_00, At: at.Add(24 * time.Hour)},
		order.Return{Order: "o-1", Return: "r-2", Amount: 9_00, At: at.Add(48 * time.Hour)},
		order.Return{Order: "o-1", Return: "r-3", Amount: 1, At: at.Add(72 * time.Hour)},
	} {
		events, err := order.Decide(command, state)
		if err != nil {
			fmt.Println(err)
		}
		for _, event := range events {
			state = order.Evolve(state, event)
			fmt.Println(event.EventType())
		}
		fmt.Printf("%s left, worth %d\n", state.Net(), state.Points)
	}
	// Output:
	// order-placed.v1
	// points-awarded.v1
	// 14.00 GBP left, worth 1
	// items-returned.v1
	// points-reversed.v1
	// 9.00 GBP left, worth 1
	// items-returned.v1
	// points-reversed.v1
	// 0.00 GBP left, worth 0
	// return r-3 of order o-1: more would be returned than was paid: 0.00 GBP is left of it
	// 0.00 GBP left, worth 0
}
