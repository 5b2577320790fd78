package eventstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/domain/order"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/eventstore/embedded/embeddedtest"
	"loyalty/eventstore/storetest"
)

func TestTheEndsOfTheLogAndOfAppendsAreFound(t *testing.T) {
	store := storetest.Open(t)
	if _, _, found, err := store.Extent(t.Context(), func(domain.Position, domain.Position) {}); found || err != nil {
		t.Errorf("the ends of an empty log: %t, %v", found, err)
	}
	var ends []domain.Position
	for i, n := range []int{1, 3, 2, 1} {
		command := uuid.New()
		var events []domain.Event
		for j := range n {
			events = append(events, storetest.Adjusted("a", domain.Points(10*i+j+1)))
		}
		// Appends to one stream stand behind each other as the events of one append do.
		expected := eventstore.NoStream
		if i > 0 {
			expected = int64([]int{0, 1, 4, 6}[i]) - 1
		}
		end, err := store.Append(t.Context(), "account-a", expected, command, eventstore.Metadata{Causation: command.String()}, events...)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			ends = append(ends, end)
		}
	}
	first, last, found, err := store.Extent(t.Context(), func(domain.Position, domain.Position) {})
	if err != nil || !found || first.Revision != 0 || last.Position != ends[6] {
		t.Errorf("from %+v to %+v, %v", first, last, err)
	}
	var all []eventstore.Recorded
	if _, err := store.Between(t.Context(), domain.Checkpoint{}, last.Position, []string{account.TypePointsAdjusted}, func(r eventstore.Recorded) error { all = append(all, r); return nil }); err != nil {
		t.Fatal(err)
	}
	for i, r := range all {
		if got, err := store.AppendEnd(t.Context(), r.Position); err != nil || got != ends[i] {
			t.Errorf("event %d is in an append that ends at %s, %v; want %s", i, got, err, ends[i])
		}
	}
	if got, err := store.AppendEnd(t.Context(), domain.Position{}); got != (domain.Position{}) || err != nil {
		t.Errorf("before all events: %s, %v", got, err)
	}
}

func TestTheFirstStreamOfSomeTypesIsFound(t *testing.T) {
	store := storetest.Open(t)
	first := func(want string) {
		t.Helper()
		if got, err := store.FirstStream(t.Context(), order.TypePlaced, order.TypePointsAwarded); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	first("")
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	first("")
	storetest.Add(t, store, "order-1", storetest.Placed("a"))
	first("order-1")
	storetest.Add(t, store, "order-2", storetest.Placed("a"))
	first("order-1")
	if _, err := store.FirstStream(t.Context(), "unheard-of.v1"); err == nil {
		t.Error("a type that nobody knows has a stream")
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := store.FirstStream(t.Context(), order.TypePlaced); got != "" || !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("without the store: %q, %v", got, err)
	}
}

func TestEventsCanBeReadUndecodedAndDecodedOneByOne(t *testing.T) {
	store := storetest.Open(t)
	for i := range 5 {
		storetest.Add(t, store, fmt.Sprint("account-", i), storetest.Adjusted("a", domain.Points(i+1)))
		storetest.Add(t, store, fmt.Sprint("order-", i), storetest.Placed("a"))
	}
	_, last, _, err := store.Extent(t.Context(), func(domain.Position, domain.Position) {})
	if err != nil {
		t.Fatal(err)
	}
	types := []string{account.TypePointsAdjusted, order.TypePlaced}
	var want, got []eventstore.Recorded
	_, err = store.Between(t.Context(), domain.Checkpoint{}, last.Position, types, func(r eventstore.Recorded) error { want = append(want, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	err = store.ReadAhead(t.Context(), domain.Checkpoint{}, last.Position, types, func(domain.Position) {}, func(r *eventstore.Raw) error {
		event, metadata, err := store.Decode(r)
		got = append(got, eventstore.Recorded{
			ID: r.ID, Stream: r.Stream, Revision: r.Revision, Position: r.Position, Created: r.Created, Type: r.Type,
			Data: []byte(r.Data), Stored: []byte(r.Metadata), Event: event, Metadata: metadata,
		})
		return err
	})
	if diff := cmp.Diff(want, got); diff != "" || err != nil || len(got) != 10 {
		t.Errorf("%v (-decoded +one by one):\n%s", err, diff)
	}
	broken := eventstore.Raw{Type: account.TypePointsAdjusted, Stream: "account-a", Data: "{", Position: last.Position}
	if _, _, err := store.Decode(&broken); !errors.Is(err, domain.ErrUndecodable) || !strings.Contains(err.Error(), "account-… at position "+last.Position.String()) {
		t.Errorf("got %v", err)
	}
}

// Given a read model that has seen an event, and a log that was restored from an older copy and has grown since
// When no event begins at the position of that event any more
// Then the log is found to be another, whatever the server answers to who reads from there.
func TestALogInWhichNoEventBeginsAtACheckpointIsAnother(t *testing.T) {
	for _, version := range embedded.Versions() {
		t.Run(version, func(t *testing.T) {
			server := embeddedtest.Imitate(t, version)
			store := storetest.Connect(t, server.Target)
			storetest.Begin(t, store)
			at := storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
			events, _, err := store.Load(t.Context(), "account-a")
			if err != nil {
				t.Fatal(err)
			}
			storetest.Add(t, store, "account-a", storetest.Adjusted("a", 2))
			server.Displace(at.Commit)
			from := domain.Checkpoint{Position: at, Last: domain.EventRef{Position: at, ID: events[0].ID.String()}}
			err = store.Follow(bounded(t), from, []string{account.TypePointsAdjusted}, func(eventstore.Item) error { return nil })
			if !errors.Is(err, domain.ErrWrongLog) {
				t.Errorf("got %v, want domain.ErrWrongLog", err)
			}
		})
	}
}
