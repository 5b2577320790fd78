package commands_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
)

// An order earns its points once. The same order again gets the first answer; the id with other content is a conflict.
func ExampleHandler_PlaceOrder() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "eventstore"))
	defer os.RemoveAll(dir)
	server := must(embedded.Open(ctx, embedded.Options{Dir: dir}))
	defer server.Close(ctx)
	store := must(eventstore.Open(ctx, must(embedded.SocketTarget(dir)), must(eventstore.LoyaltyEvents()), eventstore.Options{}))
	defer store.Close()

	handler := must(commands.New(store, commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New}))
	order := commands.PlaceOrder{
		Caller: commands.Caller{Actor: "till-7", Channel: domain.Store, Issuer: domain.Store.Issuer()},
		Order:  "o-1", Customer: "c-1", Items: []string{"tea", "mug"}, Paid: domain.Money{Minor: 129_99, Currency: domain.GBP},
	}
	for range 2 {
		placed := must(handler.PlaceOrder(ctx, order))
		fmt.Printf("%d points at position %s, replayed: %t\n", placed.Points, placed.Position, placed.Replayed)
	}
	order.Paid.Minor = 130_00
	_, err := handler.PlaceOrder(ctx, order)
	fmt.Println("another amount is a conflict:", errors.Is(err, domain.ErrConflict))
	// Output:
	// 13 points at position 2, replayed: false
	// 13 points at position 2, replayed: true
	// another amount is a conflict: true
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
