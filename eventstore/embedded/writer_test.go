package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"google.golang.org/grpc"
)

// idleWriter is a writer on a new store whose goroutines don't run yet: what is queued for it becomes one batch.
func idleWriter(t *testing.T) *writer {
	t.Helper()
	s, err := openStore(vfs.Default, filepath.Join(t.TempDir(), dataFolder), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(func() {}); err != nil {
			t.Error(err)
		}
	})
	return newWriter(s, time.Now, slog.New(slog.DiscardHandler))
}

func asked(op operation, stream string, expected int64, names ...string) *request {
	r := &request{operation: op, stream: stream, expected: expected, answer: make(chan answer, 1)}
	for _, n := range names {
		r.events = append(r.events, propose(uuid.NewSHA1(uuid.NameSpaceURL, []byte(n)), stream, []byte("noted"), true, []byte("data="+n+";"), nil))
	}
	return r
}

// TestDecisionsWithinOneBatch has requests decided one after the other before any of them is written: each must see the
// effect of those before it.
func TestDecisionsWithinOneBatch(t *testing.T) {
	const s, u = "s", "u"
	for _, c := range []struct {
		clause   string
		requests []*request
		want     []decision
	}{
		{"the same append again",
			[]*request{asked(opAppend, s, expectNoStream, "a", "b"), asked(opAppend, s, expectNoStream, "a", "b")},
			[]decision{{write, 1, 2}, {alreadyWritten, 1, 2}}},
		{"the same append again, expecting anything",
			[]*request{asked(opAppend, s, expectAny, "a", "b"), asked(opAppend, s, expectAny, "a", "b")},
			[]decision{{write, 1, 2}, {alreadyWritten, 1, 2}}},
		{"another append expecting the same",
			[]*request{asked(opAppend, s, expectNoStream, "a"), asked(opAppend, s, expectNoStream, "b")},
			[]decision{{write, 0, 1}, {wrongVersion, 0, 1}}},
		{"one after the other",
			[]*request{asked(opAppend, s, expectNoStream, "a"), asked(opAppend, s, 0, "b"), asked(opAppend, s, 1, "c"), asked(opAppend, s, 0, "b")},
			[]decision{{write, 0, 1}, {write, 1, 2}, {write, 2, 3}, {alreadyWritten, 1, 2}}},
		{"the same id in another stream in between",
			[]*request{asked(opAppend, s, expectNoStream, "a"), asked(opAppend, u, expectNoStream, "a"), asked(opAppend, s, expectNoStream, "a"), asked(opAppend, s, expectAny, "a")},
			[]decision{{write, 0, 1}, {write, 0, 2}, {alreadyWritten, 0, 1}, {alreadyWritten, 0, 1}}},
		{"the same id in the other stream again",
			[]*request{asked(opAppend, s, expectNoStream, "a"), asked(opAppend, u, expectAny, "a"), asked(opAppend, u, expectAny, "a"), asked(opAppend, u, expectExists, "a")},
			[]decision{{write, 0, 1}, {write, 0, 2}, {write, 1, 3}, {write, 2, 4}}},
		{"the same id twice in a stream",
			[]*request{asked(opAppend, s, expectNoStream, "a", "b", "a"), asked(opAppend, s, expectAny, "a"), asked(opAppend, s, expectAny, "b", "a")},
			[]decision{{write, 2, 3}, {alreadyWritten, 0, 1}, {alreadyWritten, 0, 1}}},
		{"again, but deleted by now",
			[]*request{asked(opAppend, s, expectNoStream, "a", "b"), asked(opDelete, s, 1), asked(opAppend, s, expectNoStream, "a", "b"), asked(opAppend, s, expectAny, "a")},
			[]decision{{write, 1, 2}, {write, 0, 3}, {alreadyWritten, 1, 0}, {alreadyWritten, 0, 0}}},
		{"nothing to a deleted stream, and to what describes it",
			[]*request{asked(opAppend, s, expectNoStream, "a"), asked(opDelete, s, 0), asked(opAppend, s, 0), asked(opDelete, s, 0), asked(opAppend, "$$s", 2), asked(opAppend, s, expectExists, "b")},
			[]decision{{write, 0, 1}, {write, 0, 2}, {write, 0, 2}, {write, 2, 4}, {write, 2, 4}, {write, 1, 6}}},
		{"nothing to a stream that ended for ever",
			[]*request{asked(opTombstone, s, expectAny), asked(opAppend, s, expectAny), asked(opAppend, s, expectNoStream), asked(opAppend, "$$s", expectAny)},
			[]decision{{write, tombstoned, 1}, {streamDeleted, tombstoned, 1}, {streamDeleted, tombstoned, 1}, {streamDeleted, tombstoned, 0}}},
		{"metadata deleted just before new metadata, and not just before",
			[]*request{asked(opAppend, "$$s", expectNoStream, "m"), asked(opDelete, "$$s", 0), asked(opAppend, "$$s", expectExists, "n"), asked(opAppend, "$$s", 0, "n"),
				asked(opDelete, "$$s", 1), asked(opAppend, u, expectAny, "a"), asked(opAppend, "$$s", expectExists, "o")},
			[]decision{{write, 0, 1}, {write, 0, 2}, {streamDeleted, 0, 1}, {write, 1, 3},
				{write, 2, 5}, {write, 0, 6}, {write, 2, 7}}},
		{"deleted and appended to",
			[]*request{asked(opAppend, s, expectNoStream, "a"), asked(opDelete, s, 0), asked(opAppend, s, expectExists, "b"), asked(opAppend, s, expectNoStream, "b"), asked(opAppend, s, 1, "c")},
			[]decision{{write, 0, 1}, {write, 0, 2}, {streamDeleted, 0, 1}, {write, 1, 3}, {write, 2, 5}}},
		{"ended for ever",
			[]*request{asked(opAppend, s, expectNoStream, "a"), asked(opTombstone, s, expectAny), asked(opAppend, s, expectAny, "b"), asked(opAppend, "$$s", expectAny, "m")},
			[]decision{{write, 0, 1}, {write, tombstoned, 2}, {streamDeleted, tombstoned, 2}, {streamDeleted, tombstoned, 0}}},
		{"nothing to write",
			[]*request{asked(opAppend, s, expectAny), asked(opAppend, s, 0, "a"), asked(opDelete, s, expectAny)},
			[]decision{{write, noRevision, 0}, {wrongVersion, noRevision, 0}, {wrongVersion, noRevision, 0}}},
	} {
		t.Run(c.clause, func(t *testing.T) {
			w := idleWriter(t)
			for _, r := range c.requests {
				w.queue <- r
			}
			close(w.queue)
			var writing sync.WaitGroup
			writing.Go(w.write)
			writing.Go(w.answerSynced)
			for i, r := range c.requests {
				if a := <-r.answer; a.err != nil || a.decision != c.want[i] {
					t.Errorf("request %d: got %+v, %v; want %+v", i, a.decision, a.err, c.want[i])
				}
			}
			writing.Wait()
		})
	}
}

// TestWhatIsNotOnDiskIsNotShown reads while a batch is written but not synced yet.
func TestWhatIsNotOnDiskIsNotShown(t *testing.T) {
	w := idleWriter(t)
	var landing sync.WaitGroup
	land := func() {
		close(w.pending)
		landing.Go(w.answerSynced)
		landing.Wait()
		w.pending = make(chan pendingBatch, pendingLimit)
	}
	w.take(asked(opAppend, "s", expectNoStream, "a"))
	w.apply()
	land()
	w.take(asked(opAppend, "s", 0, "b", "c"))
	w.take(asked(opAppend, "new", expectNoStream, "d"))
	w.apply()

	check := func(wantEnd uint64, wantLast, wantNew int64, want string) {
		t.Helper()
		end := w.store.end()
		h, err := w.store.head("s", end)
		fresh, freshErr := w.store.head("new", end)
		if end != wantEnd || h.last != wantLast || fresh.last != wantNew || errors.Join(err, freshErr) != nil {
			t.Errorf("end %d, last %d and %d, %v", end, h.last, fresh.last, errors.Join(err, freshErr))
		}
		if _, _, found, err := w.store.find("s", 1, end); found != (wantLast >= 1) || err != nil {
			t.Errorf("event 1 found: %v, %v", found, err)
		}
		read, errs := scans(&Server{store: w.store}, "s")
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(read["all forwards"], read["stream forwards"]); got != want {
			t.Errorf("read %s, want %s", got, want)
		}
	}
	check(1, 0, noRevision, "[a] [a]")
	land()
	check(4, 2, 0, "[a b c d] [a b c]")
	_ = w.next.batch.Close()
}

// still is a client that takes everything.
type still struct {
	grpc.ServerStream
	ctx context.Context
}

func (s still) Context() context.Context { return s.ctx }
func (s still) SendMsg(any) error        { return nil }

// movingFeed has the log's end move after each time it was read, until the third.
type movingFeed struct {
	feed
	store *store
	ends  []uint64
}

func (f *movingFeed) fill(_ *page, end uint64, _ bool) (bool, error) {
	f.ends = append(f.ends, end)
	if end < 3 {
		f.store.advance(end + 1)
		return false, nil
	}
	return false, errClosing
}

func (f *movingFeed) caughtUp(*page) bool { return true }

// TestAMoveWhileReadingWakesTheSubscription has the log's end move after a subscription has read and before it waits.
func TestAMoveWhileReadingWakesTheSubscription(t *testing.T) {
	w := idleWriter(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	moving := &movingFeed{store: w.store}
	l := listener{service: &service{store: w.store, closing: make(chan struct{}), profile: &profiles[0]}, stream: still{ctx: ctx}, feed: moving}
	err := l.run()
	if !errors.Is(err, errClosing) || !slices.Equal(moving.ends, []uint64{0, 1, 2, 3}) {
		t.Errorf("read with the ends %v, then %v", moving.ends, err)
	}
	w.store.last.Store(0)
	_ = w.next.batch.Close()
}

func TestRecentKeepsTheLatestAndNotMuchMore(t *testing.T) {
	const limit = 10
	r := newRecent[int, int](limit, func(int) int { return 1 })
	for i := range 1000 {
		r.put(i, i)
		r.age()
		for j := max(0, i-limit+1); j <= i; j++ {
			if i-j < limit/2 { // looked at, so kept
				if v, ok := r.get(j); !ok || v != j {
					t.Fatalf("after %d: %d is %d, %v", i, j, v, ok)
				}
			}
		}
		if kept := len(r.young) + len(r.old); kept > 2*limit {
			t.Fatalf("%d are kept", kept)
		}
	}
	if _, ok := r.get(0); ok {
		t.Error("the first is still there")
	}
	r.put(5, 1)
	r.put(5, 2)
	if v, _ := r.get(5); v != 2 {
		t.Errorf("got %d, want the latest value", v)
	}
}

func TestRecentKeepsFewerOfWhatCostsMore(t *testing.T) {
	r := newRecent[string, int](1000, func(k string) int { return len(k) })
	for i := range 1000 {
		r.put(strings.Repeat("k", 100)+strconv.Itoa(i), i)
		r.age()
	}
	if kept := len(r.young) + len(r.old); kept > 20 {
		t.Errorf("%d are kept", kept)
	}
}

// TestABatchOfMoreStreamsThanAreKeptIsDecidedRight: what was staged in a batch is known until it is written, however many other streams the batch
// looks at in between.
func TestABatchOfMoreStreamsThanAreKeptIsDecidedRight(t *testing.T) {
	w := idleWriter(t)
	w.take(asked(opAppend, "s", expectNoStream, "a"))
	for i := range 3 * cachedStreams {
		if _, err := w.state(strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	w.take(asked(opAppend, "s", 0, "b"))
	if got, want := w.next.answers[1].decision, (decision{write, 1, 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	w.apply()
	w.take(asked(opAppend, "s", 1, "c"))
	if got, want := w.next.answers[0].decision, (decision{write, 2, 3}); got != want {
		t.Errorf("in the next batch: got %+v, want %+v", got, want)
	}
	_ = w.next.batch.Close()
}

// TestNothingIsStagedPastTheLastRevisionOrPosition: an append that would overflow leaves no part of itself.
func TestNothingIsStagedPastTheLastRevisionOrPosition(t *testing.T) {
	for _, c := range []struct {
		clause      string
		last        int64
		position    uint64
		request     *request
		refused     error
		smaller     *request // is written all the same
		smallerLast int64
	}{
		{"revisions", tombstoned - 2, 7, asked(opAppend, "s", tombstoned-2, "a", "b"), errStreamDeleted("s"),
			asked(opAppend, "s", tombstoned-2, "a"), tombstoned - 1},
		{"no revision at all", tombstoned - 1, 7, asked(opAppend, "s", tombstoned-1, "a"), errStreamDeleted("s"),
			asked(opAppend, "other", expectNoStream, "a"), tombstoned - 1},
		{"positions", 5, maxPosition - 2, asked(opAppend, "s", 5, "a", "b", "c"), errLogFull,
			asked(opAppend, "s", 5, "a", "b"), 7},
		{"no position at all", 5, maxPosition, asked(opDelete, "s", 5), errLogFull,
			asked(opAppend, "s", 5), 5},
		{"a name that its key can't hold", noRevision, 7, asked(opAppend, strings.Repeat("s", maxStoredName+1), expectNoStream, "a"), nil,
			asked(opAppend, strings.Repeat("s", maxStoredName), expectNoStream, "a"), noRevision},
	} {
		t.Run(c.clause, func(t *testing.T) {
			w := idleWriter(t)
			w.next.last = c.position
			state := &streamState{head: head{last: c.last, position: c.position, first: 1, count: 1}, metaLast: noRevision}
			w.streams.put("s", state)
			w.take(c.request)
			if err := w.next.answers[0].err; err == nil || c.refused != nil && !errors.Is(err, c.refused) {
				t.Errorf("got %v, want %v", err, c.refused)
			}
			if !w.next.batch.Empty() || w.next.last != c.position || state.last != c.last {
				t.Errorf("part of it is staged: %d, position %d, revision %d", w.next.batch.Count(), w.next.last, state.last)
			}
			w.take(c.smaller)
			if err := w.next.answers[1].err; err != nil || state.last != c.smallerLast {
				t.Errorf("what fits: %v, revision %d", err, state.last)
			}
			_ = w.next.batch.Close()
		})
	}
}

// TestATombstoneEndsAllMetadataOfAStream: whether the states of the metadata streams are known when it is written, or read afterwards.
func TestATombstoneEndsAllMetadataOfAStream(t *testing.T) {
	for _, known := range []bool{true, false} {
		w := idleWriter(t)
		for i, r := range []*request{
			asked(opAppend, "s", expectNoStream, "a"), asked(opAppend, "$$s", expectNoStream, "m"),
			asked(opAppend, "$$$$s", expectNoStream, "n"), asked(opTombstone, "s", expectAny),
		} {
			w.take(r)
			if a := w.next.answers[i]; a.err != nil || a.outcome != write {
				t.Fatalf("request %d: %+v", i, a)
			}
		}
		if !known {
			w.apply()
			w.streams = newRecent[string, *streamState](cachedStreams, func(string) int { return 1 })
		}
		for _, stream := range []string{"s", "$$s", "$$$$s", "$$$$$$s"} {
			w.next.waiting, w.next.answers = nil, nil
			w.take(asked(opAppend, stream, expectAny, "x"))
			if got := w.next.answers[0]; got.err != nil || got.outcome != streamDeleted {
				t.Errorf("append to %s: %+v", stream, got)
			}
			if !known {
				if x, err := w.store.extent(stream, w.applied, time.Now()); err != nil || x.last != tombstoned {
					t.Errorf("%s reads as %+v, %v", stream, x, err)
				}
			}
		}
		_ = w.next.batch.Close()
	}
}
