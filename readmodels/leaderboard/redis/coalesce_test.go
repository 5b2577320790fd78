package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

const timeout = 30 * time.Second

// crowded is a board of 500 customers, of whom always three share a total.
func crowded(t *testing.T) (*Board, *redistest.Server, leaderboardtest.Ranking) {
	t.Helper()
	server := redistest.Start(t)
	b, err := Open(t.Context(), server.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	b.patience = time.Minute // servers are frozen while many readers come
	standings := make([]leaderboard.Standing, 500)
	for i := range standings {
		binary.BigEndian.PutUint64(standings[i].Key[:], uint64(i)*0x9e3779b97f4a7c15)
		standings[i].Points, standings[i].Minute = domain.Points(i/3), int64(i%2)
	}
	err = b.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		for _, s := range standings {
			if err := yield(s); err != nil {
				return leaderboard.Snapshot{}, err
			}
		}
		return leaderboard.Snapshot{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, server, leaderboardtest.NewModel(standings...).Ranking()
}

// queued waits until so many readers wait and so many calls are under way.
func queued(t *testing.T, b *Board, readers, calls int) {
	t.Helper()
	counts := func() (int, int) {
		b.dashboards.mu.Lock()
		defer b.dashboards.mu.Unlock()
		return b.dashboards.waiting.Len(), b.dashboards.calls
	}
	deadline := time.Now().Add(timeout)
	for {
		gotReaders, gotCalls := counts()
		if gotReaders == readers && gotCalls == calls {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait and %d calls are under way, want %d and %d", gotReaders, gotCalls, readers, calls)
		}
		time.Sleep(time.Millisecond)
	}
}

// calls is how many scripts a server has run.
func calls(t *testing.T, server *redistest.Server) (n int) {
	t.Helper()
	for line := range strings.Lines(server.Do("INFO", "commandstats")) {
		if text, found := strings.CutPrefix(line, "cmdstat_evalsha:calls="); found {
			if _, err := fmt.Sscan(text[:strings.Index(text, ",")], &n); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

// busy makes all the calls that may be under way at once, to a server that is frozen.
func busy(t *testing.T, b *Board, key domain.ProxyKey, results chan<- error) {
	t.Helper()
	queued(t, b, 0, 0)
	for i := range maxCalls {
		go func() { results <- b.Dashboard(t.Context(), key, 1, 0, new(leaderboard.Dashboard)) }()
		queued(t, b, 0, i+1)
	}
}

func TestReadersWhoComeWhileCallsAreUnderWayShareTheNext(t *testing.T) {
	b, server, ranking := crowded(t)
	if err := b.Dashboard(t.Context(), ranking[0].Key, 1, 0, new(leaderboard.Dashboard)); err != nil { // so that the script is known
		t.Fatal(err)
	}
	before := calls(t, server)
	server.Freeze()
	defer server.Thaw()
	const n = 2*maxBatch + 10
	results := make(chan error, maxCalls+n)
	busy(t, b, ranking[0].Key, results)
	random := rand.New(rand.NewPCG(1, 2))
	for range n {
		key, top, around := ranking[random.IntN(len(ranking))].Key, 1+random.IntN(leaderboard.MaxTop), random.IntN(leaderboard.MaxAround+1)
		go func() {
			var got leaderboard.Dashboard
			err := b.Dashboard(t.Context(), key, top, around, &got)
			if diff := cmp.Diff(ranking.Dashboard(key, top, around), got); err == nil && diff != "" {
				err = fmt.Errorf("%s, top %d, around %d (-want +got):\n%s", key, top, around, diff)
			}
			results <- err
		}()
	}
	queued(t, b, n, maxCalls)
	server.Thaw()
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := calls(t, server) - before; got != maxCalls+3 {
		t.Errorf("%d readers were served by %d calls, want %d", n, got-maxCalls, 3)
	}
}

func TestAReaderWhoLeavesHurtsNobodyAndLeavesNothing(t *testing.T) {
	b, server, ranking := crowded(t)
	server.Freeze()
	defer server.Thaw()
	const n = 40
	results, left := make(chan error, maxCalls+n), make(chan error, n)
	busy(t, b, ranking[0].Key, results)
	ctx, leave := context.WithCancel(t.Context())
	for i := range n {
		go func() { results <- b.Dashboard(t.Context(), ranking[i].Key, 10, 2, new(leaderboard.Dashboard)) }()
		go func() { left <- b.Dashboard(ctx, ranking[i].Key, 10, 2, new(leaderboard.Dashboard)) }()
	}
	queued(t, b, 2*n, maxCalls)
	leave()
	for range n {
		if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got error %v, want %v", err, context.Canceled)
		}
	}
	queued(t, b, n, maxCalls)
	server.Thaw()
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestReadersOfAServerThatHangsWaitNoLongerThanTheirContext(t *testing.T) {
	b, server, ranking := crowded(t)
	server.Freeze()
	defer server.Thaw()
	var d leaderboard.Dashboard
	_, _, _, standing := b.Standing(brief(t), ranking[0].Key)
	_, checkpoint := b.Checkpoint(brief(t))
	for what, err := range map[string]error{
		"Dashboard": b.Dashboard(brief(t), ranking[0].Key, 10, 2, &d), "Standing": standing, "Checkpoint": checkpoint,
		"Apply": b.Apply(brief(t), leaderboard.Batch{}), "Wait": b.Wait(brief(t), position(1)),
	} {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v, want %v", what, err, context.DeadlineExceeded)
		}
	}
}

func TestReadersOfAServerThatHangsAreToldEvenIfTheirContextDoesNotEnd(t *testing.T) {
	b, server, ranking := crowded(t)
	server.Freeze()
	defer server.Thaw()
	const n = 3 * maxBatch
	results := make(chan error, n)
	for range n {
		go func() { results <- b.Dashboard(t.Context(), ranking[0].Key, 10, 2, new(leaderboard.Dashboard)) }()
	}
	for range n {
		if err := <-results; !errors.Is(err, domain.ErrUnavailable) {
			t.Fatalf("got error %v, want %v", err, domain.ErrUnavailable)
		}
	}
}

func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestClosingEndsThoseWhoWait(t *testing.T) {
	b, server, ranking := crowded(t)
	server.Freeze()
	defer server.Thaw()
	const n = 10
	results := make(chan error, maxCalls+n)
	busy(t, b, ranking[0].Key, results)
	for range n {
		go func() { results <- b.Dashboard(t.Context(), ranking[0].Key, 10, 2, new(leaderboard.Dashboard)) }()
	}
	queued(t, b, n, maxCalls)
	closed := make(chan error)
	go func() { closed <- b.Close() }()
	for range cap(results) {
		if err := <-results; !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("got error %v, want %v", err, domain.ErrUnavailable)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if b.dashboards.waiting.Len() != 0 || b.dashboards.calls != 0 {
		t.Errorf("%d still wait, %d calls are under way", b.dashboards.waiting.Len(), b.dashboards.calls)
	}
}

func TestAReaderAloneMakesACallAtOnce(t *testing.T) {
	b, server, ranking := crowded(t)
	before := calls(t, server)
	var d leaderboard.Dashboard
	for i, s := range slices.Backward(ranking) {
		if err := b.Dashboard(t.Context(), s.Key, 1, 0, &d); err != nil || d.You.Rank != int64(i)+1 {
			t.Fatalf("got %+v, %v", d.You, err)
		}
	}
	if got := calls(t, server) - before; got < len(ranking) || got > len(ranking)+1 { // the first may not know the script
		t.Errorf("%d calls for %d readers one after the other", got, len(ranking))
	}
}
