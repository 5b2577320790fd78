package bus_test

import (
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"loyalty/bus"
	"loyalty/bus/bustest"
	"loyalty/eventstore/storetest"
)

// Given a server that answers with each status in turn that may pass, such as the one for a password that was changed
// When a command comes, and hours pass
// Then the command waits, and is carried out once the server is well again.
func TestACommandWaitsHoweverLongTheStoreRefuses(t *testing.T) {
	var passing []codes.Code
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		if code != codes.InvalidArgument && code != codes.DataLoss {
			passing = append(passing, code)
		}
	}
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	s := bustest.SystemOn(t, goChannel(t), storetest.Connect(t, front.Target))
	results, poison := s.Watch(s.Topics.Results), s.Watch(s.Topics.Poison)
	var refused atomic.Int64
	front.Answer(func(c *storetest.Call) error {
		if c.Method != storetest.MethodAppend {
			return c.Pass()
		}
		c.Drain()
		return storetest.Refused(passing[int(refused.Add(1))%len(passing)], "no")
	})
	s.Start(func(o *bus.IntakeOptions) {
		o.Now = func() time.Time { return time.Unix(3600*refused.Load(), 0) }
	})
	id := s.Send(bustest.Mug("o-1", "alice"))
	bustest.WaitFor(t, "many attempts", func() bool { return int(refused.Load()) > 2*len(passing) })
	front.Answer(nil)
	if got := results.Result(id); got.Status != bus.Placed {
		t.Errorf("got %+v", got)
	}
	if n := len(poison.All()); n != 0 {
		t.Errorf("%d commands are poisoned", n)
	}
}
