package queries_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/queries"
	"loyalty/readmodels/ledger"
)

func TestAnOrderIsExplainedInWordsAndNumbersWithItsEventsAndTheProof(t *testing.T) {
	s := open(t)
	// Given a customer with points, and an order of which a part went back
	s.place("o-0", 5000)
	s.place("o-1", 12999)
	entries := s.trail(s.giveBack("o-1", "r-1", 4000), "alice")

	// When the return is explained
	told := s.explain(entries[0])

	// Then the words are those of the whole order up to it
	want := "£129.99 ÷ £10.00 = 12.999 → 13, policy of 2026-01; £40.00 returned: net £89.99 ÷ £10.00 = 8.999 → 9, so 4 taken back"
	if told.Text != want {
		t.Errorf("it says\n%s, not\n%s", told.Text, want)
	}
	if diff := cmp.Diff(queries.Proof{Sum: 9, Computed: 9, Before: 18, After: 14, Agrees: true}, told.Proof); diff != "" {
		t.Errorf("the proof (-want +got):\n%s", diff)
	}
	if len(told.Steps) != 2 || told.Steps[0].This || !told.Steps[1].This || told.Steps[1].Points != -4 {
		t.Errorf("the steps are %+v", told.Steps)
	}
	// And the events are there as they are stored
	var types []string
	for i, e := range told.Events {
		types = append(types, e.Type)
		if e.Stream != "order-store.o-1" || e.Revision != uint64(i) || e.StoredAt.IsZero() || !json.Valid(e.Data) || !json.Valid(e.Metadata) {
			t.Errorf("event %d is %+v", i, e)
		}
	}
	if want := []string{order.TypePlaced, order.TypePointsAwarded, order.TypeItemsReturned, order.TypePointsReversed}; !slices.Equal(types, want) {
		t.Errorf("the events are %v, not %v", types, want)
	}
	if last := told.Events[3]; last.EventID != entries[0].EventID || last.Position != entries[0].Position {
		t.Errorf("the last event is %+v, and the entry %+v", last, entries[0])
	}

	// And the award's own words end before the return
	if award := s.explain(entries[1]); award.Text != "£129.99 ÷ £10.00 = 12.999 → 13, policy of 2026-01" || !award.Proof.Agrees || award.Proof.Before != 5 || award.Proof.After != 18 {
		t.Errorf("the award is explained as %+v", award)
	}
}

func TestAnAdjustmentIsExplainedByWhoAskedAndWhoApproved(t *testing.T) {
	s := open(t)
	// Given a small adjustment, and a large one that a second person approved
	must[commands.Adjusted](t)(s.do.AdjustPoints(bounded(t), commands.AdjustPoints{Caller: agent, Customer: "alice", ID: "a-1", Points: 5, Reason: "goodwill", Limit: 100}))
	must[commands.Adjusted](t)(s.do.AdjustPoints(bounded(t), commands.AdjustPoints{Caller: agent, Customer: "alice", ID: "a-2", Points: 500, Reason: "lost parcel", Limit: 100}))
	done := must[commands.Adjusted](t)(s.do.ApproveAdjustment(bounded(t), commands.ApproveAdjustment{Caller: boss, Customer: "alice", ID: "staff.a-2"}))
	entries := s.trail(done.Position, "alice")

	large := s.explain(entries[0])
	var said []string
	for _, step := range large.Steps {
		said = append(said, step.Text)
	}
	if want := []string{
		"agent-1 asked for +500 points, more than they may give or take alone: lost parcel",
		"agent-2 approved what agent-1 asked for",
		"+500 points by agent-1: lost parcel",
	}; !slices.Equal(said, want) {
		t.Errorf("the large one is explained by %q, not %q", said, want)
	}
	if diff := cmp.Diff(queries.Proof{Sum: 500, Computed: 500, Before: 5, After: 505, Agrees: true}, large.Proof); diff != "" || len(large.Events) != 3 {
		t.Errorf("%d events, the proof (-want +got):\n%s", len(large.Events), diff)
	}
	small := s.explain(entries[1])
	if small.Text != "+5 points by agent-1: goodwill" || len(small.Events) != 1 || !small.Proof.Agrees {
		t.Errorf("the small one is explained as %+v", small)
	}
}

func TestWhatDoesNotAddUpIsSaid(t *testing.T) {
	s := open(t)
	s.place("o-0", 5000)
	s.place("o-1", 12999)
	entry := s.trail(s.giveBack("o-1", "r-1", 4000), "alice")[0]
	for name, c := range map[string]struct {
		change func(*ledger.Entry)
		says   string
	}{
		"the ledger has other points":       {func(e *ledger.Entry) { e.Points, e.Total = -5, 13 }, "changed the points by -4, and in the ledger by -5"},
		"the ledger's total does not fit":   {func(e *ledger.Entry) { e.Total = 99 }, "total went from 18 to 99"},
		"the ledger has another revision":   {func(e *ledger.Entry) { e.Revision = 1 }, "revision 3, and in the ledger 1"},
		"the entry is not from that stream": {func(e *ledger.Entry) { e.Stream = "order-o-0" }, "is not in stream order-o-0"},
		"the stream is not there":           {func(e *ledger.Entry) { e.Stream = "order-o-9" }, "is not in stream order-o-9"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := entry
			c.change(&wrong)
			told := s.explain(wrong)
			if told.Proof.Agrees || !strings.Contains(strings.Join(told.Proof.Mismatches, "\n"), c.says) {
				t.Errorf("it says %+v, nothing of %q", told.Proof, c.says)
			}
		})
	}
}

// misfiled is a ledger in which an entry of alice's is bob's only one.
type misfiled struct{ ledger.Reader }

func (misfiled) Trail(context.Context, domain.CustomerID, ledger.Filter, string, int) (ledger.Trail, error) {
	return ledger.Trail{}, nil
}

func TestAnEntryThatIsSomebodyElsesIsFound(t *testing.T) {
	s := open(t)
	entry := s.trail(s.place("o-1", 12999), "alice")[0]
	s.Ledger, entry.Customer = misfiled{s.Ledger}, "bob"
	if told := s.explain(entry); !slices.Equal(told.Proof.Mismatches, []string{"the event is about another customer"}) {
		t.Errorf("it finds %q", told.Proof.Mismatches)
	}
}

func TestAnAwardThatItsPolicyDoesNotGiveIsFound(t *testing.T) {
	s := open(t)
	// Given an order whose stored award is a point too many
	about, paid := domain.About{CustomerID: "alice", OccurredAt: noon}, domain.Money{Minor: 12999, Currency: domain.GBP}
	at, err := s.store.Append(bounded(t), "order-forged", eventstore.NoStream, uuid.New(), eventstore.Metadata{},
		order.Placed{About: about, OrderID: "forged", Items: []string{"mug"}, Paid: paid},
		order.PointsAwarded{About: about, OrderID: "forged", Points: 14, Paid: paid, Policy: domain.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	told := s.explain(s.trail(at, "alice")[0])
	if told.Proof.Agrees || told.Proof.Sum != 14 || told.Proof.Computed != 13 || len(told.Proof.Mismatches) != 2 {
		t.Errorf("the proof is %+v", told.Proof)
	}
}

func TestAnApprovalOfOnesOwnRequestIsFound(t *testing.T) {
	s := open(t)
	about := domain.About{CustomerID: "alice", OccurredAt: noon}
	at, err := s.store.Append(bounded(t), "account-alice", eventstore.NoStream, uuid.New(), eventstore.Metadata{},
		account.AdjustmentRequested{About: about, LoyaltyID: "a-1", Points: 500, Reason: "mine", Actor: "agent-1"},
		account.AdjustmentApproved{About: about, LoyaltyID: "a-1", Points: 500, RequestedBy: "agent-1", Actor: "agent-1"},
		account.PointsAdjusted{About: about, LoyaltyID: "a-1", Points: 600, Reason: "mine", Actor: "agent-1"})
	if err != nil {
		t.Fatal(err)
	}
	told := s.explain(s.trail(at, "alice")[0])
	if want := []string{"agent-1 approved what they asked for themselves", "+600 points were made of a request for +500"}; !slices.Equal(told.Proof.Mismatches, want) {
		t.Errorf("it finds %q, not %q", told.Proof.Mismatches, want)
	}
}

func TestEveryEntryOfManyOrdersIsExplainedAndAgrees(t *testing.T) {
	s := open(t)
	// Given orders that go back in three parts each, in amounts that round up and down
	var last domain.Position
	const orders = 12
	for i := range int64(orders) {
		id := domain.OrderID(fmt.Sprintf("o-%d", i))
		s.place(id, 1000+i*777)
		for part := range int64(3) {
			last = s.giveBack(id, domain.ReturnID(fmt.Sprintf("r-%d", part)), 100+i*211)
		}
	}
	entries := s.trail(last, "alice")
	if len(entries) != orders*4 {
		t.Fatalf("there are %d entries", len(entries))
	}
	for _, e := range entries {
		if told := s.explain(e); !told.Proof.Agrees || told.Text == "" || len(told.Steps) != 4 || len(told.Events) != 8 {
			t.Errorf("entry %s is explained as %+v", e.EventID, told)
		}
	}
}

func TestWithoutTheEventStoreNothingIsExplained(t *testing.T) {
	s := open(t)
	entry := s.trail(s.place("o-1", 12999), "alice")[0]
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if told, err := s.Explain(ended, entry); err == nil {
		t.Errorf("it is explained as %+v", told)
	}
}

func TestTheNewestEntryIsFoundOfEachOrderThatAnIDMayMean(t *testing.T) {
	s := open(t)
	// Given an order of alice's with a return; one of bob's of before ids had issuers; and one of alice's own, all with the same number
	s.place("o-1", 12999)
	s.place("o-2", 5000)
	s.giveBack("o-1", "r-1", 4000)
	about, paid := domain.About{CustomerID: "bob", OccurredAt: noon}, domain.Money{Minor: 12999, Currency: domain.GBP}
	at, err := s.store.Append(bounded(t), "order-o-1", eventstore.NoStream, uuid.New(), eventstore.Metadata{},
		order.Placed{About: about, OrderID: "o-1", Items: []string{"mug"}, Paid: paid},
		order.PointsAwarded{About: about, OrderID: "o-1", Points: 13, Paid: paid, Policy: domain.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	s.trail(at, "bob")
	own := commands.Caller{Actor: "alice", Channel: domain.Website, Issuer: domain.CustomerID("alice").Issuer()}
	s.trail(must[commands.Placed](t)(s.do.PlaceOrder(bounded(t), commands.PlaceOrder{Caller: own, Order: "o-1", Customer: "alice", Items: []string{"mug"}, Paid: paid})).Position, "alice")
	for _, c := range []struct {
		order    domain.OrderID
		customer domain.CustomerID
		want     string
	}{
		{"o-1", "", "reversal of store.o-1 of alice, award of o-1 of bob"},
		{"o-1", "alice", "award of customer.alice.o-1 of alice, reversal of store.o-1 of alice"},
		{"o-1", "bob", "award of o-1 of bob"},
		{"store.o-1", "", "reversal of store.o-1 of alice"},
		{"store.o-1", "alice", "reversal of store.o-1 of alice"},
		{"store.o-1", "bob", ""},
		{"website.o-1", "", ""},
		{"customer.alice.o-1", "", "award of customer.alice.o-1 of alice"},
		{"o-1", "cleo", ""},
		{"o-2", "", "award of store.o-2 of alice"},
		{"alice", "", ""}, // an id, and no order's
	} {
		// When the newest entry of an order is asked for
		latest, err := queries.LatestOfOrders(bounded(t), s.ledger, c.order, c.customer)
		// Then there is one for each order
		var got []string
		for _, e := range latest {
			got = append(got, fmt.Sprintf("%s of %s of %s", e.Kind, e.Order, e.Customer))
		}
		if err != nil || strings.Join(got, ", ") != c.want {
			t.Errorf("order %s of %q: got %q, %v; want %q", c.order, c.customer, got, err, c.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := queries.LatestOfOrders(ended, s.ledger, "o-1", ""); err == nil {
		t.Error("a question that was given up has an answer")
	}
}
