package eventstore_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// fronted is a store behind a front, whose client does not pause between attempts.
func fronted(t *testing.T) (*storetest.Front, *eventstore.Store) {
	t.Helper()
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	store, err := openAt(t, front.Target, eventstore.Options{Backoff: func(int) time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return front, store
}

func openAt(t *testing.T, target string, o eventstore.Options) (*eventstore.Store, error) {
	t.Helper()
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(bounded(t), target, registry, o)
	if err == nil {
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return store, err
}

// refusing answers calls of one method with an error, counts them, and passes the others on.
func refusing(method string, calls *atomic.Int64, answer error) func(*storetest.Call) error {
	return func(c *storetest.Call) error {
		if c.Method != method {
			return c.Pass()
		}
		calls.Add(1)
		c.Drain()
		return answer
	}
}

// What a repeat can't change is permanent. Everything else means that the store is away for now: whoever asked may ask again.
func TestOnlyWhatARepeatCanNotChangeIsPermanent(t *testing.T) {
	front, store := fronted(t)
	for _, c := range []struct {
		code      codes.Code
		text      string
		permanent bool
	}{
		{codes.InvalidArgument, "Maximum Append Size of 1048576 Exceeded.", true},
		{codes.InvalidArgument, "Required Metadata Property 'type' is missing", true},
		// The bytes on the disk stay as they are until an operator restores them.
		{codes.DataLoss, "damaged", true},
		{codes.Unavailable, "Server Is Not Ready", false},
		{codes.Unavailable, "Server Is Too Busy", false},
		{codes.Aborted, "Operation timed out: Commit phase timeout.", false},
		{codes.DeadlineExceeded, "too late", false},
		{codes.ResourceExhausted, "too much", false},
		// The password may be changed and the right be taken away while the process runs, and both be set right again.
		{codes.Unauthenticated, "Unauthenticated", false},
		{codes.PermissionDenied, "Access Denied", false},
		{codes.Unknown, "Exception was thrown by handler.", false},
		{codes.Unknown, "No leader info available in response", false},
		{codes.Internal, "stream terminated by RST_STREAM", false},
		// A proxy that has no server behind it answers so.
		{codes.Unimplemented, "unexpected HTTP status code received from server: 404 (Not Found)", false},
		{codes.Canceled, "the server ends", false},
		{codes.FailedPrecondition, "not now", false},
		{codes.AlreadyExists, "", false},
		{codes.OutOfRange, "", false},
		{codes.NotFound, "", false},
		{codes.Code(99), "a code of the future", false},
	} {
		t.Run(c.code.String()+" "+c.text, func(t *testing.T) {
			for _, method := range []string{storetest.MethodAppend, storetest.MethodRead} {
				var calls atomic.Int64
				front.Answer(refusing(method, &calls, storetest.Refused(c.code, c.text)))
				var err error
				if method == storetest.MethodAppend {
					_, err = store.Append(t.Context(), "account-a", eventstore.NoStream, uuid.New(), eventstore.Metadata{}, storetest.Adjusted("a", 1))
				} else {
					_, _, err = store.Load(t.Context(), "account-a")
				}
				if err == nil || errors.Is(err, domain.ErrUnavailable) == c.permanent || errors.Is(err, domain.ErrNotFound) || errors.Is(err, domain.ErrWrongRevision) {
					t.Errorf("%s: %v", method, err)
				}
				if once := calls.Load() == 1; once != c.permanent {
					t.Errorf("%s: %d calls", method, calls.Load())
				}
			}
		})
	}
	front.Answer(nil)
	if _, _, err := store.Load(t.Context(), "account-a"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The client is told of such a call only that it has ended, and not with which answer.
func TestAnAppendThatIsEndedWhileItIsSentIsUnavailable(t *testing.T) {
	front, store := fronted(t)
	front.Answer(func(c *storetest.Call) error {
		if c.Method == storetest.MethodAppend {
			return storetest.Refused(codes.PermissionDenied, "Access Denied")
		}
		return c.Pass()
	})
	events := make([]domain.Event, 100)
	for i := range events {
		events[i] = storetest.Adjusted("a", 1)
	}
	if _, err := store.Append(bounded(t), "account-a", eventstore.NoStream, uuid.New(), eventstore.Metadata{}, events...); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestTheAnswersOfAStreamAreNoOutage(t *testing.T) {
	_, store := fronted(t)
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	_, err := store.Append(bounded(t), "account-a", eventstore.NoStream, uuid.New(), eventstore.Metadata{}, storetest.Adjusted("a", 1))
	if !errors.Is(err, domain.ErrWrongRevision) || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("another revision: %v", err)
	}
	if events, revision, err := store.Load(bounded(t), "account-b"); err != nil || revision != eventstore.NoStream || len(events) > 0 {
		t.Errorf("no stream: %d events at %d, %v", len(events), revision, err)
	}
	if _, err := openAt(t, "esdb://127.0.0.1:1?tls=maybe", eventstore.Options{}); !errors.Is(err, domain.ErrInvalid) || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a malformed connection string: %v", err)
	}
	bad := storetest.Adjusted("a", 1)
	bad.OccurredAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = store.Append(bounded(t), "account-a", 0, uuid.New(), eventstore.Metadata{}, bad)
	if err == nil || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("an event that can't be encoded: %v", err)
	}
}

// A server that refuses has answered: its connection is as good as before.
func TestAConnectionIsKeptWhenTheServerRefuses(t *testing.T) {
	front, store := fronted(t)
	var features, calls atomic.Int64
	refuse := func(code codes.Code) {
		front.Answer(func(c *storetest.Call) error {
			switch c.Method {
			case storetest.MethodFeatures:
				features.Add(1)
			case storetest.MethodRead:
				calls.Add(1)
				return storetest.Refused(code, "no")
			}
			return c.Pass()
		})
		if _, _, err := store.Load(t.Context(), "account-a"); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v", code, err)
		}
	}
	for _, code := range []codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.Unknown, codes.Internal, codes.Aborted} {
		if refuse(code); features.Load() != 0 {
			t.Errorf("after %s the client connects again", code)
		}
	}
	if refuse(codes.Unavailable); features.Load() == 0 {
		t.Error("a server that is not available is not asked anew who leads")
	}
	if calls.Load() == 0 {
		t.Error("nothing was read")
	}
}

// Given a cluster of which no node is fit to answer
// When a store is opened, and when one that was open asks
// Then both are told that it is unavailable, and what to look at.
func TestAClusterWithoutALeaderIsUnavailable(t *testing.T) {
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	alive, err := proto.Marshal(&gossip.ClusterInfo{Members: []*gossip.MemberInfo{{State: gossip.MemberInfo_Unknown, IsAlive: true}}})
	if err != nil {
		t.Fatal(err)
	}
	front.Answer(func(c *storetest.Call) error {
		if c.Method == "/event_store.client.gossip.Gossip/Read" {
			return c.Reply(alive)
		}
		return c.Pass()
	})
	node := strings.TrimPrefix(front.Target, "esdb://")
	node, _, _ = strings.Cut(node, "?")
	_, err = openAt(t, "esdb://"+node+","+node+"?tls=false&maxDiscoverAttempts=1", eventstore.Options{Backoff: func(int) time.Duration { return 0 }})
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "more than half of its nodes") {
		t.Errorf("opened: %v", err)
	}
}

func TestWhoMayNotReadTheLogIsToldWhatToDo(t *testing.T) {
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	var calls atomic.Int64
	front.Answer(refusing(storetest.MethodRead, &calls, storetest.Refused(codes.PermissionDenied, "Access Denied")))
	_, err := openAt(t, front.Target, eventstore.Options{Backoff: func(int) time.Duration { return 0 }})
	for _, said := range []string{"loyalty eventstore grant --user NAME", "docs/operations.md"} {
		if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), said) {
			t.Errorf("%q is not in %v", said, err)
		}
	}
}

// Given a checkpoint behind an event of the log
// When the server can't read that event for a moment, with the words in which 23.10 also refuses a position at which no event begins
// Then the checkpoint is not taken for one of another log; it is once the server keeps to it.
func TestAMomentsFailureIsNoPositionWithoutAnEvent(t *testing.T) {
	front, store := fronted(t)
	at := storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	events, _, err := store.Load(t.Context(), "account-a")
	if err != nil {
		t.Fatal(err)
	}
	log, err := store.BeginLog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := domain.Checkpoint{Log: log.ID, Position: at, Last: events[0].Ref()}
	for _, c := range []struct {
		answer error
		times  int64 // that the server answers so
		gone   bool
	}{
		{storetest.Refused(codes.Unknown, "Unexpected ReadAllResult: Error"), 1, false},
		{storetest.Refused(codes.Unknown, "Unexpected ReadAllResult: Error"), math.MaxInt64, true},
		{storetest.Refused(codes.Unknown, "Exception was thrown by handler."), 1, false},
		{storetest.Refused(codes.InvalidArgument, "Trying to read from an invalid position."), 1, true},
	} {
		var refused atomic.Int64
		front.Answer(func(call *storetest.Call) error {
			if call.Method == storetest.MethodRead && call.ReadsAllForwards() && refused.Add(1) <= c.times {
				return c.answer
			}
			return call.Pass()
		})
		err := store.CheckCheckpoint(bounded(t), checkpoint)
		if gone := errors.Is(err, domain.ErrWrongLog); gone != c.gone || !gone && err != nil {
			t.Errorf("%v, %d times: %v", c.answer, c.times, err)
		}
	}
	front.Answer(func(call *storetest.Call) error {
		if call.Method == storetest.MethodRead && call.ReadsAllForwards() {
			return storetest.Refused(codes.Unknown, "Exception was thrown by handler.")
		}
		return call.Pass()
	})
	if err := store.CheckCheckpoint(bounded(t), checkpoint); !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, domain.ErrWrongLog) {
		t.Errorf("a server that can't read: %v", err)
	}
}

// Given events between two positions
// When the server refuses for good to go on
// Then who reads them is told, and does not wait for ever.
func TestReadingALogThatIsDamagedEnds(t *testing.T) {
	front, store := fronted(t)
	end := storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	front.Answer(func(call *storetest.Call) error {
		if call.Method == storetest.MethodRead && call.Subscribes() {
			return storetest.Refused(codes.DataLoss, "damaged")
		}
		return call.Pass()
	})
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	_, err := store.Between(ctx, domain.Checkpoint{}, end, []string{account.TypePointsAdjusted}, func(eventstore.Recorded) error { return nil })
	if err == nil || ctx.Err() != nil || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// Given a store that many use
// When one of them has less time than the server takes to answer them
// Then the others keep their connection.
func TestACallersOwnDeadlineRetiresNoConnectionThatOthersUse(t *testing.T) {
	t.Run("which passes here first", func(t *testing.T) {
		deadlineOfACaller(t, func(c *storetest.Call) error { <-c.Context().Done(); return c.Context().Err() })
	})
	t.Run("which passes at the server first", func(t *testing.T) {
		deadlineOfACaller(t, func(c *storetest.Call) error {
			deadline, _ := c.Context().Deadline()
			early, cancel := context.WithDeadline(c.Context(), deadline.Add(-30*time.Millisecond))
			defer cancel()
			<-early.Done()
			return status.Error(codes.DeadlineExceeded, "too late")
		})
	})
}

func deadlineOfACaller(t *testing.T, slowly func(*storetest.Call) error) {
	front, store := fronted(t)
	var features atomic.Int64
	front.Answer(func(c *storetest.Call) error {
		switch {
		case c.Method == storetest.MethodFeatures:
			features.Add(1)
		case c.Stream() == "account-slow":
			return slowly(c)
		}
		return c.Pass()
	})
	hurried, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	slow := make(chan error, 1)
	go func() {
		_, _, err := store.Load(hurried, "account-slow")
		slow <- err
	}()
	for done := false; !done; {
		if _, _, err := store.Load(bounded(t), "account-a"); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-slow:
			if !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("the one without time: %v", err)
			}
			done = true
		default:
		}
	}
	if _, _, err := store.Load(bounded(t), "account-a"); err != nil || features.Load() != 0 {
		t.Errorf("afterwards: %v; the client has connected again %d times", err, features.Load())
	}
}
