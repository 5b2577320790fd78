package replay

import (
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

func samples() []domain.Event {
	about := domain.About{CustomerID: "c-1", OccurredAt: time.Date(2028, 2, 29, 9, 30, 0, 123456000, time.UTC)}
	paid, left := domain.Money{Minor: 12999, Currency: domain.GBP}, domain.Money{Minor: 0, Currency: domain.GBP}
	return []domain.Event{
		order.PointsAwarded{About: about, OrderID: "o-1", Points: 13, Paid: paid, Policy: domain.DefaultPolicy()},
		order.PointsReversed{About: about, OrderID: "o-1", ReturnID: "r-1", Points: 13, NetBefore: paid, NetAfter: left, Policy: domain.DefaultPolicy(), Reason: "too small"},
		account.PointsAdjusted{About: about, LoyaltyID: "l-1", Points: -25, Reason: "a mistake", Actor: "s-1"},
	}
}

func TestWhatThisSystemWritesIsReadQuickly(t *testing.T) {
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range samples() {
		encoded, err := registry.Encode(event, eventstore.Metadata{Correlation: "r", Causation: "c", Actor: "a", Channel: domain.Mobile})
		if err != nil {
			t.Fatal(err)
		}
		l := logReader{history: newHistory(nil, ByNothing)}
		r := eventstore.Recorded{Type: event.EventType(), Data: encoded.Data, Stored: encoded.Metadata}
		if e, ok := l.quickly(&r); !ok || e.channel != mobile {
			t.Errorf("%s: %+v, %t", encoded.Data, e, ok)
		}
		if n := testing.AllocsPerRun(100, func() { l.quickly(&r) }); n != 0 {
			t.Errorf("%s: %v allocations", event.EventType(), n)
		}
	}
}

// FuzzScan: whatever is stored, it is read quickly only if the registry reads it, and then as the same.
func FuzzScan(f *testing.F) {
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		f.Fatal(err)
	}
	for i, event := range samples() {
		encoded, err := registry.Encode(event, eventstore.Metadata{Channel: domain.Store})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), encoded.Data)
	}
	f.Add(uint8(2), []byte(`{"customerId":"c","occurredAt":"2100-02-29T00:00:00Z","points":1}`))
	f.Add(uint8(2), []byte(`{"customerId":"c","occurredAt":"2100-02-28T00:00:00.1234567Z","points":01}`))
	types := types()[:3]
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		r := eventstore.Recorded{Type: types[int(which)%len(types)], Data: data}
		quick := logReader{history: newHistory(nil, ByNothing)}
		e, ok := quick.quickly(&r)
		if !ok {
			return
		}
		if r.Event, err = registry.Decode(r.Type, data); err != nil {
			t.Fatalf("%s is read as %+v, the registry says %v", data, e, err)
		}
		slow := logReader{history: newHistory(nil, ByNothing)}
		want := slow.slowly(&r)
		if string(want.order) != string(e.order) || string(quick.history.customers[0].id) != string(slow.history.customers[0].id) {
			t.Errorf("%s: got %q of %q", data, e.order, quick.history.customers[0].id)
		}
		want.order, e.order = nil, nil
		if e.kind != want.kind || e.at != want.at || e.points != want.points || e.before != want.before || e.after != want.after || e.currency != want.currency {
			t.Errorf("%s: got %+v, want %+v", data, e, want)
		}
	})
}
