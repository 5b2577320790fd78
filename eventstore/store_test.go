package eventstore_test

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/eventstore/storetest"
)

// timeout bounds every wait in these tests. None takes nearly as long.
const timeout = 30 * time.Second

// server is an embedded event store that a test can stop and start again on the same folder.
type server struct {
	t      *testing.T
	dir    string
	target string
	now    *embedded.Server
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir()}
	var err error
	if s.target, err = embedded.SocketTarget(s.dir); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.t.Helper()
	running, err := embedded.Open(s.t.Context(), embedded.Options{Dir: s.dir})
	if err != nil {
		s.t.Fatal(err)
	}
	s.now = running
}

func (s *server) stop() {
	s.t.Helper()
	if s.now == nil {
		return
	}
	// The clients' subscriptions do not end by themselves: a moment is all they get.
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.now.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		s.t.Error(err)
	}
	s.now = nil
}

func (s *server) open() *eventstore.Store {
	s.t.Helper()
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := eventstore.Open(s.t.Context(), s.target, registry, eventstore.Options{
		Backoff: func(int) time.Duration { return 5 * time.Millisecond },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return store
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

func TestTheEmbeddedStoreKeepsTheContract(t *testing.T) {
	for _, version := range embedded.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Setenv(storetest.VersionVariable, version)
			storetest.Run(t, storetest.Open)
		})
	}
}

// With LOYALTY_TEST_EVENTSTORE=esdb://… the contract runs on the server there, else on an embedded one over TCP.
func TestTheServerKeepsTheContract(t *testing.T) {
	target := os.Getenv("LOYALTY_TEST_EVENTSTORE")
	if target == "" {
		server, err := embedded.Open(t.Context(), embedded.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			if err := server.Close(ctx); err != nil {
				t.Error(err)
			}
		})
		target = "esdb://" + server.Addr() + "?tls=false"
	}
	storetest.Run(t, func(t testing.TB) *eventstore.Store { return storetest.Connect(t, target) })
}

func TestAnEmptyLogEndsAtItsBeginning(t *testing.T) {
	if end, err := storetest.Open(t).End(bounded(t)); err != nil || end != (domain.Position{}) {
		t.Errorf("an empty log ends at %s, %v", end, err)
	}
}

func TestAnAppendRepeatedAfterARestartIsStoredOnceAndAnsweredAlike(t *testing.T) {
	s := startServer(t)
	store := s.open()
	command := uuid.New()
	first, err := store.Append(bounded(t), "account-a", eventstore.NoStream, command, eventstore.Metadata{}, storetest.Adjusted("a", 1), storetest.Adjusted("a", 2))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 3))
	s.stop()
	s.start()
	again, err := store.Append(bounded(t), "account-a", eventstore.NoStream, command, eventstore.Metadata{}, storetest.Adjusted("a", 1), storetest.Adjusted("a", 2))
	if err != nil || again != first {
		t.Errorf("got %s, %v; want %s as the first time", again, err, first)
	}
	if got, _, _ := store.Load(bounded(t), "account-a"); len(got) != 3 {
		t.Errorf("%d events are stored, want 3", len(got))
	}
}

// TestARepeatOfWhatWasTruncatedIsAnsweredWithTheEndOfTheLog: whoever waits until a read model has got to that position has seen the events' effect.
func TestARepeatOfWhatWasTruncatedIsAnsweredWithTheEndOfTheLog(t *testing.T) {
	_, target := storetest.Start(t)
	store := storetest.Connect(t, target)
	again := func() (domain.Position, error) {
		return store.Append(bounded(t), "account-a", eventstore.NoStream, uuid.MustParse("7b1c1f5e-0000-4000-8000-000000000001"), eventstore.Metadata{}, storetest.Adjusted("a", 1))
	}
	if _, err := again(); err != nil {
		t.Fatal(err)
	}
	loaded, _, err := store.Load(bounded(t), "account-a")
	if err != nil || len(loaded) != 1 {
		t.Fatal(loaded, err)
	}
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 2))
	end := appendRaw(t, target, "$$account-a", "$metadata", `{"$tb":1}`)

	if at, err := again(); err != nil || at != end {
		t.Errorf("got %s, %v; want the end %s", at, err, end)
	}
	loaded[0].Position = domain.Position{Commit: math.MaxUint64, Prepare: math.MaxUint64}
	if at, err := store.PositionOf(bounded(t), loaded[0]); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("the event's own position is %s, %v", at, err)
	}
}

func TestCallersDoNotHangWhileTheStoreIsDownAndGoOnWhenItIsBack(t *testing.T) {
	s := startServer(t)
	store := s.open()
	storetest.Add(t, store, "account-a", storetest.Adjusted("a", 1))
	before := runtime.NumGoroutine()
	for range 5 {
		s.stop()
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				if _, _, err := store.Load(bounded(t), "account-a"); !errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("got %v, want domain.ErrUnavailable", err)
				}
			})
		}
		all.Wait()
		s.start()
		for range 32 {
			all.Go(func() {
				if got, _, err := store.Load(bounded(t), "account-a"); err != nil || len(got) != 1 {
					t.Errorf("got %d events, %v", len(got), err)
				}
			})
		}
		all.Wait()
	}
	storetest.WaitFor(t, "no connection is leaked", func() bool { return runtime.NumGoroutine() <= before+10 })
}

func TestCallsUnderWayWhenTheStoreDiesEndAndAreCarriedOutOnce(t *testing.T) {
	s := startServer(t)
	store := s.open()
	ctx, cancel := context.WithCancel(bounded(t))
	var all sync.WaitGroup
	acknowledged := make([]int, 16)
	for i := range acknowledged {
		all.Go(func() {
			stream := "account-" + string(rune('a'+i))
			for ctx.Err() == nil {
				_, err := store.Append(ctx, stream, int64(acknowledged[i])-1, uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i), byte(acknowledged[i] >> 8), byte(acknowledged[i])}), eventstore.Metadata{}, storetest.Adjusted("a", 1))
				if err == nil {
					acknowledged[i]++
				} else if !errors.Is(err, domain.ErrUnavailable) && ctx.Err() == nil {
					t.Errorf("got %v, want domain.ErrUnavailable", err)
				}
			}
		})
	}
	for range 5 {
		storetest.WaitFor(t, "some appends", func() bool { end, err := store.End(ctx); return err == nil && end.Commit > 0 })
		s.stop()
		s.start()
	}
	cancel()
	all.Wait()
	for i, want := range acknowledged {
		events, _, err := store.Load(bounded(t), "account-"+string(rune('a'+i)))
		if err != nil || (len(events) != want && len(events) != want+1) {
			t.Errorf("stream %d holds %d events, %v; %d were acknowledged and at most one was under way", i, len(events), err, want)
		}
	}
}

// Given a log of many events
// When they are counted, for ever longer
// Then as long as that is too short it tells how many were counted by then, and never more than there are.
func TestACountThatIsCutShortTellsHowFarItGot(t *testing.T) {
	store := startServer(t).open()
	many := make([]domain.Event, 1000)
	for i := range many {
		many[i] = storetest.Adjusted("a", 1)
	}
	const rounds = 5
	for range rounds {
		storetest.Add(t, store, "account-a", many...)
	}
	partly := 0
	for wait := time.Millisecond; ; wait += wait / 4 {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		count, err := store.CountAfter(ctx, domain.Checkpoint{}, []string{account.TypePointsAdjusted}, math.MaxInt)
		cancel()
		if err == nil {
			if count != rounds*len(many) {
				t.Errorf("%d events are counted as %d", rounds*len(many), count)
			}
			break
		}
		if !errors.Is(err, domain.ErrUnavailable) || count > rounds*len(many) {
			t.Errorf("after %s it has counted %d, %v", wait, count, err)
		}
		if count > 0 {
			partly++
		}
	}
	if partly == 0 {
		t.Error("it told nothing until it had counted all")
	}
}

func TestAWrongAddressIsReportedWhenOpening(t *testing.T) {
	registry, err := eventstore.LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventstore.Open(bounded(t), "unix://"+t.TempDir()+"/none", registry, eventstore.Options{}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("nobody listens: got %v, want domain.ErrUnavailable", err)
	}
	if _, err := eventstore.Open(bounded(t), "http://user:secret@host", registry, eventstore.Options{}); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("no connection string: got %v, want domain.ErrInvalid", err)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	store := startServer(t).open()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Load(bounded(t), "account-a"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v, want domain.ErrUnavailable", err)
	}
}

func TestFollowGoesOnWhereItWasWhenTheStoreIsBack(t *testing.T) {
	s := startServer(t)
	store := s.open()
	f := storetest.Follow(t, store, domain.Position{})
	var want []domain.Points
	for round := range 4 {
		for i := range 10 {
			points := domain.Points(round*10 + i + 1)
			storetest.Add(t, store, "account-a", storetest.Adjusted("a", points))
			want = append(want, points)
		}
		s.stop()
		s.start()
	}
	storetest.WaitFor(t, "all events", func() bool { return len(f.Points()) >= len(want) })
	if diff := cmp.Diff(want, f.Points()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !f.Has(func(i eventstore.Item) bool { return i.Lost != nil }) {
		t.Error("it never told that the connection was lost")
	}
}

// Given a cluster that times out the repeat of an append that is still under way
// When sixteen callers send one append at once
// Then all get the same answer, and it is stored once.
func TestRepeatsThatMeetEachOtherHaveOneAnswer(t *testing.T) {
	server := storetest.Imitate(t)
	server.TimeOutRepeats()
	store := storetest.Connect(t, server.Target)
	var mu sync.Mutex
	answers := map[domain.Position]int{}
	command := uuid.New()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			at, err := store.Append(bounded(t), "account-a", eventstore.NoStream, command, eventstore.Metadata{}, storetest.Adjusted("a", 1))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[at]++
		})
	}
	all.Wait()
	if events, _, err := store.Load(bounded(t), "account-a"); err != nil || len(events) != 1 || len(answers) != 1 {
		t.Errorf("%d events are stored, %v; answered were %v", len(events), err, answers)
	}
}
