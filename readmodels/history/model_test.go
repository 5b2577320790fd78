package history_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
)

// model is a history in its plainest form: the batches as they came. It folds and sorts everything for every look.
type model struct {
	batches []history.Batch
	// asOf is when everything was known after each batch, and at last.
	asOfs []time.Time
	asOf  time.Time
}

func (m *model) add(b history.Batch) {
	if b.AsOf.After(m.asOf) {
		m.asOf = b.AsOf
	}
	if b.To != b.From {
		m.batches, m.asOfs = append(m.batches, b), append(m.asOfs, m.asOf)
	}
}

// cut forgets the batches after the first n, and what was known after them.
func (m *model) cut(n int) {
	m.batches, m.asOfs, m.asOf = m.batches[:n], m.asOfs[:n], time.Time{}
	if n > 0 {
		m.asOf = m.asOfs[n-1]
	}
}

func (m *model) checkpoint() domain.Position {
	if len(m.batches) == 0 {
		return domain.Position{}
	}
	return m.batches[len(m.batches)-1].To.Position
}

func (m *model) changes() (all []history.Change) {
	for _, b := range m.batches {
		all = append(all, b.Changes...)
	}
	return all
}

// past is the leaderboard after some changes.
type past struct {
	*leaderboardtest.Model
	ranking leaderboardtest.Ranking
}

func after(changes []history.Change) past {
	p := past{Model: leaderboardtest.NewModel()}
	for _, c := range changes {
		change := leaderboard.Change{Key: c.Key, Points: c.Points, Minute: c.Minute, Retires: c.Kind == history.Forgotten}
		if err := p.Apply(change); err != nil {
			panic(err) // of so few points
		}
	}
	p.ranking = p.Ranking()
	return p
}

// until is how many changes come before a moment, and the code of the error if there is nothing to see of it.
func (m *model) until(moment history.Moment) (n int, code string) {
	changes := m.changes()
	inside := func(c history.Change) bool { return !moment.Position.Before(c.Position) }
	late := m.checkpoint().Before(moment.Position)
	if !moment.Time.IsZero() {
		inside = func(c history.Change) bool { return !c.Stored.After(moment.Time) }
		late = moment.Time.After(m.asOf)
	}
	for n < len(changes) && inside(changes[n]) {
		n++
	}
	switch {
	case late:
		return 0, "moment_too_late"
	case n == 0:
		return 0, "moment_too_early"
	}
	return n, ""
}

// dashboard is what AsOf should give.
func (m *model) dashboard(n int, moment history.Moment, key domain.ProxyKey, top, around int) leaderboard.Dashboard {
	changes := m.changes()
	d := after(changes[:n]).ranking.Dashboard(key, top, around)
	end := after(changes)
	unnamed := func(rows ...*leaderboard.Row) {
		for _, row := range rows {
			if s, _ := end.Standing(row.Key); s.Retired {
				row.Key = domain.ProxyKey{}
			}
			for _, gone := range end.Retired() {
				if gone.Key == row.Key {
					row.Key = domain.ProxyKey{}
				}
			}
		}
	}
	for i := range d.Top {
		unnamed(&d.Top[i])
	}
	for i := range d.Around {
		unnamed(&d.Around[i])
	}
	unnamed(&d.You)
	d.State = leaderboard.State{Position: changes[n-1].Position, AsOf: changes[n-1].Stored}
	if !moment.Time.IsZero() {
		d.AsOf = moment.Time
	}
	return d
}

// explain is what Changes should give, by looking at each pair of customers.
func (m *model) explain(n int, moment history.Moment, key domain.ProxyKey) (c history.Changes) {
	changes := m.changes()
	then, now := after(changes[:n]), after(changes)
	place := func(p past) (place history.Place) {
		place.Customers = int64(len(p.ranking))
		for i, s := range p.ranking {
			if s.Key == key {
				place.Ranked, place.Rank, place.Points = true, int64(i)+1, s.Points
			}
		}
		return place
	}
	c.Then, c.Now = place(then), place(now)
	c.Then.State = m.dashboard(n, moment, key, 1, 0).State
	c.Now.State = leaderboard.State{Position: m.checkpoint(), AsOf: m.asOf}
	forgotten := false
	for i, change := range changes {
		if change.Key != key {
			continue
		}
		if forgotten = forgotten || change.Kind == history.Forgotten; forgotten || i < n {
			continue
		}
		switch change.Kind {
		case history.Awarded:
			c.Awarded += change.Points
		case history.Reversed:
			c.Reversed += change.Points
		case history.Adjusted:
			c.Adjusted += change.Points
		}
	}
	if !c.Then.Ranked || !c.Now.Ranked {
		return c
	}
	rank := func(p past, key domain.ProxyKey) int64 {
		for i, s := range p.ranking {
			if s.Key == key {
				return int64(i) + 1
			}
		}
		return 1 << 40
	}
	for _, s := range now.ranking {
		if rank(now, s.Key) < c.Now.Rank && rank(then, s.Key) > c.Then.Rank {
			c.Overtaken++
		}
	}
	for _, s := range then.ranking[:c.Then.Rank-1] {
		after, still := now.Standing(s.Key)
		switch {
		case !still:
			c.Left++
		case rank(now, s.Key) > c.Now.Rank:
			c.Overtook++
			if after.Points < s.Points {
				c.Fell++
			}
		}
	}
	return c
}

var sameEmpty = cmpopts.EquateEmpty()

// check asks about a moment, on behalf of a customer.
func (m *model) check(t asking, h *history.History, moment history.Moment, key domain.ProxyKey, top, around int) {
	t.Helper()
	n, code := m.until(moment)
	var d leaderboard.Dashboard
	err := h.AsOf(t.Context(), "when", moment, key, top, around, &d)
	changes, changesErr := h.Changes(t.Context(), "when", moment, key)
	if len(m.batches) == 0 && m.asOf.IsZero() {
		if !errors.Is(err, domain.ErrNotCaughtUp) || !errors.Is(changesErr, domain.ErrNotCaughtUp) {
			t.Fatalf("of nothing: %v, %v", err, changesErr)
		}
		return
	}
	if code != "" {
		for _, err := range []error{err, changesErr} {
			if !isInvalid(err, "when", code) {
				t.Fatalf("at %+v: %v, want %s", moment, err, code)
			}
		}
		return
	}
	if err := errors.Join(err, changesErr); err != nil {
		t.Fatalf("at %+v: %v", moment, err)
	}
	if diff := cmp.Diff(m.dashboard(n, moment, key, top, around), d, sameEmpty); diff != "" {
		t.Fatalf("as of %+v (-model +history):\n%s", moment, diff)
	}
	if diff := cmp.Diff(m.explain(n, moment, key), changes); diff != "" {
		t.Fatalf("changes since %+v (-model +history):\n%s", moment, diff)
	}
	if c := changes; c.Then.Ranked && c.Now.Ranked && c.Now.Rank != c.Then.Rank+c.Overtaken-c.Overtook-c.Left {
		t.Fatalf("it doesn't add up: %+v", c)
	}
}

func isInvalid(err error, field, code string) bool {
	var invalid *domain.InvalidError
	return errors.As(err, &invalid) && len(invalid.Fields) == 1 && invalid.Fields[0].Field == field && invalid.Fields[0].Code == code
}

// keyOf makes keys that differ only at their end, some of them.
func keyOf(i int) domain.ProxyKey {
	return domain.ProxyKey{0: byte(i%3) * 0x70, 7: byte(i % 2), 15: byte(i + 1)}
}

const customers = 9

var epoch = time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC)

// drawBatch goes on from the model's checkpoint, with a clock that is set back now and then.
func (m *model) drawBatch(r *rapid.T) history.Batch {
	b := history.Batch{From: domain.CheckpointAt(m.checkpoint())}
	at := b.From
	for range rapid.IntRange(0, 5).Draw(r, "changes") {
		if rapid.IntRange(0, 5).Draw(r, "step") == 0 {
			at.Position.Prepare++
		} else {
			at.Position.Commit += uint64(rapid.IntRange(1, 3).Draw(r, "apart"))
			at.Position.Prepare = at.Position.Commit
		}
		c := history.Change{
			Key: keyOf(rapid.IntRange(0, customers-1).Draw(r, "customer")), Kind: history.Awarded, Position: at.Position,
			Points: domain.Points(rapid.IntRange(0, 3).Draw(r, "points")), Minute: int64(rapid.IntRange(0, 2).Draw(r, "minute")),
			Stored: epoch.Add(time.Duration(at.Position.Commit)*time.Second + time.Duration(rapid.IntRange(-3, 3).Draw(r, "clock"))*700*time.Millisecond),
		}
		if rapid.IntRange(0, 4).Draw(r, "large") == 0 {
			c.Points = domain.MaxChange - c.Points // a few take a total beyond the clamp
		}
		switch rapid.IntRange(0, 20).Draw(r, "kind") {
		case 0, 1, 2:
			c.Kind, c.Points = history.Reversed, -c.Points
		case 3, 4:
			c.Kind, c.Points = history.Adjusted, 2-c.Points
		case 5:
			c.Kind, c.Points = history.Forgotten, 0
		}
		b.Changes, b.AsOf = append(b.Changes, c), c.Stored
	}
	b.To = at
	if rapid.IntRange(0, 4).Draw(r, "more") == 0 {
		b.To.Position.Commit += 2
		b.To.Position.Prepare = b.To.Position.Commit
	}
	if b.To == b.From || rapid.IntRange(0, 4).Draw(r, "heartbeat") == 0 {
		b.AsOf = epoch.Add(time.Duration(b.To.Position.Commit)*time.Second + 500*time.Millisecond)
	}
	return b
}

// moments are all that can be told apart, and some more.
func (m *model) moments() (all []history.Moment) {
	for p := range m.checkpoint().Commit + 2 {
		all = append(all, history.Moment{Position: domain.Position{Commit: p, Prepare: p}}, history.Moment{Position: domain.Position{Commit: p, Prepare: p + 1}})
	}
	for _, c := range m.changes() {
		all = append(all, history.Moment{Position: c.Position}, history.Moment{Time: c.Stored}, history.Moment{Time: c.Stored.Add(-100)}, history.Moment{Time: c.Stored.Add(100)})
	}
	return append(all, history.Moment{}, history.Moment{Time: epoch.AddDate(-900, 0, 0)}, history.Moment{Time: epoch.AddDate(1, 0, 0)}, history.Moment{Time: epoch.AddDate(7900, 0, 0)})
}

// TestEveryMomentIsAsAPlainModelHasIt makes random histories, with batches that come twice, restarts, kills that leave a part of
// what was being written, and files that go missing or are damaged, and asks about a third of all moments.
func TestEveryMomentIsAsAPlainModelHasIt(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		dir := newFolder(t)
		m := &model{}
		options := history.Options{SnapshotEvery: int64(rapid.IntRange(1, 9).Draw(r, "snapshot every"))}
		h := open(r, dir, options)
		defer func() { shut(r, h) }()
		for range rapid.IntRange(1, 16).Draw(r, "steps") {
			step := rapid.SampledFrom([]string{"batch", "batch", "batch", "batch", "again", "reopen", "kill", "damage", "remove"}).Draw(r, "step")
			switch step {
			case "batch":
				b := m.drawBatch(r)
				if err := h.Apply(r.Context(), b); err != nil {
					r.Fatal(err)
				}
				m.add(b)
			case "again":
				if len(m.batches) == 0 {
					continue
				}
				b := rapid.SampledFrom(m.batches).Draw(r, "which")
				if err := h.Apply(r.Context(), b); !errors.Is(err, domain.ErrCheckpointMoved) {
					r.Fatalf("a batch that comes again: %v", err)
				}
			case "reopen", "kill":
				shut(r, h)
				if step == "kill" {
					cutTail(r, dir, rapid.Int64Range(0, 700).Draw(r, "bytes lost"), rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(r, "rubbish"))
				}
				h = open(r, dir, options)
				n := m.batchesUntil(r, h)
				if step == "reopen" && n != len(m.batches) {
					r.Fatalf("%d batches of %d are there", n, len(m.batches))
				}
				seen[step] += len(m.batches) - n
				m.cut(n)
			case "damage", "remove":
				if path := drawSorted(r, dir); path != "" {
					seen[step]++
					spoil(r, path, step == "remove")
				}
			}
			// So that what there is follows from what was drawn.
			h.Settle()
			seen["snapshots"] += len(sorted(r, dir, "*.snapshot"))
			if got, err := h.Checkpoint(r.Context()); err != nil || got.Position != m.checkpoint() {
				r.Fatalf("the checkpoint is %s, %v; want %s", got, err, m.checkpoint())
			}
		}
		key := keyOf(rapid.IntRange(0, customers).Draw(r, "who asks")) // one of whom is nobody
		top, around := rapid.IntRange(1, customers+1).Draw(r, "top"), rapid.IntRange(0, customers).Draw(r, "around")
		moments := m.moments()
		for i := rapid.IntRange(0, 2).Draw(r, "first"); i < len(moments); i += 3 {
			m.check(r, h, moments[i], key, top, around)
		}
		for i := range customers {
			want := false
			for _, gone := range after(m.changes()).Retired() {
				want = want || gone.Key == keyOf(i)
			}
			if h.Retired(keyOf(i)) != want {
				r.Fatalf("customer %d is retired: %t", i, !want)
			}
		}
	})
	for _, what := range []string{"kill", "damage", "remove", "snapshots"} {
		if seen[what] == 0 {
			t.Errorf("there was no %s that mattered, which tests little: %v", what, seen)
		}
	}
}

// batchesUntil is how many of the model's batches the history has.
func (m *model) batchesUntil(r *rapid.T, h *history.History) int {
	at, err := h.Checkpoint(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	for n := range len(m.batches) + 1 {
		if (n == 0 && at.Position == domain.Position{}) || n > 0 && m.batches[n-1].To == at {
			return n
		}
	}
	r.Fatalf("position %s is in the middle of a batch", at)
	return 0
}
