package eventstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
)

// parsedTypes are the types that the parser reads. All others are left to encoding/json.
var parsedTypes = []string{order.TypePlaced, order.TypePointsAwarded, order.TypeItemsReturned, order.TypePointsReversed, account.TypePointsAdjusted}

// checkParsed fails if the parser accepts an event that encoding/json rejects or reads otherwise. It tells whether the parser
// accepted it.
func checkParsed(t interface{ Fatalf(string, ...any) }, registry *Registry, name, data string) bool {
	got, accepted := parseEvent(name, data, registry.policies)
	if !accepted {
		return false
	}
	want, err := registry.decodeJSON(name, []byte(data))
	if err != nil {
		t.Fatalf("%s %q: the parser accepts what encoding/json rejects: %v", name, data, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s %q is\n%+v to the parser,\n%+v to encoding/json", name, data, got, want)
	}
	return true
}

// checkParsedMetadata is checkParsed for metadata.
func checkParsedMetadata(t interface{ Fatalf(string, ...any) }, stored string) bool {
	got, accepted := parseMetadata(stored)
	if !accepted {
		return false
	}
	want, err := decodeMetadataJSON([]byte(stored))
	if err != nil {
		t.Fatalf("%q: the parser accepts what encoding/json rejects: %v", stored, err)
	}
	if got != want {
		t.Fatalf("%q is\n%+v to the parser,\n%+v to encoding/json", stored, got, want)
	}
	return true
}

// Nobody would notice if the parser stopped accepting what is stored: decoding would only be slow.
func TestTheParserAcceptsWhatIsStored(t *testing.T) {
	registry := loyaltyEvents(t)
	word := rapid.StringMatching(`[ -~]{0,20}`)
	plain := rapid.StringMatching(`[ !#-%'-;=?-\[\]-~]{1,20}`) // nothing that JSON escapes
	id := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]*rapid.Generator[string]{word, plain, rapid.String()}).Draw(t, "kind of text").Draw(t, "text")
		money := func(name string) domain.Money {
			return domain.Money{Minor: rapid.Int64().Draw(t, name), Currency: rapid.SampledFrom([]domain.Currency{domain.GBP, domain.EUR}).Draw(t, "currency")}
		}
		about := domain.About{CustomerID: domain.CustomerID(id.Draw(t, "customer")), OccurredAt: time.UnixMicro(rapid.Int64Range(0, 1<<51).Draw(t, "at")).UTC()}
		orderID, points := domain.OrderID(id.Draw(t, "order")), domain.Points(rapid.Int64Range(-int64(domain.MaxChange), int64(domain.MaxChange)).Draw(t, "points"))
		policy := domain.Policy{ID: text, SpendPerPoint: map[domain.Currency]int64{domain.GBP: rapid.Int64().Draw(t, "spend")}}
		events := []domain.Event{
			order.Placed{About: about, OrderID: orderID, Items: rapid.SliceOf(plain).Draw(t, "items"), Paid: money("paid"), Method: text},
			order.PointsAwarded{About: about, OrderID: orderID, Points: points, Paid: money("paid"), Policy: policy},
			order.ItemsReturned{About: about, OrderID: orderID, ReturnID: "r-1", Refunded: money("refunded"), Reason: text},
			order.PointsReversed{About: about, OrderID: orderID, ReturnID: "r-1", Points: points, NetBefore: money("before"), NetAfter: money("after"), Policy: policy, Reason: text},
			account.PointsAdjusted{About: about, LoyaltyID: "l-1", Points: points, Reason: text, Actor: text},
		}
		event := events[rapid.IntRange(0, len(events)-1).Draw(t, "event")]
		metadata := Metadata{Correlation: text, Causation: rapid.SampledFrom([]string{"", "c"}).Draw(t, "causation"), Actor: text, Channel: rapid.SampledFrom([]domain.Channel{"", domain.Store}).Draw(t, "channel")}
		encoded, err := registry.Encode(event, metadata)
		if err != nil {
			t.Fatal(err)
		}
		checkAccepted(t, encoded.Data, text, checkParsed(t, registry, event.EventType(), string(encoded.Data)))
		checkAccepted(t, encoded.Metadata, text, checkParsedMetadata(t, string(encoded.Metadata)))
	})
}

// checkAccepted fails if the parser does not accept JSON without escapes and of ASCII only.
func checkAccepted(t *rapid.T, encoded []byte, text string, accepted bool) {
	escaped := bytes.ContainsRune(encoded, '\\') || slices.ContainsFunc([]rune(text), func(r rune) bool { return r > '~' })
	if !accepted && !escaped {
		t.Fatalf("the parser does not accept %s", encoded)
	}
}

// TestDecodingAllocatesLittle: an event is allocated once, with its items or policy if it has ones of its own. Its texts are parts
// of the data.
func TestDecodingAllocatesLittle(t *testing.T) {
	registry := loyaltyEvents(t)
	metadata := Metadata{Correlation: "r", Causation: "c", Actor: "a", Channel: domain.Mobile}
	for _, name := range parsedTypes {
		encoded, err := registry.Encode(registry.types[name].sample, metadata)
		if err != nil {
			t.Fatal(err)
		}
		data, stored := string(encoded.Data), string(encoded.Metadata)
		most := 1.0
		if name == order.TypePlaced {
			most = 3 // for two items
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := registry.decodeText(name, data); err != nil {
				t.Fatal(err)
			}
			if m, err := decodeMetadata(stored); err != nil || m != metadata {
				t.Fatal(m, err)
			}
		}); n > most {
			t.Errorf("%s: %v allocations, want at most %v", name, n, most)
		}
	}
}

// seeds are the golden files, as they are and as they are stored, and forms that are a little different.
func seeds(f *testing.F) (data []string) {
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("golden files: %v, %v", files, err)
	}
	for _, file := range files {
		golden, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var stored bytes.Buffer
		if err := json.Compact(&stored, golden); err != nil {
			f.Fatal(err)
		}
		data = append(data, string(golden), stored.String())
	}
	return append(data,
		`{"customerId":"c-1","occurredAt":"2026-11-22T09:30:00Z","orderId":"o-1","returnId":"r-1","points":4,"netBefore":{"minor":12999,"currency":"GBP"},"netAfter":{"minor":8999,"currency":"XYZ"},"policy":{"id":"p","spendPerPoint":{}},"reason":"x"}`,
		`{"customerId":"c-1","occurredAt":"0001-01-01T00:00:00Z","loyaltyId":"l-1","points":-0,"reason":"goodwill","actor":"s-1"}`,
		`{"customerId":"c","occurredAt":"2100-02-29T00:00:00Z","loyaltyId":"l-1","points":1,"reason":"","actor":""}`,
		`{"customerId":"c","occurredAt":"2100-02-28T00:00:00.1234567Z","loyaltyId":"l-1","points":01,"reason":"","actor":""}`,
		`{"customerId":"c-1","occurredAt":"2026-11-22T09:30:00Z","loyaltyId":"l-1","points":134217728,"reason":"x","actor":"s-1"}`,
		`{"customerId":"c","occurredAt":"2100-02-28T00:00:00+01:00","loyaltyId":"l-1","points":9223372036854775808,"reason":"","actor":""}`,
		`{"CustomerId":"0","oCCurredAt":"0000-01-01T0:00:00+00:00","000000":10000000000000000}`,
		`{"customerId":"000","occurredAt":"0000-01-01T0:00:00Z","orderId":"000","itemIds":["0000000000"],"paid":{"minor":0,"currency":"000"},"method":"0000"}`,
	)
}

// FuzzDecode: what the parser accepts, encoding/json reads as the same event. What Decode accepts is the same event when it is
// encoded and decoded again.
func FuzzDecode(f *testing.F) {
	registry := loyaltyEvents(f)
	var names []string
	for name := range registry.types {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, data := range seeds(f) {
		for i := range names {
			f.Add(uint8(i), data)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data string) {
		name := names[int(which)%len(names)]
		for range 2 { // the second time the policy is cached
			checkParsed(t, registry, name, data)
		}
		event, err := registry.Decode(name, []byte(data))
		if err != nil {
			if !errors.Is(err, domain.ErrUndecodable) {
				t.Fatalf("%v is not domain.ErrUndecodable", err)
			}
			return
		}
		encoded, err := registry.Encode(event, Metadata{})
		if err != nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
		again, err := registry.Decode(name, encoded.Data)
		if err != nil {
			t.Fatalf("what was encoded can't be decoded: %v", err)
		}
		if !cmp.Equal(again, event) { // times are equal if they are the same instant: Z and +00:00 are
			t.Fatalf("%q is\n%+v, and\n%+v when it is encoded and decoded again", data, event, again)
		}
	})
}

func FuzzDecodeMetadata(f *testing.F) {
	for _, stored := range []string{
		``, `{}`, `{"channel":"store"}`, `{"$correlationId":"a","$causationId":"b","actor":"c","channel":"store"}`, `{"actor":"c","$causationId":"b"}`,
		`{"$correlationId":"a","actor":"c"}`, `{"actor":"","channel":"shop"}`, `{"actor":"""channel":""}`, `{"Actor":"a"}`, `{"actor":null}`, `{ "actor": "\u0041" }`,
	} {
		f.Add(stored)
	}
	registry := loyaltyEvents(f)
	sample := registry.types[account.TypePointsAdjusted].sample
	f.Fuzz(func(t *testing.T, stored string) {
		checkParsedMetadata(t, stored)
		metadata, err := decodeMetadata(stored)
		if err != nil {
			if !errors.Is(err, domain.ErrUndecodable) {
				t.Fatalf("%v is not domain.ErrUndecodable", err)
			}
			return
		}
		encoded, err := registry.Encode(sample, metadata)
		if err != nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
		if again, err := decodeMetadata(string(encoded.Metadata)); err != nil || again != metadata {
			t.Fatalf("%q is\n%+v, and\n%+v, %v when it is encoded and decoded again", stored, metadata, again, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	registry := loyaltyEvents(b)
	metadata := Metadata{Correlation: "6af613b6-569c-5c22-9c37-2ed93f31d3af", Causation: "6af613b6-569c-5c22-9c37-2ed93f31d3af", Actor: "till-7", Channel: domain.Mobile}
	for _, name := range parsedTypes {
		encoded, err := registry.Encode(registry.types[name].sample, metadata)
		if err != nil {
			b.Fatal(err)
		}
		data, stored := string(encoded.Data), string(encoded.Metadata)
		b.Run(strings.TrimSuffix(name, ".v1"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := registry.decodeText(name, data); err != nil {
					b.Fatal(err)
				}
				if _, err := decodeMetadata(stored); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(strings.TrimSuffix(name, ".v1")+" by encoding/json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := registry.decodeJSON(name, encoded.Data); err != nil {
					b.Fatal(err)
				}
				if _, err := decodeMetadataJSON(encoded.Metadata); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAnEventOfMorePointsThanOneEventHoldsCanNotBeDecoded(t *testing.T) {
	registry := loyaltyEvents(t)
	about := domain.About{CustomerID: "c-1", OccurredAt: time.Unix(1, 0).UTC()}
	for _, sign := range []domain.Points{1, -1} {
		for more := range domain.Points(2) {
			points := sign * (domain.MaxChange + more)
			for _, event := range []domain.Event{
				order.PointsAwarded{About: about, Points: points}, order.PointsReversed{About: about, Points: points},
				account.PointsAdjusted{About: about, Points: points}, account.AdjustmentRequested{About: about, Points: points},
				account.AdjustmentApproved{About: about, Points: points}, account.AllowanceUsed{About: about, Points: points},
			} {
				data, err := json.Marshal(event)
				if err != nil {
					t.Fatal(err)
				}
				checkParsed(t, registry, event.EventType(), string(data))
				if _, err := registry.Decode(event.EventType(), data); (err != nil) != (more > 0) || err != nil && !errors.Is(err, domain.ErrUndecodable) {
					t.Errorf("%s of %d points: got %v", event.EventType(), points, err)
				}
			}
		}
	}
}
