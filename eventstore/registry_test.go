package eventstore

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/domain"
)

// drawn is an event type made up for these tests, in its third version.
type drawn struct {
	domain.About
	Prize string `json:"prize"`
	Value int64  `json:"value"`
}

func (drawn) EventType() string { return "drawn.v3" }

var (
	about  = domain.About{CustomerID: "c-1", OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	sample = drawn{About: about, Prize: "mug", Value: 500}

	// v1 had the value in pounds, v2 called the prize a gift.
	upcasters = []Upcaster{
		{From: "drawn.v1", To: "drawn.v2", Up: rewrite(func(fields map[string]any) { fields["value"] = fields["value"].(float64) * 100 })},
		{From: "drawn.v2", To: "drawn.v3", Up: rewrite(func(fields map[string]any) { fields["prize"] = fields["gift"]; delete(fields, "gift") })},
	}
)

func rewrite(change func(map[string]any)) func(json.RawMessage) (json.RawMessage, error) {
	return func(data json.RawMessage) (json.RawMessage, error) {
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, err
		}
		change(fields)
		return json.Marshal(fields)
	}
}

func TestAnOldVersionIsUpcastStepByStep(t *testing.T) {
	registry, err := NewRegistry([]Type{TypeOf(sample)}, upcasters)
	if err != nil {
		t.Fatal(err)
	}
	for name, stored := range map[string]string{
		"drawn.v1": `{"customerId":"c-1","occurredAt":"2026-01-02T03:04:05Z","gift":"mug","value":5}`,
		"drawn.v2": `{"customerId":"c-1","occurredAt":"2026-01-02T03:04:05Z","gift":"mug","value":500}`,
		"drawn.v3": `{"customerId":"c-1","occurredAt":"2026-01-02T03:04:05Z","prize":"mug","value":500}`,
	} {
		event, err := registry.Decode(name, []byte(stored))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if event != domain.Event(sample) {
			t.Errorf("%s decodes to %+v, want %+v", name, event, sample)
		}
	}
	families, err := registry.familiesOf([]string{"drawn.v3"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"drawn.v1": true, "drawn.v2": true, "drawn.v3": true, "drawn.v4": true, "drawn.w": true,
		"drawn": false, "drawn-up.v1": false, "draw.v1": false, "$drawn.v1": false, "": false,
	} {
		if families.has(name) != want {
			t.Errorf("a projection of drawn.v3 reads %q: %v", name, !want)
		}
	}
}

func TestAnEventOfANewerVersionSaysThatOneMustUpgrade(t *testing.T) {
	registry, err := NewRegistry([]Type{TypeOf(sample)}, upcasters)
	if err != nil {
		t.Fatal(err)
	}
	for name, newer := range map[string]bool{"drawn.v4": true, "drawn.v12": true, "drawn.v0": false, "drawn.v": false, "drawn.w4": false, "lost.v4": false} {
		_, err := registry.Decode(name, []byte("{}"))
		if !errors.Is(err, domain.ErrUndecodable) || errors.Is(err, domain.ErrNewerEvent) != newer {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWhatCannotBeDecodedSaysSo(t *testing.T) {
	registry, err := NewRegistry([]Type{TypeOf(sample)}, upcasters)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ name, data string }{
		"an unknown type":          {"lost.v1", `{}`},
		"broken JSON":              {"drawn.v3", `{"customerId":`},
		"another type of field":    {"drawn.v3", `{"customerId":"c-1","occurredAt":"2026-01-02T03:04:05Z","value":"much"}`},
		"nobody's event":           {"drawn.v3", `{"occurredAt":"2026-01-02T03:04:05Z","value":1}`},
		"a customer of no id":      {"drawn.v3", `{"customerId":"a b","occurredAt":"2026-01-02T03:04:05Z"}`},
		"an event of no time":      {"drawn.v3", `{"customerId":"c-1","value":1}`},
		"an upcaster that fails":   {"drawn.v1", `not json`},
		"an empty payload":         {"drawn.v3", ``},
		"a payload that is null":   {"drawn.v3", `null`},
		"a payload that is a list": {"drawn.v3", `[]`},
	} {
		if event, err := registry.Decode(c.name, []byte(c.data)); !errors.Is(err, domain.ErrUndecodable) {
			t.Errorf("%s: got %v, %v; want domain.ErrUndecodable", what, event, err)
		}
	}
}

// lossy does not survive being stored: its field has no JSON.
type lossy struct {
	domain.About
	Kept string `json:"-"`
}

func (lossy) EventType() string { return "lossy.v1" }

func TestABadRegistrationStopsStartUp(t *testing.T) {
	good := TypeOf(sample)
	same := func(data json.RawMessage) (json.RawMessage, error) { return data, nil }
	for want, c := range map[string]struct {
		types     []Type
		upcasters []Upcaster
	}{
		"registered twice":   {types: []Type{good, good}},
		"leaves Prize empty": {types: []Type{TypeOf(drawn{About: about, Value: 1})}},
		"does not survive":   {types: []Type{TypeOf(lossy{About: about, Kept: "x"})}},
		"two upcasters":      {types: []Type{good}, upcasters: append(upcasters[:2:2], upcasters[0])},
		"is current":         {types: []Type{good}, upcasters: []Upcaster{{From: "drawn.v3", To: "drawn.v4", Up: same}}},
		"leads to no type":   {types: []Type{good}, upcasters: []Upcaster{{From: "drawn.v1", To: "drawn.v9", Up: same}}},
		"go in a circle":     {types: []Type{good}, upcasters: []Upcaster{{From: "a.v1", To: "a.v2", Up: same}, {From: "a.v2", To: "a.v1", Up: same}}},
	} {
		if _, err := NewRegistry(c.types, c.upcasters); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
}

func TestAnEventOfNoRegisteredTypeIsNotStored(t *testing.T) {
	if _, err := loyaltyEvents(t).Encode(sample, Metadata{}); err == nil {
		t.Error("want an error")
	}
}

func TestEventIDsFollowFromTheCommandAndTheIndex(t *testing.T) {
	command := uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	first := EventID(command, 0)
	// uuid5 of that namespace and "0", as Python's uuid module computes it.
	if first.String() != "6af613b6-569c-5c22-9c37-2ed93f31d3af" || first.Version() != 5 {
		t.Errorf("EventID(command, 0) = %s, version %d", first, first.Version())
	}
	if first == EventID(command, 1) || first == EventID(uuid.New(), 0) || first != EventID(command, 0) {
		t.Error("ids must differ by command and index, and by nothing else")
	}
}
