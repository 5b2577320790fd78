package redis_test

import (
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"

	"loyalty/bus"
	"loyalty/bus/bustest"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// Given the users that docs/bus.md lists
// Then commands come from a channel, are carried out, claimed from a process that died, poisoned, retried and dropped, and events are published;
// Redis denies nothing of that, and a channel what it must not do.
func TestTheDocumentedUsersAreAllThatTheBusNeeds(t *testing.T) {
	server := redistest.Start(t)
	as := func(user string) string { return "redis://" + user + ":secret@" + server.Addr() }
	for _, user := range []string{"loyalty-commands", "loyalty-events", "loyalty-poison", "loyalty-channel"} {
		redistest.DocumentedUser(t, []*redistest.Server{server}, "../../docs/bus.md", user, "PASSWORD", "secret")
	}
	s := bustest.NewSystem(t, brokerOf(t, open(t, server.URL())))
	results := s.Watch(s.Topics.Results)

	o, err := goredis.ParseURL(as("loyalty-channel"))
	if err != nil {
		t.Fatal(err)
	}
	channel := goredis.NewClient(o)
	defer channel.Close()
	dies := start(t, s, as("loyalty-commands")+quick)
	dies.stuck.Store(true)
	held := s.Send(bustest.Mug("o-0", "alice"))
	bustest.WaitFor(t, "the command to be held", func() bool { return strings.HasPrefix(server.Do("XPENDING", s.Topics.Commands, "loyalty"), "[1") })
	dies.crash()
	lives := start(t, s, as("loyalty-commands")+quick)
	if got := results.Result(held); got.Status != bus.Placed {
		t.Errorf("got %+v", got)
	}
	payload := `{"orderId": "o-1", "customerId": "alice", "ItemIds": ["mug"], "paymentDetails": {"amount": 129.99, "currency": "GBP"}, "channel": "store", "actor": "till-7"}`
	if err := channel.XAdd(t.Context(), &goredis.XAddArgs{Stream: s.Topics.Commands, Values: []any{"id", "till-7-1", "name", bus.NamePlaceOrder, "payload", payload}}).Err(); err != nil {
		t.Fatal(err)
	}
	if got := results.Result("till-7-1"); got.Status != bus.Placed {
		t.Errorf("got %+v", got)
	}
	if read, err := channel.XRead(t.Context(), &goredis.XReadArgs{Streams: []string{s.Topics.Results, "0"}}).Result(); err != nil || len(read[0].Messages) < 2 {
		t.Errorf("the channel reads %v, %v", read, err)
	}
	for range 2 {
		results.Result(s.Send(bustest.Mug("o-1", "bob")))
	}
	lives.end()

	operator := open(t, as("loyalty-poison"))
	entries := listed(t, operator)
	if n, err := operator.Depth(t.Context()); err != nil || n != 2 || len(entries) != 2 {
		t.Fatalf("%d and %d poisoned, %v", n, len(entries), err)
	}
	if err := operator.Drop(t.Context(), "a test", entries[0].ID); err != nil {
		t.Error(err)
	}
	if n, err := operator.RetryAll(t.Context(), "conflict"); err != nil || n != 1 {
		t.Errorf("%d retried, %v", n, err)
	}
	process := open(t, as("loyalty-commands"))
	if _, err := process.TrimNow(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := process.Depth(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open(t, as("loyalty-events")).Publisher().Publish(s.Topics.Events, message.NewMessage("e-1", []byte("{}"))); err != nil {
		t.Error(err)
	}
	if denied := server.Do("ACL", "LOG"); denied != "[]" {
		t.Errorf("Redis has denied %s", denied)
	}

	for what, err := range map[string]error{
		"read commands": channel.XRead(t.Context(), &goredis.XReadArgs{Streams: []string{s.Topics.Commands, "0"}}).Err(),
		"write results": channel.XAdd(t.Context(), &goredis.XAddArgs{Stream: s.Topics.Results, Values: []any{"a", "b"}}).Err(),
		"delete":        channel.Del(t.Context(), s.Topics.Commands).Err(),
	} {
		if !goredis.HasErrorPrefix(err, "NOPERM") {
			t.Errorf("a channel may %s: %v", what, err)
		}
	}
}
