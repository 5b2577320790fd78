package topics_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/eventstore/topics"
)

// timeout bounds every wait in these tests. None takes nearly as long.
const timeout = 30 * time.Second

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// subscribe opens a topic of adjustments that starts after a position.
func subscribe(t *testing.T, store *eventstore.Store, window int, from domain.Position) (<-chan *message.Message, *topics.Subscriber) {
	t.Helper()
	subscriber := topics.NewSubscriber(store, window, slog.New(slog.DiscardHandler), map[string]topics.Topic{"points": {
		Types: []string{account.TypePointsAdjusted},
		From:  func(context.Context) (domain.Checkpoint, error) { return domain.CheckpointAt(from), nil },
	}})
	t.Cleanup(func() { _ = subscriber.Close() })
	messages, err := subscriber.Subscribe(bounded(t), "points")
	if err != nil {
		t.Fatal(err)
	}
	return messages, subscriber
}

// next receives the next message that tells an event; it acknowledges those that do not.
func next(t *testing.T, messages <-chan *message.Message) *message.Message {
	t.Helper()
	for {
		select {
		case m, open := <-messages:
			if !open {
				t.Fatal("the subscription has ended")
			}
			if topics.ItemOf(m).Event != nil {
				return m
			}
			m.Ack()
		case <-time.After(timeout):
			t.Fatal("waited in vain for a message")
		}
	}
}

func TestMessagesComeInTheOrderOfTheLogUpToTheWindow(t *testing.T) {
	store := storetest.Open(t)
	for i := range 10 {
		storetest.Add(t, store, "account-a", storetest.Adjusted("a", domain.Points(i+1)))
	}
	const window = 3
	messages, _ := subscribe(t, store, window, domain.Position{})
	var held []*message.Message
	for i := range window {
		m := next(t, messages)
		if got := topics.ItemOf(m).Event.Event.(account.PointsAdjusted).Points; got != domain.Points(i+1) {
			t.Fatalf("message %d tells %d points", i, got)
		}
		if m.Metadata.Get("type") != account.TypePointsAdjusted || m.UUID != topics.ItemOf(m).Event.ID.String() || len(m.Payload) == 0 {
			t.Errorf("message %d is %+v", i, m)
		}
		held = append(held, m)
	}
	select {
	case <-messages:
		t.Fatal("more messages came than the window holds")
	case <-time.After(50 * time.Millisecond):
	}
	for i := range 7 {
		held[0].Ack()
		held = append(held[1:], next(t, messages))
		if got := topics.ItemOf(held[len(held)-1]).Event.Event.(account.PointsAdjusted).Points; got != domain.Points(window+i+1) {
			t.Fatalf("after %d messages came %d points", window+i, got)
		}
	}
}

func TestANackEndsTheSubscription(t *testing.T) {
	store := storetest.Open(t)
	for i := range 3 {
		storetest.Add(t, store, "account-a", storetest.Adjusted("a", domain.Points(i+1)))
	}
	messages, _ := subscribe(t, store, 10, domain.Position{})
	next(t, messages).Nack()
	storetest.WaitFor(t, "the channel is closed", func() bool {
		select {
		case _, open := <-messages:
			return !open
		default:
			return false
		}
	})
}

func TestCloseEndsEverySubscription(t *testing.T) {
	store := storetest.Open(t)
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	messages, subscriber := subscribe(t, store, 1, domain.Position{})
	if err := subscriber.Close(); err != nil {
		t.Fatal(err)
	}
	for range messages {
		// One may have been on its way.
		continue
	}
	if _, err := subscriber.Subscribe(bounded(t), "rumours"); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("an unknown topic: got %v, want domain.ErrInvalid", err)
	}
}

func TestAnEventThatCannotBeDecodedEndsTheSubscriptionLoudly(t *testing.T) {
	_, target := storetest.Start(t)
	store := storetest.Connect(t, target)
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	client, err := esdb.NewClient(&esdb.Configuration{Address: target, DisableTLS: true, MaxDiscoverAttempts: 1, GossipTimeout: 5, Logger: esdb.NoopLogging()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.AppendToStream(bounded(t), "account-b", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, esdb.EventData{
		EventType: account.TypePointsAdjusted, ContentType: esdb.ContentTypeJson, Data: []byte(`{"points":"many"}`),
	}); err != nil {
		t.Fatal(err)
	}
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 2))

	messages, _ := subscribe(t, store, 10, domain.Position{})
	var told []domain.Points
	var lost error
	for m := range messages {
		item := topics.ItemOf(m)
		if item.Event != nil {
			told = append(told, item.Event.Event.(account.PointsAdjusted).Points)
		}
		if item.Lost != nil {
			lost = item.Lost
		}
		m.Ack()
	}
	if len(told) != 1 || told[0] != 1 {
		t.Errorf("delivered %v; want the event before the bad one, and none after", told)
	}
	if !errors.Is(lost, domain.ErrUndecodable) {
		t.Errorf("the last message tells %v, want domain.ErrUndecodable", lost)
	}
}
