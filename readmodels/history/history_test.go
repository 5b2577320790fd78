package history_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
)

func position(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }

func second(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

// told is a history of batches of one change each: the n-th, from 1 on, is at position n and was stored in second n.
func told(t *testing.T, dir string, o history.Options, changes ...history.Change) (*history.History, *model) {
	t.Helper()
	h, m := open(t, dir, o), &model{}
	t.Cleanup(func() { _ = h.Close() })
	tell(t, h, m, changes...)
	return h, m
}

func tell(t *testing.T, h *history.History, m *model, changes ...history.Change) {
	t.Helper()
	for _, c := range changes {
		n := m.checkpoint().Commit + 1
		c.Position, c.Stored = position(n), second(int(n))
		b := history.Batch{From: domain.CheckpointAt(m.checkpoint()), To: domain.CheckpointAt(c.Position), AsOf: c.Stored, Changes: []history.Change{c}}
		if err := h.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		m.add(b)
	}
}

func award(customer int, points domain.Points) history.Change {
	return history.Change{Kind: history.Awarded, Key: keyOf(customer), Points: points}
}

// five customers have 50, 40, 30, 20 and 10 points.
func five() (changes []history.Change) {
	for i := range 5 {
		changes = append(changes, award(i, domain.Points(50-10*i)))
	}
	return changes
}

func TestADashboardShowsTheBestAndTheNeighboursAtEveryEdge(t *testing.T) {
	h, _ := told(t, t.TempDir(), history.Options{SnapshotEvery: 2}, five()...)
	ranks := func(rows []leaderboard.Row) (ranks []int64) {
		for _, row := range rows {
			if row.Key != keyOf(int(row.Rank-1)) || row.Points != domain.Points(60-10*row.Rank) {
				t.Errorf("row %+v", row)
			}
			ranks = append(ranks, row.Rank)
		}
		return ranks
	}
	var d leaderboard.Dashboard
	for _, c := range []struct {
		customer, top, around int
		wantTop, wantAround   []int64
	}{
		{0, 1, 0, []int64{1}, []int64{1}},
		{0, 2, 2, []int64{1, 2}, []int64{1, 2, 3}},
		{1, 2, 2, []int64{1, 2}, []int64{1, 2, 3, 4}},
		{2, 5, 1, []int64{1, 2, 3, 4, 5}, []int64{2, 3, 4}},
		{4, 100, 2, []int64{1, 2, 3, 4, 5}, []int64{3, 4, 5}},
		{4, 3, 50, []int64{1, 2, 3}, []int64{1, 2, 3, 4, 5}},
		{7, 3, 50, []int64{1, 2, 3}, nil},
	} {
		if err := h.AsOf(t.Context(), "asOf", history.Moment{Position: position(5)}, keyOf(c.customer), c.top, c.around, &d); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][]int64{c.wantTop, c.wantAround}, [][]int64{ranks(d.Top), ranks(d.Around)}, sameEmpty); diff != "" || d.Ranked != (c.wantAround != nil) || d.Customers != 5 {
			t.Errorf("customer %d, top %d, around %d (-want +got):\n%s", c.customer, c.top, c.around, diff)
		}
	}
	for _, sizes := range [][2]int{{0, 2}, {101, 2}, {10, -1}, {10, 51}} {
		err := h.AsOf(t.Context(), "asOf", history.Moment{Position: position(5)}, keyOf(0), sizes[0], sizes[1], &d)
		if !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("top %d, around %d: %v", sizes[0], sizes[1], err)
		}
	}
}

// TestATimeIsBeforeTheFirstEventThatWasStoredLater: the clock of the event store is set back after the second change, so that those
// after it seem to be from before it.
func TestATimeIsBeforeTheFirstEventThatWasStoredLater(t *testing.T) {
	for name, every := range map[string]int64{"in one segment": 100, "in a segment each": 1} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), history.Options{SnapshotEvery: every})
			defer shut(t, h)
			for i, stored := range []int{10, 30, 20, 20, 21, 22, 40} {
				c := award(i, 1)
				c.Position, c.Stored = position(uint64(i+1)), second(stored)
				if err := h.Apply(t.Context(), history.Batch{From: domain.CheckpointAt(position(uint64(i))), To: domain.CheckpointAt(c.Position), AsOf: c.Stored, Changes: []history.Change{c}}); err != nil {
					t.Fatal(err)
				}
			}
			if begins, err := h.Begins(t.Context()); err != nil || !begins.Equal(second(10)) {
				t.Errorf("it begins at %s, %v", begins, err)
			}
			for at, want := range map[int]int64{10: 1, 20: 1, 25: 1, 29: 1, 30: 6, 39: 6, 40: 7} {
				var d leaderboard.Dashboard
				err := h.AsOf(t.Context(), "asOf", history.Moment{Time: second(at)}, keyOf(0), 1, 0, &d)
				if err != nil || d.Customers != want || d.AsOf != second(at) || d.Position != position(uint64(want)) {
					t.Errorf("in second %d: %+v, %v", at, d, err)
				}
			}
		})
	}
}

func TestABatchThatCannotBeIsRefused(t *testing.T) {
	h, m := told(t, t.TempDir(), history.Options{}, five()...)
	good := func() history.Batch {
		c := award(1, 1)
		c.Position, c.Stored = position(7), second(7)
		return history.Batch{From: domain.CheckpointAt(position(5)), To: domain.CheckpointAt(position(8)), Changes: []history.Change{c}}
	}
	for name, c := range map[string]struct {
		change func(*history.Batch)
		want   error
	}{
		"it leads backwards":             {func(b *history.Batch) { b.To = domain.CheckpointAt(position(4)) }, domain.ErrInvalid},
		"it leads nowhere":               {func(b *history.Batch) { b.To = b.From }, domain.ErrInvalid},
		"it starts elsewhere":            {func(b *history.Batch) { b.From = domain.CheckpointAt(position(6)) }, domain.ErrCheckpointMoved},
		"a change is of no kind":         {func(b *history.Batch) { b.Changes[0].Kind = 0 }, domain.ErrInvalid},
		"a change is of an unknown kind": {func(b *history.Batch) { b.Changes[0].Kind = history.Forgotten + 1 }, domain.ErrInvalid},
		"a change was there before":      {func(b *history.Batch) { b.Changes[0].Position = position(5) }, domain.ErrInvalid},
		"a change comes after it":        {func(b *history.Batch) { b.Changes[0].Position = position(9) }, domain.ErrInvalid},
		"changes are not in order": {func(b *history.Batch) {
			b.Changes = append(b.Changes, b.Changes[0])
			b.Changes[1].Position = position(6)
		}, domain.ErrInvalid},
		"more points than there can be":   {func(b *history.Batch) { b.Changes[0].Points = domain.MaxChange + 1 }, domain.ErrInvalid},
		"fewer points than there can be":  {func(b *history.Batch) { b.Changes[0].Points = -domain.MaxChange - 1 }, domain.ErrInvalid},
		"the points are out of all range": {func(b *history.Batch) { b.Changes[0].Points = -1 << 63 }, domain.ErrInvalid},
	} {
		b := good()
		c.change(&b)
		if err := h.Apply(t.Context(), b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.check(t, h, history.Moment{Position: position(5)}, keyOf(1), 10, 2)
	if err := h.Apply(t.Context(), good()); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestAFolderIsOneHistorysAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "some", "where")
	h, m := told(t, dir, history.Options{SnapshotEvery: 2}, five()...)
	if _, err := history.Open(dir, history.Options{}); !errors.Is(err, history.ErrInUse) {
		t.Errorf("it opens twice: %v", err)
	}
	shut(t, h)
	shut(t, h) // once more does nothing
	var d leaderboard.Dashboard
	_, err := h.Checkpoint(t.Context())
	_, changesErr := h.Changes(t.Context(), "since", history.Moment{Position: position(1)}, keyOf(0))
	for i, err := range []error{
		err, changesErr, h.AsOf(t.Context(), "asOf", history.Moment{Position: position(1)}, keyOf(0), 1, 1, &d),
		h.Apply(t.Context(), history.Batch{From: domain.CheckpointAt(position(5)), To: domain.CheckpointAt(position(6))}), h.Wait(t.Context(), position(9)),
	} {
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%d: a closed history answers %v", i, err)
		}
	}
	h = open(t, dir, history.Options{})
	defer shut(t, h)
	m.check(t, h, history.Moment{Position: position(3)}, keyOf(1), 10, 2)
	if _, err := history.Open(filepath.Join(dir, "lock"), history.Options{}); err == nil {
		t.Error("a file opens as a folder")
	}
}

func TestWhoWaitsIsWoken(t *testing.T) {
	h, m := told(t, t.TempDir(), history.Options{}, five()...)
	if err := h.Wait(t.Context(), position(5)); err != nil {
		t.Errorf("for what is there: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Wait(ended, position(6)); !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Errorf("in vain: %v", err)
	}
	woken := make(chan error)
	go func() { woken <- h.Wait(t.Context(), position(7)) }()
	tell(t, h, m, award(1, 1), award(2, 1))
	if err := <-woken; err != nil {
		t.Error(err)
	}
	go func() { woken <- h.Wait(t.Context(), position(8)) }()
	shut(t, h)
	if err := <-woken; !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("for what never comes: %v", err)
	}
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	h, _ := told(t, t.TempDir(), history.Options{SnapshotEvery: 2}, five()...)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var d leaderboard.Dashboard
	if err := h.AsOf(ended, "asOf", history.Moment{Position: position(5)}, keyOf(0), 1, 1, &d); !errors.Is(err, context.Canceled) {
		t.Errorf("AsOf: %v", err)
	}
	if _, err := h.Changes(ended, "since", history.Moment{Position: position(5)}, keyOf(0)); !errors.Is(err, context.Canceled) {
		t.Errorf("Changes: %v", err)
	}
}

func TestWhatComesAfterTheCustomerWasForgottenDoesNotCount(t *testing.T) {
	for name, every := range map[string]int64{"in one segment": 100, "in some segments": 2} {
		t.Run(name, func(t *testing.T) {
			h, m := told(t, t.TempDir(), history.Options{SnapshotEvery: every}, append(five(),
				award(2, 3), history.Change{Kind: history.Forgotten, Key: keyOf(2)}, award(2, 9), history.Change{Kind: history.Forgotten, Key: keyOf(2)}, award(1, 100), award(2, 9))...)
			for n := range m.checkpoint().Commit {
				for customer := range 5 {
					m.check(t, h, history.Moment{Position: position(n + 1)}, keyOf(customer), 10, 2)
				}
			}
			c, err := h.Changes(t.Context(), "since", history.Moment{Position: position(5)}, keyOf(2))
			if err != nil || c.Awarded != 3 || !c.Then.Ranked || c.Now.Ranked || c.Now.Customers != 4 {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

// TestManyChangesOfManyCustomersAreSorted: enough for many blocks of files, and for totals that come of changes in each.
func TestManyChangesOfManyCustomersAreSorted(t *testing.T) {
	const customers, batch, batches = 1000, 2000, 12
	h, m := open(t, t.TempDir(), history.Options{SnapshotEvery: 3000}), &model{}
	defer shut(t, h)
	s := newShop(batch)
	for range batches {
		b := s.next()
		b.Changes = append([]history.Change(nil), b.Changes...)
		for i := range b.Changes {
			b.Changes[i].Key = keyAmong(s.random.Uint64N(customers))
		}
		if err := h.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		m.add(b)
	}
	h.Settle()
	standings := map[domain.ProxyKey]leaderboard.Standing{}
	changes := m.changes()
	for n, c := range changes {
		if s := standings[c.Key]; c.Points != 0 {
			standings[c.Key] = leaderboard.Standing{Key: c.Key, Points: s.Points + c.Points, Minute: c.Minute}
		}
		if n%3700 != 3699 && n != len(changes)-1 {
			continue
		}
		for range 5 {
			key := keyAmong(s.random.Uint64N(customers + 50))
			want := leaderboardtest.NewModel(slices.Collect(maps.Values(standings))...).Dashboard(key, 100, 50)
			want.State = leaderboard.State{Position: c.Position, AsOf: c.Stored}
			var d leaderboard.Dashboard
			if err := h.AsOf(t.Context(), "asOf", history.Moment{Position: c.Position}, key, 100, 50, &d); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, d, sameEmpty); diff != "" {
				t.Fatalf("after %d changes (-want +got):\n%s", n+1, diff)
			}
		}
	}
}

// 3,000 changes of what one event holds come to far more than the points of one.
func TestATotalMayBeAnySumOfWhatEventsHold(t *testing.T) {
	const most = domain.MaxChange
	h := open(t, t.TempDir(), history.Options{SnapshotEvery: 400})
	defer shut(t, h)
	at := domain.Checkpoint{}
	for n := range uint64(300) {
		b := history.Batch{From: at}
		for i := range uint64(10) {
			c := award(int(i%3), []domain.Points{most, -most, 1}[i%3])
			c.Position, c.Stored, c.Minute = position(10*n+i+1), second(int(n)), int64(n)
			b.Changes, b.AsOf = append(b.Changes, c), c.Stored
		}
		b.To = domain.CheckpointAt(position(10*n + 10))
		if err := h.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		at = b.To
	}
	h.Settle()
	for _, n := range []int64{1, 50, 150, 300} {
		var d leaderboard.Dashboard
		if err := h.AsOf(t.Context(), "asOf", history.Moment{Position: position(uint64(10 * n))}, keyOf(0), 3, 0, &d); err != nil {
			t.Fatal(err)
		}
		want := []leaderboard.Row{
			{Rank: 1, Key: keyOf(0), Points: domain.Points(4*n) * most}, {Rank: 2, Key: keyOf(2), Points: domain.Points(3 * n)},
			{Rank: 3, Key: keyOf(1), Points: domain.Points(-3*n) * most},
		}
		if diff := cmp.Diff(want, d.Top); diff != "" {
			t.Errorf("after %d batches (-want +got):\n%s", n, diff)
		}
	}
}

// Given a history with a checkpoint that names its log, our last event and the fold
// When it is closed and opened again, also where its last segment is empty
// Then the checkpoint is as the last batch gave it, and a batch from any other is refused.
func TestACheckpointComesBackAsItWasGiven(t *testing.T) {
	for name, size := range map[string]int64{"in the last segment": 100, "in the segment before": 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var from domain.Checkpoint
			for n := range uint64(3) {
				h := open(t, dir, history.Options{SnapshotEvery: size})
				if got, err := h.Checkpoint(t.Context()); err != nil || got != from {
					t.Fatalf("the checkpoint is %+v, %v; want %+v", got, err, from)
				}
				to := domain.Checkpoint{Position: position(n + 2), Log: "log-1", Last: domain.EventRef{Position: position(n + 1), ID: "event"}, Fold: int(n) + 1, Names: "names-1"}
				change := history.Change{Kind: history.Awarded, Points: 5, Position: position(n + 2)}
				wrong := from
				wrong.Log = "log-2"
				if err := h.Apply(t.Context(), history.Batch{From: wrong, To: to, Changes: []history.Change{change}}); !errors.Is(err, domain.ErrCheckpointMoved) {
					t.Errorf("from another log: got %v, want domain.ErrCheckpointMoved", err)
				}
				if err := h.Apply(t.Context(), history.Batch{From: from, To: to, Changes: []history.Change{change}}); err != nil {
					t.Fatal(err)
				}
				from = to
				from.Log, from.Names = "log-1b", "names-2"
				if err := h.Apply(t.Context(), history.Batch{From: to, To: from}); err != nil {
					t.Fatal(err)
				}
				shut(t, h)
			}
			if err := history.Empty(dir); err != nil {
				t.Fatal(err)
			}
			h := open(t, dir, history.Options{})
			defer shut(t, h)
			if got, err := h.Checkpoint(t.Context()); err != nil || got != (domain.Checkpoint{}) {
				t.Errorf("emptied, it is at %+v, %v", got, err)
			}
			if err := history.Empty(dir); !errors.Is(err, history.ErrInUse) {
				t.Errorf("emptying it in use: got %v, want history.ErrInUse", err)
			}
		})
	}
}
