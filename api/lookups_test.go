package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
)

// entryID is that of an entry which nobody has but who is fixed.
const entryID = "0b9bd5f1-54a2-5a04-8ff7-37f9ea54ad0b"

// The staff who may do more than others.
var (
	revealer = auth.Claims{Subject: "staff-4", Role: auth.RoleSupport, Rights: "reveal"}
	auditor  = auth.Claims{Subject: "auditor-1", Role: auth.RoleAnalyst, Rights: "audit"}
)

// nameOf is a customer's proxy name in these tests.
func nameOf(t testing.TB, customer string) string {
	return config(t, io.Discard).Proxies.Key(domain.CustomerID(customer)).Name()
}

// lookingUp is every read but that of today's dashboard and of a trail.
func lookingUp() []exchange {
	return []exchange{
		{as: support, method: "GET", path: "/loyalty/ann/entries/" + entryID, status: 200},
		{as: support, method: "GET", path: "/search?q=ann", status: 200},
		{as: support, method: "GET", path: "/approvals", status: 200},
		{as: auditor, method: "GET", path: "/acts", status: 200},
		{as: analyst, method: "GET", path: "/earnings", status: 200},
		lookingBack()[0], lookingBack()[1], lookingBack()[2],
	}
}

// lookingBack is every read of the past.
func lookingBack() []exchange {
	return []exchange{
		{as: support, method: "GET", path: "/loyalty/ann/changes?since=2026-10-01", status: 200},
		{as: support, method: "GET", path: "/loyalty/ann?asOf=2026-10-01", status: 200},
		{as: analyst, method: "GET", path: "/leaderboard?asOf=2026-10-01", status: 200},
	}
}

type explanation struct {
	Entry entry
	Text  string
	Steps []struct {
		EventID, Text string
		Points        int64
		This          bool
	}
	Proof struct {
		Sum, Computed, Before, After int64
		Agrees                       bool
		Trouble                      []string
	}
	Events []struct {
		EventID, Type, Stream string
		Revision              uint64
		Position              *domain.Position
		StoredAt              time.Time
		Data, Metadata        map[string]any
	}
}

type match struct {
	By, CustomerID, OrderID, EntryID string
	OccurredAt                       *time.Time
}

type found struct {
	Matches   []match
	More      bool
	ProxyName *struct {
		Name, Reveal string
		Customers    int
	}
	Position domain.Position
	AsOf     *time.Time
}

// get asks for something that reflects the end of the log.
func get[T any](t *testing.T, s *stack, as auth.Claims, path string) T {
	t.Helper()
	return getAfter[T](t, s, as, path, s.end())
}

// getAfter is what a request is answered with once a position is known.
func getAfter[T any](t *testing.T, s *stack, as auth.Claims, path string, position domain.Position) T {
	t.Helper()
	return decode[T](t, s.do(t, exchange{as: as, method: "GET", path: path, header: after(position), status: 200}))
}

// runLookups is what support and auditors ask about ann, who bought, brought something back and was given points, of which some
// still wait; and about gus, who was forgotten.
func runLookups(t *testing.T, doc *document) {
	s := startStack(t, doc)
	give := func(points int, key string, status int) {
		t.Helper()
		s.do(t, exchange{as: support, method: "POST", path: "/loyalty/ann", body: fmt.Sprintf(`{"loyalty-points": %d, "reason": "lost parcel"}`, points),
			status: status, header: http.Header{"Idempotency-Key": {key}, "X-Request-Id": {"request-" + key}}})
	}
	s.do(t, exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`"129.99"`, "ann"), status: 201})
	s.do(t, exchange{as: support, method: "POST", path: "/order/store.o-1/returns/r-1", body: `{"amount": "40.00", "reason": "too small"}`, status: 201})
	s.do(t, exchange{as: till, method: "POST", path: "/order/o-2", body: orderOf(`10`, "gus"), status: 201})
	give(25, "small-1", 201)
	give(2000, "big-1", 202)
	give(3000, "big-2", 202)
	if _, err := s.commands.ForgetCustomer(t.Context(), commands.ForgetCustomer{Customer: "gus", Reason: "asked to be", Caller: commands.Caller{Actor: "staff-9", Issuer: domain.Staff}}); err != nil {
		t.Fatal(err)
	}
	t.Run("an entry is explained, with the events as stored and the proof", func(t *testing.T) { s.explained(t) })
	t.Run("an id leads to its customer", func(t *testing.T) { s.found(t) })
	t.Run("a name is revealed once that is recorded", func(t *testing.T) { s.revealed(t) })
	t.Run("what waits for a second person is listed until it is decided", func(t *testing.T) { s.waiting(t) })
	t.Run("auditors see who did what", func(t *testing.T) { s.audited(t) })
}

func (s *stack) explained(t *testing.T) {
	entries := get[trail](t, s, support, "/loyalty/ann/trail?kind=reversal").Entries
	if len(entries) != 1 {
		t.Fatalf("the reversals are %+v", entries)
	}
	got := get[explanation](t, s, support, "/loyalty/ann/entries/"+entries[0].EntryID)
	if diff := cmp.Diff(entries[0], got.Entry); diff != "" {
		t.Errorf("the entry is not that of the trail (-trail +explained):\n%s", diff)
	}
	for _, part := range []string{"£129.99 ÷ £10.00 = 12.999 → 13", "£40.00 returned: net £89.99 ÷ £10.00 = 8.999 → 9, so 4 taken back"} {
		if !strings.Contains(got.Text, part) {
			t.Errorf("%q does not say %q", got.Text, part)
		}
	}
	if len(got.Steps) != 2 || got.Steps[0].Points != 13 || got.Steps[1].Points != -4 || got.Steps[0].This || !got.Steps[1].This {
		t.Errorf("the steps are %+v", got.Steps)
	}
	if p := got.Proof; p.Sum != 9 || p.Computed != 9 || p.Before != 13 || p.After != 9 || !p.Agrees || len(p.Trouble) != 0 {
		t.Errorf("the proof is %+v", p)
	}
	stored, _, err := s.store.Load(t.Context(), "order-store.o-1")
	if err != nil || len(got.Events) != len(stored) {
		t.Fatalf("%d events of %d, %v", len(got.Events), len(stored), err)
	}
	for i, e := range got.Events {
		var data map[string]any
		if err := json.Unmarshal(stored[i].Data, &data); err != nil || fmt.Sprint(data) != fmt.Sprint(e.Data) {
			t.Errorf("event %d has %v, stored is %s", i, e.Data, stored[i].Data)
		}
		if e.EventID != stored[i].ID.String() || e.Type != stored[i].Type || e.Revision != uint64(i) || e.Metadata["$correlationId"] == "" {
			t.Errorf("event %d is %+v", i, e)
		}
	}
}

func (s *stack) found(t *testing.T) {
	end := s.end()
	for q, want := range map[string]match{
		"ann":         {By: "customer", CustomerID: "ann"},
		"o-1":         {By: "order", CustomerID: "ann", OrderID: "store.o-1"},
		"%20o-1%20":   {By: "order", CustomerID: "ann", OrderID: "store.o-1"},
		"store.o-1":   {By: "order", CustomerID: "ann", OrderID: "store.o-1"},
		"r-1":         {By: "return", CustomerID: "ann", OrderID: "store.o-1"},
		"staff.r-1":   {By: "return", CustomerID: "ann", OrderID: "store.o-1"},
		"website.o-1": {},
		"store.r-1":   {},
		"small-1":     {By: "loyalty", CustomerID: "ann"},
		"nobody":      {},
		"a%20b":       {},
		"%00":         {},
		"%C3%A9t%FF":  {},
		"Amber+Otter": {},
	} {
		got := get[found](t, s, support, "/search?q="+q)
		if want.By == "" {
			if len(got.Matches) > 0 || got.ProxyName != nil {
				t.Errorf("%s leads to %+v", q, got)
			}
			continue
		}
		if len(got.Matches) != 1 || got.More || got.Position.Before(end) || got.AsOf == nil {
			t.Errorf("%s leads to %+v", q, got)
			continue
		}
		m := got.Matches[0]
		if (m.EntryID == "" || m.OccurredAt == nil) != (m.By == "customer") {
			t.Errorf("%s leads to the entry %q of %v", q, m.EntryID, m.OccurredAt)
		}
		if m.EntryID, m.OccurredAt = "", nil; m != want {
			t.Errorf("%s leads to %+v, want %+v", q, m, want)
		}
	}
	name := nameOf(t, "ann")
	end = s.end()
	for text, customers := range map[string]int{
		name: 1, strings.ToUpper(name): 1, "  " + strings.ToLower(strings.ReplaceAll(name, " ", "  ")): 1,
		nameOf(t, "gus"): 0, nameOf(t, "nobody"): 0,
	} {
		a := s.do(t, exchange{as: support, method: "GET", path: "/search?q=" + strings.ReplaceAll(text, " ", "+"), header: after(end), status: 200})
		got := decode[found](t, a)
		if len(got.Matches) > 0 || got.ProxyName == nil || got.ProxyName.Customers != customers || got.ProxyName.Reveal != "/reveals" {
			t.Errorf("%s leads to %s", text, a.body)
		} else if !strings.EqualFold(got.ProxyName.Name, strings.Join(strings.Fields(text), " ")) || strings.Contains(string(a.body), `"ann"`) {
			t.Errorf("%s leads to %s", text, a.body)
		}
	}
	if s.end() != end {
		t.Error("a search for a name appended something")
	}
}

// waitingWrongly asks for a position that is none.
func waitingWrongly(x exchange) exchange {
	x.header = http.Header{"Loyalty-Min-Position": {"yesterday"}}
	return bad(x, "a position that is none", "", "position_malformed", "Loyalty-Min-Position")
}

// doublyWrong asks for such a position too, and is wrong anyway.
func doublyWrong(x exchange) exchange {
	x = waitingWrongly(x)
	x.name, x.code, x.field = "two faults", "invalid_input", ""
	return x
}

// invalidLookups is what nobody is told, after ann has placed order o-1.
func invalidLookups() []exchange {
	at := func(path string) exchange { return exchange{as: support, method: "GET", path: path} }
	const entries = "/loyalty/ann/entries/"
	return []exchange{
		{name: "an entry that nobody has", as: support, method: "GET", path: entries + entryID, status: 404, code: "not_found"},
		{name: "what is no entry's id", as: support, method: "GET", path: entries + "7", status: 404, code: "not_found"},
		bad(at("/loyalty/a.b/entries/"+entryID), "customer outside the alphabet", "", "id_malformed", "userId"),
		bad(at(entries+long), "an id too long", "", "id_too_long", "entryId"),
		waitingWrongly(at(entries + entryID)), doublyWrong(at("/loyalty/a.b/entries/" + entryID)),

		bad(at("/search"), "nothing to search for", "", "q_missing", "q"),
		bad(at("/search?q="), "nothing to search for", "", "q_missing", "q"),
		bad(at("/search?q=+%09"), "blanks to search for", "", "q_missing", "q"),
		bad(at("/search?q="+strings.Repeat(long, 3)), "too much to search for", "", "q_too_long", "q"),
		bad(at("/search?q=%zz"), "a malformed query", "", "query_malformed", "query"),
		waitingWrongly(at("/search?q=ann")), doublyWrong(at("/search")),
	}
}
