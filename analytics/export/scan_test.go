package export

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
)

func registry(t testing.TB) *eventstore.Registry {
	t.Helper()
	events, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// scannedTypes are the types that the scanner reads itself.
var scannedTypes = []string{order.TypePlaced, order.TypePointsAwarded, order.TypeItemsReturned, order.TypePointsReversed, account.TypePointsAdjusted}

// agree fails if the scanner takes something that the registry refuses or reads otherwise. It tells whether the scanner took it.
func agree(t interface{ Fatalf(string, ...any) }, events *eventstore.Registry, s *scanner, name, data, stored string) bool {
	got, gotMetadata, scanned := s.scan(name, data, stored)
	if !scanned {
		return false
	}
	want, err := events.Decode(name, []byte(data))
	if err != nil {
		t.Fatalf("%s %q: the scanner takes what the registry refuses: %v", name, data, err)
	}
	var wantMetadata eventstore.Metadata
	if stored != "" {
		if err := json.Unmarshal([]byte(stored), &wantMetadata); err != nil {
			t.Fatalf("%q: the scanner takes what is no metadata: %v", stored, err)
		}
	}
	if !reflect.DeepEqual(got, want) || gotMetadata != wantMetadata {
		t.Fatalf("%s %q %q is\n%+v %+v to the scanner,\n%+v %+v to the registry", name, data, stored, got, gotMetadata, want, wantMetadata)
	}
	return true
}

// TestTheScannerReadsWhatIsStored is what keeps it fast: an event that is stored otherwise than it expects is decoded by the
// registry, which nobody would notice.
func TestTheScannerReadsWhatIsStored(t *testing.T) {
	events := registry(t)
	word := rapid.StringMatching(`[ -~]{0,20}`)
	plain := rapid.StringMatching(`[ !#-%'-;=?-\[\]-~]{1,20}`) // nothing that JSON escapes
	id := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]*rapid.Generator[string]{word, plain, rapid.String()}).Draw(t, "kind of text").Draw(t, "text")
		money := func(name string) domain.Money {
			return domain.Money{Minor: rapid.Int64().Draw(t, name), Currency: rapid.SampledFrom([]domain.Currency{domain.GBP, domain.EUR}).Draw(t, "currency")}
		}
		about := domain.About{CustomerID: domain.CustomerID(id.Draw(t, "customer")), OccurredAt: time.UnixMicro(rapid.Int64Range(0, 1<<51).Draw(t, "at")).UTC()}
		orderID, points := domain.OrderID(id.Draw(t, "order")), domain.Points(rapid.Int64().Draw(t, "points"))
		policy := domain.Policy{ID: text, SpendPerPoint: map[domain.Currency]int64{domain.GBP: rapid.Int64().Draw(t, "spend")}}
		event := []domain.Event{
			order.Placed{About: about, OrderID: orderID, Items: rapid.SliceOf(plain).Draw(t, "items"), Paid: money("paid"), Method: text},
			order.PointsAwarded{About: about, OrderID: orderID, Points: points, Paid: money("paid"), Policy: policy},
			order.ItemsReturned{About: about, OrderID: orderID, ReturnID: "r-1", Refunded: money("refunded"), Reason: text},
			order.PointsReversed{About: about, OrderID: orderID, ReturnID: "r-1", Points: points, NetBefore: money("before"), NetAfter: money("after"), Policy: policy, Reason: text},
			account.PointsAdjusted{About: about, LoyaltyID: "l-1", Points: points, Reason: text, Actor: text},
		}[rapid.IntRange(0, 4).Draw(t, "event")]
		metadata := eventstore.Metadata{Correlation: text, Causation: rapid.SampledFrom([]string{"", "c"}).Draw(t, "causation"), Actor: text, Channel: rapid.SampledFrom([]domain.Channel{"", domain.Store}).Draw(t, "channel")}
		encoded, err := events.Encode(event, metadata)
		if err != nil {
			t.Fatal(err)
		}
		taken := agree(t, events, &scanner{}, event.EventType(), string(encoded.Data), string(encoded.Metadata))
		if escaped := strings.Contains(string(encoded.Data)+string(encoded.Metadata), `\`); !taken && !escaped && !slices.ContainsFunc([]rune(text), func(r rune) bool { return r > '~' }) && text != "" {
			t.Fatalf("the scanner does not take %s %s %s", event.EventType(), encoded.Data, encoded.Metadata)
		}
	})
}

// FuzzScan: whatever the scanner takes, the registry takes for the same.
func FuzzScan(f *testing.F) {
	events := registry(f)
	for _, data := range []string{
		`{"customerId":"c-1","occurredAt":"2026-11-22T09:30:00.123456Z","orderId":"o-1","itemIds":["sku-1","sku-2"],"paid":{"minor":12999,"currency":"GBP"},"method":"card"}`,
		`{"customerId":"c-1","occurredAt":"2026-11-22T09:30:00.123456Z","orderId":"o-1","points":13,"paid":{"minor":12999,"currency":"GBP"},"policy":{"id":"2026-01","spendPerPoint":{"EUR":1150,"GBP":1000}}}`,
		`{"customerId":"c-1","occurredAt":"2026-11-22T09:30:00Z","orderId":"o-1","returnId":"r-1","refunded":{"minor":4000,"currency":"GBP"},"reason":"too small"}`,
		`{"customerId":"c-1","occurredAt":"2026-11-22T09:30:00Z","orderId":"o-1","returnId":"r-1","points":4,"netBefore":{"minor":12999,"currency":"GBP"},"netAfter":{"minor":8999,"currency":"GBP"},"policy":{"id":"p","spendPerPoint":{}},"reason":"x"}`,
		`{"customerId":"c-1","occurredAt":"0001-01-01T00:00:00Z","loyaltyId":"l-1","points":-0,"reason":"goodwill","actor":"s-1"}`,
	} {
		for kind := range scannedTypes {
			f.Add(kind, data, `{"$correlationId":"a","$causationId":"b","actor":"c","channel":"store"}`)
		}
	}
	f.Fuzz(func(t *testing.T, kind int, data, stored string) {
		s := &scanner{}
		for range 2 { // the second time it remembers the policy
			agree(t, events, s, scannedTypes[uint(kind)%uint(len(scannedTypes))], data, stored)
		}
	})
}
