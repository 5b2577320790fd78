package eventstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

func TestBetweenDeliversWhatLiesAfterOnePositionAndNotAfterAnother(t *testing.T) {
	store := storetest.Open(t)
	var at []domain.Position
	for i := range 6 {
		at = append(at, storetest.Add(t, store, fmt.Sprint("account-", i), storetest.Adjusted("a", domain.Points(i))))
		storetest.Add(t, store, fmt.Sprint("order-", i), storetest.Placed("a"))
	}
	end, err := store.End(t.Context(), account.TypePointsAdjusted, order.TypePlaced)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		after, until domain.Position
		types        []string
		want         []domain.Position
	}{
		{"all", domain.Position{}, end, []string{account.TypePointsAdjusted}, at},
		{"up to an event", domain.Position{}, at[2], []string{account.TypePointsAdjusted}, at[:3]},
		{"after an event", at[2], end, []string{account.TypePointsAdjusted}, at[3:]},
		{"up to an event of another type", at[0], justAfter(at[3]), []string{account.TypePointsAdjusted}, at[1:4]},
		{"nothing between", at[3], at[3], []string{account.TypePointsAdjusted}, nil},
		{"backwards", at[3], at[1], []string{account.TypePointsAdjusted}, nil},
		{"no event of the type", domain.Position{}, end, []string{order.TypeItemsReturned}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []domain.Position
			reached, err := store.Between(t.Context(), domain.CheckpointAt(c.after), c.until, c.types, func(r eventstore.Recorded) error {
				got = append(got, r.Position)
				return nil
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
			if want := max(c.until.Commit, c.after.Commit); reached.Position.Commit != want {
				t.Errorf("reached %s, want %d", reached, want)
			}
		})
	}
	stop := errors.New("enough")
	if _, err := store.Between(t.Context(), domain.Checkpoint{}, end, []string{account.TypePointsAdjusted}, func(eventstore.Recorded) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of who is told is answered with %v", err)
	}
}

func justAfter(p domain.Position) domain.Position {
	return domain.Position{Commit: p.Commit + 1, Prepare: p.Prepare + 1}
}
