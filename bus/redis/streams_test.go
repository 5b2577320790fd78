package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"loyalty/bus"
	"loyalty/bus/bustest"
	"loyalty/bus/redis"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

func TestACommandMayComeFromAProgramThatKnowsOnlyRedis(t *testing.T) {
	server := redistest.Start(t)
	s := bustest.NewSystem(t, brokerOf(t, open(t, server.URL())))
	results := s.Watch(s.Topics.Results)
	s.Start(nil)
	server.Do("XADD", s.Topics.Commands, "*", "id", "till-7-1", "name", bus.NamePlaceOrder, "correlation_id", "receipt-9", "payload",
		`{"orderId": "o-1", "customerId": "alice", "ItemIds": ["mug"], "paymentDetails": {"amount": 129.99, "currency": "GBP", "card": "4111"}, "channel": "store", "actor": "till-7"}`)
	got := results.Result("till-7-1")
	if got.Status != bus.Placed || got.CorrelationID != "receipt-9" || *got.Points != 13 {
		t.Errorf("got %+v", got)
	}
}

func TestAnEntryThatIsNoMessageIsPoisonedAndStopsNobody(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+quick+"&concurrency=2")
	s := bustest.NewSystem(t, brokerOf(t, b))
	results := s.Watch(s.Topics.Results)
	s.Start(nil)
	for range 5 {
		server.Do("XADD", s.Topics.Commands, "*", "what", "ever")
		server.Do("XADD", s.Topics.Commands, "*", "_watermill_message_uuid", "x", "metadata", "\xff\xfe", "payload", "{}")
	}
	results.Wait(10)
	results.Result(s.Send(bustest.Mug("o-1", "alice")))
	if n, err := b.Depth(t.Context()); err != nil || n != 10 {
		t.Errorf("%d poisoned, %v", n, err)
	}
}

func TestTheStreamOfCommandsIsAsLongAsWhatWaits(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+quick)
	s := bustest.NewSystem(t, brokerOf(t, b))
	for i := range 300 {
		s.Send(bustest.Mug(fmt.Sprintf("o-%d", i), "alice"))
	}
	if n, err := b.TrimNow(t.Context()); err != nil || n != 0 {
		t.Fatalf("with no reader yet it deletes %d, %v", n, err)
	}
	results := s.Watch(s.Topics.Results)
	stop := s.Start(nil)
	results.Wait(300)
	bustest.WaitFor(t, "everything acknowledged", func() bool {
		return strings.HasPrefix(server.Do("XPENDING", s.Topics.Commands, "loyalty"), "[0")
	})
	stop()
	waiting := s.Send(bustest.Mug("o-300", "alice"))
	if n, err := b.TrimNow(t.Context()); err != nil || n < 299 {
		t.Errorf("deleted %d, %v", n, err)
	}
	s.Start(nil)
	if got := results.Result(waiting); got.Status != bus.Placed {
		t.Errorf("got %+v", got)
	}
}

// stuck is a handler for which the store is unavailable for one order.
type stuck struct {
	bus.Commands
	order domain.OrderID
}

func (s stuck) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	if c.Order == s.order {
		return commands.Placed{}, domain.ErrUnavailable
	}
	return s.Commands.PlaceOrder(ctx, c)
}

func TestACommandThatIsNotAcknowledgedIsNeverTrimmed(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+"?claim_after=200ms&concurrency=4")
	s := bustest.NewSystem(t, brokerOf(t, b))
	results := s.Watch(s.Topics.Results)
	stop := s.Start(func(o *bus.IntakeOptions) { o.Commands = stuck{s.Commands, "o-10"} })
	for i := range 100 {
		s.Send(bustest.Mug(fmt.Sprintf("o-%d", i), "alice"))
	}
	// At most three are with the subscription that is stuck.
	results.Wait(97)
	stop()
	if n, err := b.TrimNow(t.Context()); err != nil || n > 10 {
		t.Errorf("deleted %d, %v", n, err)
	}
	s.Start(nil)
	for i := range 100 {
		bustest.WaitFor(t, "every order", func() bool { return s.Stored(fmt.Sprintf("order-store.o-%d", i)) == 2 })
	}
}

func TestTheStreamOfResultsKeepsAboutAsManyAsItIsTold(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+"?keep=100")
	for range 1000 {
		if err := b.Publisher().Publish(b.Topics().Results, message.NewMessage("x", nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := server.Do("XLEN", b.Topics().Results); len(n) != 3 || n > "250" {
		t.Errorf("%s entries", n)
	}
}

// poisonThree poisons a command of each of three kinds, and returns what is listed.
func poisonThree(t *testing.T, s *bustest.System, b opened) []redis.PoisonedEntry {
	t.Helper()
	results := s.Watch(s.Topics.Results)
	stop := s.Start(nil)
	results.Result(s.Send(bustest.Mug("o-1", "alice")))
	results.Result(s.Send(bustest.Mug("o-1", "bob")))
	results.Result(s.Send(bustest.Goodwill("alice", "l-1", 0)))
	m := message.NewMessage("odd", []byte("{"))
	m.Metadata.Set(bus.MetadataName, bus.NamePlaceOrder)
	s.Publish(m)
	results.Result("odd")
	stop()
	return listed(t, b)
}

func listed(t *testing.T, b opened) []redis.PoisonedEntry {
	t.Helper()
	var all []redis.PoisonedEntry
	if err := b.Poisoned(t.Context(), func(e redis.PoisonedEntry) bool { all = append(all, e); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

func codes(entries []redis.PoisonedEntry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Code)
	}
	return strings.Join(all, " ")
}

func TestPoisonedCommandsAreListedOldestFirst(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+quick)
	s := bustest.NewSystem(t, brokerOf(t, b))
	if got := listed(t, b); len(got) != 0 {
		t.Errorf("before: %+v", got)
	}
	if got := codes(poisonThree(t, s, b)); got != "conflict points_zero json_malformed" {
		t.Errorf("got %s", got)
	}
}

func TestARetriedCommandIsCarriedOutOnceAndIsGoneFromThePoison(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+quick)
	s := bustest.NewSystem(t, brokerOf(t, b))
	results := s.Watch(s.Topics.Results)
	stop := s.Start(func(o *bus.IntakeOptions) { o.OrderTimeout = 1 })
	id := s.Send(bustest.Back("o-1", "r-1"))
	if got := results.Result(id); got.Status != bus.Failed {
		t.Fatalf("got %+v", got)
	}
	results.Result(s.Send(bustest.Mug("o-1", "alice")))
	stop()
	entries := listed(t, b)
	if err := b.Retry(t.Context(), entries[0].ID); err != nil {
		t.Fatal(err)
	}
	if left := listed(t, b); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	s.Start(nil)
	bustest.WaitFor(t, "the return", func() bool { return s.Stored("order-store.o-1") == 4 })
	bustest.WaitFor(t, "its result", func() bool { return results.Result(id).Status == bus.Returned })
	if err := b.Retry(t.Context(), entries[0].ID); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
}

func TestRetryAllLeavesWhatFailsAgainInThePoison(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+quick)
	s := bustest.NewSystem(t, brokerOf(t, b))
	before := poisonThree(t, s, b)
	if n, err := b.RetryAll(t.Context(), ""); err != nil || n != 3 {
		t.Fatalf("%d, %v", n, err)
	}
	s.Start(nil)
	bustest.WaitFor(t, "all three again", func() bool { return len(listed(t, b)) == 3 })
	for _, e := range listed(t, b) {
		if e.ID == before[0].ID {
			t.Errorf("%+v is still there", e)
		}
	}
}

func TestADroppedCommandIsGoneAndTheChannelHearsWhy(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+quick)
	s := bustest.NewSystem(t, brokerOf(t, b))
	entries := poisonThree(t, s, b)
	if err := b.Drop(t.Context(), "", entries[2].ID); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("without a reason: %v", err)
	}
	if err := b.Drop(t.Context(), "a test till", entries[2].ID); err != nil {
		t.Fatal(err)
	}
	results := s.Watch(s.Topics.Results)
	bustest.WaitFor(t, "the result", func() bool { return results.Result("odd").Status == bus.Dropped })
	if got := results.Result("odd"); got.Reason != "a test till" || got.Problem.Code != "json_malformed" {
		t.Errorf("got %+v", got)
	}
	if got := codes(listed(t, b)); got != "conflict points_zero" {
		t.Errorf("left: %s", got)
	}
	if n, err := b.DropAll(t.Context(), "the rest too", ""); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	if got := listed(t, b); len(got) != 0 {
		t.Errorf("left: %+v", got)
	}
	if err := b.Drop(t.Context(), "why", "*"); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("no id: %v", err)
	}
}

func TestACrashWhileRetryingDoublesAtMost(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, server.URL()+quick)
	s := bustest.NewSystem(t, brokerOf(t, b))
	results := s.Watch(s.Topics.Results)
	stop := s.Start(func(o *bus.IntakeOptions) { o.OrderTimeout = 1 })
	id := s.Send(bustest.Back("o-1", "r-1"))
	results.Result(id)
	results.Result(s.Send(bustest.Mug("o-1", "alice")))
	stop()
	// The poison topic as a crash between adding and deleting leaves it.
	server.Do("COPY", s.Topics.Poison, "saved")
	for range 2 {
		if err := b.Retry(t.Context(), listed(t, b)[0].ID); err != nil {
			t.Fatal(err)
		}
		if len(listed(t, b)) == 0 {
			server.Do("COPY", "saved", s.Topics.Poison, "REPLACE")
		}
	}
	s.Start(nil)
	results.Wait(4)
	if n := s.Stored("order-store.o-1"); n != 4 {
		t.Errorf("%d events", n)
	}
}

// Each of the servers has a certificate for itself alone. The streams are on different masters of the cluster.
func TestClustersAndSentinelsCarryTheBusAsWell(t *testing.T) {
	cluster, sentinel := redistest.StartTLSCluster(t), redistest.StartTLSSentinel(t)
	for _, address := range []string{"rediss+cluster://" + cluster.Addrs(), "rediss+sentinel://" + sentinel.Addrs() + "/" + redistest.MasterName} {
		b := open(t, address)
		s := bustest.NewSystem(t, bustest.Broker{Publisher: b.Publisher(), Subscriber: b.Subscriber, Topics: b.Topics(), Concurrency: b.Concurrency()})
		s.Start(nil)
		s.Send(bustest.Mug("o-1", "alice"))
		bustest.WaitFor(t, "the order", func() bool { return s.Stored("order-store.o-1") == 2 })
		s.Send(bustest.Mug("o-1", "bob"))
		bustest.WaitFor(t, "the conflict", func() bool { return len(listed(t, b)) == 1 })
		if n, err := b.RetryAll(t.Context(), ""); err != nil || n != 1 {
			t.Errorf("%s: %d retried, %v", address, n, err)
		}
		bustest.WaitFor(t, "the conflict again", func() bool { return len(listed(t, b)) == 1 })
		if _, err := b.TrimNow(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAnAddressSaysWhatIsWrongWithItAndNeverThePassword(t *testing.T) {
	for _, good := range []string{
		"redis://localhost", "rediss://user:hush@host:6380/3", "redis+sentinel://:hush@a,b:1/main/2", "rediss+cluster://a,[::1]:7", "redis://h?prefix={a}.&concurrency=4&keep=10&claim_after=1m&from=start&pool_size=7",
	} {
		if err := redis.ParseAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "redis://", "http://user:hush@h", "redis://user:hush@h/none", "redis://user:hush@h?what=1", "redis://user:hush@h?concurrency=0",
		"redis://user:hush@h?keep=0", "redis://user:hush@h?claim_after=1", "redis://user:hush@h?from=here", "redis://user:hush@h?prefix=a%20b",
		"redis://user:hush@h:port", "redis://user:hu%zzsh@h", "redis://user:hush@a,b",
		"redis+sentinel://user:hush@a", "redis+cluster://user:hush@a/2", "redis+what://user:hush@a", "redis://user:hush@h/0/1",
	} {
		err := redis.ParseAddress(bad)
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: it tells the password: %v", bad, err)
		}
	}
}
