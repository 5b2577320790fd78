package ledgertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// beginning is the beginning of the span that contains t.
func beginning(t time.Time, by ledger.Span) time.Time {
	t, hour := t.UTC(), 0
	if by == ledger.Hour {
		hour = t.Hour()
	}
	return time.Date(t.Year(), t.Month(), t.Day(), hour, 0, 0, 0, time.UTC)
}

// after is the beginning of the next span.
func after(begin time.Time, by ledger.Span) time.Time {
	if by == ledger.Hour {
		return begin.Add(time.Hour)
	}
	return begin.AddDate(0, 0, 1)
}

// Earned sums the entries of a range of time, by span and channel. A zero bound is open.
func (m *Model) Earned(from, until time.Time, by ledger.Span) (rows []ledger.Earning) {
	for _, e := range m.entries {
		if !from.IsZero() && e.OccurredAt.Before(from) || !until.IsZero() && !e.OccurredAt.Before(until) {
			continue
		}
		begin := beginning(e.OccurredAt, by)
		i := slices.IndexFunc(rows, func(r ledger.Earning) bool { return r.At.Equal(begin) && r.Channel == e.Channel })
		if i < 0 {
			i, rows = len(rows), append(rows, ledger.Earning{At: begin, Channel: e.Channel})
		}
		row := &rows[i]
		switch e.Kind {
		case ledger.Award:
			row.Awards++
			row.Awarded += e.Points
		case ledger.Reversal:
			row.Reversals++
			row.Reversed += e.Points
		case ledger.Adjustment:
			row.Adjustments++
			row.Adjusted += e.Points
		}
	}
	slices.SortFunc(rows, func(a, b ledger.Earning) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Channel, b.Channel)) })
	return rows
}

// Earnings is the expected answer to a valid query.
func (m *Model) Earnings(from, until time.Time, by ledger.Span) ledger.Earnings {
	told := ledger.Earnings{State: m.state}
	var times []time.Time
	for _, e := range m.entries {
		times = append(times, e.OccurredAt)
	}
	if !from.IsZero() {
		told.From = beginning(from, by)
	}
	if !until.IsZero() {
		if told.Until = beginning(until, by); told.Until.Before(until) {
			told.Until = after(told.Until, by)
		}
	}
	if from.IsZero() && len(times) > 0 {
		told.From = beginning(slices.MinFunc(times, time.Time.Compare), by)
		if !until.IsZero() && told.Until.Before(told.From) {
			told.From = told.Until
		}
	}
	if until.IsZero() && len(times) > 0 {
		told.Until = after(beginning(slices.MaxFunc(times, time.Time.Compare), by), by)
		if told.Until.Before(told.From) {
			told.Until = told.From
		}
	}
	told.Rows = m.Earned(told.From, told.Until, by)
	return told
}

// compareEarned compares the sums of every hour with the model's.
func compareEarned(ctx context.Context, l ledger.Earner, m *Model) error {
	var all []ledger.Earning
	state, err := l.Hours(ctx, func(e ledger.Earning) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		return err
	}
	if diff := gocmp.Diff(m.Earned(time.Time{}, time.Time{}, ledger.Hour), all); diff != "" {
		return fmt.Errorf("the earnings of every hour differ (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(m.State(), state); diff != "" {
		return fmt.Errorf("the state with them differs (-want +got):\n%s", diff)
	}
	return nil
}

// compareEarnings compares an answer with the model's.
func compareEarnings(ctx context.Context, l ledger.Earner, m *Model, from, until time.Time, by ledger.Span) error {
	got, err := l.Earnings(ctx, from, until, by)
	if err != nil {
		return err
	}
	if diff := gocmp.Diff(m.Earnings(from, until, by), got); diff != "" {
		return fmt.Errorf("the earnings from %s until %s by the %s differ (-want +got):\n%s", from, until, by, diff)
	}
	return nil
}

// someEarnings compares the earnings of times around some of the entries.
func someEarnings(ctx context.Context, l ledger.Earner, m *Model) (errs error) {
	for i := 0; i < len(m.entries); i += 1 + len(m.entries)/3 {
		from := m.entries[i].OccurredAt
		errs = errors.Join(errs, compareEarnings(ctx, l, m, from, from.Add(90*time.Minute), ledger.Hour),
			compareEarnings(ctx, l, m, from.AddDate(0, -1, 0), from, ledger.Day))
	}
	return errs
}

// earned reads earnings, which must succeed and be the model's.
func (f *fixture) earned(from, until time.Time, by ledger.Span) ledger.Earnings {
	f.Helper()
	if err := compareEarnings(f.ctx, f, &f.model, from, until, by); err != nil {
		f.Fatal(err)
	}
	return f.model.Earnings(from, until, by)
}

// sold and corrected make an award through a channel and an adjustment, at a given time.
func sold(n uint64, at time.Time, channel domain.Channel, points domain.Points) ledger.Entry {
	e := award(n, "anna", points)
	e.OccurredAt, e.Channel = at, channel
	return e
}

func corrected(n uint64, at time.Time, points domain.Points) ledger.Entry {
	e := adjustment(n, "anna", points)
	e.OccurredAt = at
	return e
}

var (
	day  = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	noon = day.Add(12 * time.Hour)
)

var earningClauses = []clause{
	{"a ledger without entries earned nothing, from no time until none", func(f *fixture) {
		f.applied(ledger.Batch{To: domain.CheckpointAt(at(7)), AsOf: moment(7)})
		if got := f.earned(time.Time{}, time.Time{}, ledger.Day); !got.From.IsZero() || !got.Until.IsZero() || got.Position != at(7) {
			f.Fatalf("the model has %+v", got)
		}
		f.earned(noon.Add(time.Minute), time.Time{}, ledger.Hour)
		f.earned(time.Time{}, noon.Add(time.Minute), ledger.Hour)
		f.earned(noon, noon.Add(time.Minute), ledger.Day)
	}},

	{"entries count in the hour and the day in which they occurred, the first moment of which is in it and the last not", func(f *fixture) {
		f.add(sold(1, noon.Add(-time.Microsecond), domain.Store, 1), sold(2, noon, domain.Store, 10), sold(3, noon.Add(time.Hour-time.Nanosecond), domain.Store, 100),
			sold(4, noon.Add(time.Hour), domain.Store, 1000), sold(5, day.Add(-time.Microsecond), domain.Store, 10_000), sold(6, day, domain.Store, 100_000))
		hours := f.earned(noon, noon.Add(time.Hour), ledger.Hour)
		if want := []ledger.Earning{{At: noon, Channel: domain.Store, Awards: 2, Awarded: 110}}; !slices.Equal(hours.Rows, want) {
			f.Errorf("the model has %+v by the hour", hours.Rows)
		}
		days := f.earned(day.AddDate(0, 0, -1), day.AddDate(0, 0, 1), ledger.Day)
		if len(days.Rows) != 2 || days.Rows[0].Awarded != 10_000 || days.Rows[1].Awarded != 101_111 {
			f.Errorf("the model has %+v by the day", days.Rows)
		}
		f.equalsModel()
	}},

	{"a day is one in UTC, wherever it was told", func(f *fixture) {
		f.add(sold(1, day.Add(-30*time.Minute).In(time.FixedZone("summer", 3600)), domain.Mobile, 1))
		if got := f.earned(time.Time{}, time.Time{}, ledger.Day); got.From != day.AddDate(0, 0, -1) || got.Until != day {
			f.Errorf("the model covers %s to %s", got.From, got.Until)
		}
		f.earned(day.Add(-30*time.Minute).In(time.FixedZone("west", -7200)), day.In(time.FixedZone("east", 7200)), ledger.Hour)
	}},

	{"times long ago are in their hour and day, too", func(f *fixture) {
		f.add(sold(1, time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC), domain.Store, 1), sold(2, time.Unix(0, 0), domain.Store, 2),
			sold(3, time.Date(1926, 3, 2, 0, 30, 0, 0, time.UTC), domain.Store, 3))
		f.equalsModel()
		f.earned(time.Date(1926, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1927, 1, 1, 0, 0, 0, 0, time.UTC), ledger.Day)
		f.earned(time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), time.Time{}, ledger.Day)
		f.earned(time.Date(1969, 12, 31, 22, 30, 0, 0, time.UTC), time.Time{}, ledger.Hour)
	}},

	{"channels are apart, what was done by hand has none, and the order is by time and channel", func(f *fixture) {
		back := reversal(5, "anna", -3)
		back.OccurredAt = noon
		f.add(sold(1, noon.Add(time.Hour), domain.Mobile, 1), sold(2, noon, domain.Website, 7), sold(3, noon, domain.Store, 9), corrected(4, noon, 25), back,
			sold(6, noon.Add(time.Minute), domain.Website, 0))
		want := []ledger.Earning{
			{At: noon, Adjustments: 1, Adjusted: 25},
			{At: noon, Channel: domain.Store, Awards: 1, Awarded: 9},
			{At: noon, Channel: domain.Website, Awards: 2, Awarded: 7, Reversals: 1, Reversed: -3},
			{At: noon.Add(time.Hour), Channel: domain.Mobile, Awards: 1, Awarded: 1},
		}
		if got := f.earned(time.Time{}, time.Time{}, ledger.Hour); !slices.Equal(got.Rows, want) {
			f.Errorf("the model has %+v", got.Rows)
		}
	}},

	{"sums may be negative, and many times what one event holds", func(f *fixture) {
		var entries []ledger.Entry
		for n := range uint64(40) {
			e := adjustment(n+1, domain.CustomerID(fmt.Sprintf("c%d", n)), -domain.MaxChange)
			e.OccurredAt = noon
			entries = append(entries, e)
		}
		f.add(entries[:25]...)
		f.add(entries[25:]...)
		if got := f.earned(noon, time.Time{}, ledger.Hour); len(got.Rows) != 1 || got.Rows[0].Adjusted != -40*domain.MaxChange {
			f.Errorf("the model has %+v", got.Rows)
		}
	}},

	{"what is delivered again or refused counts nothing, and what counts is there after a restart", func(f *fixture) {
		b := f.batch(sold(1, noon, domain.Store, 5), corrected(2, noon, -2))
		f.applied(b)
		f.refused(b, domain.ErrCheckpointMoved)
		f.refused(f.batch(sold(3, noon, domain.Store, 1), corrected(4, noon, domain.MaxChange+1)), nil)
		if err := f.Close(); err != nil {
			f.Fatal(err)
		}
		f.Ledger = f.another()
		f.earned(day, time.Time{}, ledger.Day)
		f.add(sold(3, noon, domain.Store, 7))
		if got := f.earned(day, time.Time{}, ledger.Day); got.Position != at(3) || got.AsOf != moment(3) || got.Rows[1].Awarded != 12 {
			f.Errorf("the model has %+v", got)
		}
	}},

	{"entries of a customer who is forgotten stay counted, and those that follow count", func(f *fixture) {
		f.add(sold(1, noon, domain.Store, 5))
		f.did(did(2, ledger.Forgotten, "anna"), did(3, ledger.Certified, "anna"))
		f.add(sold(4, noon, domain.Store, 6))
		if got := f.earned(day, time.Time{}, ledger.Day); len(got.Rows) != 1 || got.Rows[0].Awards != 2 || got.Rows[0].Awarded != 11 {
			f.Errorf("the model has %+v", got.Rows)
		}
	}},

	{"what is asked for is widened to whole spans", func(f *fixture) {
		f.add(sold(1, noon, domain.Store, 1), sold(2, noon.Add(2*time.Hour-time.Microsecond), domain.Store, 10), sold(3, noon.Add(2*time.Hour), domain.Store, 100))
		got := f.earned(noon.Add(59*time.Minute), noon.Add(61*time.Minute), ledger.Hour)
		if got.From != noon || got.Until != noon.Add(2*time.Hour) || len(got.Rows) != 2 {
			f.Errorf("the model has %+v", got)
		}
		got = f.earned(noon, noon.Add(time.Nanosecond), ledger.Day)
		if got.From != day || got.Until != day.AddDate(0, 0, 1) || len(got.Rows) != 1 || got.Rows[0].Awards != 3 {
			f.Errorf("the model has %+v", got)
		}
		got = f.earned(noon, noon.Add(2*time.Hour), ledger.Hour)
		if got.From != noon || got.Until != noon.Add(2*time.Hour) || len(got.Rows) != 2 {
			f.Errorf("the model has %+v", got)
		}
	}},

	{"an open bound is that of the first or last entry, and nothing is covered beyond them", func(f *fixture) {
		f.add(sold(1, noon.Add(time.Minute), domain.Store, 1), sold(2, noon.Add(5*time.Hour), domain.Store, 10), sold(3, noon.Add(-time.Minute), domain.Store, 100))
		if got := f.earned(time.Time{}, time.Time{}, ledger.Hour); got.From != noon.Add(-time.Hour) || got.Until != noon.Add(6*time.Hour) {
			f.Errorf("the model covers %s to %s", got.From, got.Until)
		}
		for _, by := range []ledger.Span{ledger.Hour, ledger.Day} {
			f.earned(noon.Add(time.Hour), time.Time{}, by)
			f.earned(time.Time{}, noon.Add(time.Hour), by)
			if got := f.earned(day.AddDate(50, 0, 0), time.Time{}, by); got.From != got.Until {
				f.Errorf("the model covers %s to %s", got.From, got.Until)
			}
			if got := f.earned(time.Time{}, day.AddDate(-50, 0, 0), by); got.From != got.Until {
				f.Errorf("the model covers %s to %s", got.From, got.Until)
			}
		}
	}},

	{"at most 31 days are told by the hour, and ten years by the day", func(f *fixture) {
		refused := func(from, until time.Time, by ledger.Span, field, code string) {
			f.Helper()
			if got, err := f.Earnings(f.ctx, from, until, by); !invalid(err, field, code) {
				f.Errorf("from %s until %s by the %s: %+v, %v", from, until, by, got, err)
			}
		}
		f.add(sold(1, day, domain.Store, 1))
		for i, most := range []struct {
			by    ledger.Span
			until time.Time
		}{{ledger.Hour, day.AddDate(0, 0, 31)}, {ledger.Day, day.AddDate(10, 0, 0)}} {
			by, until, last := most.by, most.until, uint64(2*i+2)
			// When as much as is told lies between the first entry and the last
			f.add(sold(last, until.Add(-time.Microsecond), domain.Store, 1))
			f.earned(day, until, by)
			f.earned(time.Time{}, until, by)
			f.earned(day.Add(30*time.Minute), until.Add(30*time.Minute), by) // widening does not count
			refused(day, until.Add(time.Nanosecond), by, "from", "span_too_long")
			refused(time.Time{}, until.AddDate(0, 0, 1), by, "from", "span_too_long")
			refused(day.AddDate(0, 0, -1), time.Time{}, by, "from", "span_too_long")
			f.earned(time.Time{}, time.Time{}, by)
			f.earned(day, time.Time{}, by)
			// And when it is more
			f.add(sold(last+1, until, domain.Store, 1))
			refused(time.Time{}, time.Time{}, by, "from", "span_too_long")
			refused(day, time.Time{}, by, "from", "span_too_long")
			f.earned(day.AddDate(0, 0, 1), time.Time{}, by)
			refused(day, day, by, "until", "until_before_from")
			refused(day.Add(time.Minute), day, by, "until", "until_before_from")
		}
		refused(day, day.Add(time.Hour), "week", "by", "span_unknown")
		end := time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)
		refused(end.AddDate(0, 0, -2), end, ledger.Day, "until", "until_too_late")
		refused(end.AddDate(0, 0, -2), end.Add(time.Minute), ledger.Hour, "until", "until_too_late")
		f.earned(end.AddDate(0, 0, -2), end, ledger.Hour)
	}},

	{"a stream of the hours stops at the first error, which comes back", func(f *fixture) {
		f.add(sold(1, noon, domain.Store, 1), sold(2, noon, domain.Mobile, 1))
		enough, calls := errors.New("enough"), 0
		_, err := f.Hours(f.ctx, func(ledger.Earning) error {
			calls++
			return enough
		})
		if !errors.Is(err, enough) || calls != 1 {
			f.Fatalf("%d calls, %v", calls, err)
		}
	}},

	{"earnings go over to a copy, and of two runners with one batch one counts", func(f *fixture) {
		f.add(sold(1, noon, domain.Store, 5), sold(2, noon.Add(time.Hour), domain.Mobile, 6))
		c := f.copied()
		c.add(sold(1, noon, domain.Store, 50))
		c.add(sold(3, noon, domain.Store, 500))
		c.equalsModel()
		f.equalsModel()
		c.switched()
		f.model = c.model
		f.earned(day, time.Time{}, ledger.Hour)
		other, b := f.another(), f.batch(sold(4, noon, domain.Store, 1), corrected(5, noon, -1))
		won := make(chan error, 1)
		go func() { won <- other.Apply(f.ctx, b) }()
		err, theirs := f.Apply(f.ctx, b), <-won
		if (err == nil) == (theirs == nil) || !errors.Is(errors.Join(err, theirs), domain.ErrCheckpointMoved) {
			f.Fatalf("one applied it with %v, the other with %v", err, theirs)
		}
		if err := f.model.Apply(b); err != nil {
			f.Fatal(err)
		}
		f.equalsModel()
		f.earned(day, time.Time{}, ledger.Hour)
	}},
}

// earnings reads the earnings of a random range.
func (h *history) earnings(r *rapid.T) {
	by := rapid.SampledFrom([]ledger.Span{ledger.Hour, ledger.Day}).Draw(r, "by")
	var bounds [2]time.Time
	for i, what := range []string{"from", "until"} {
		if rapid.IntRange(1, 4).Draw(r, what) > 1 {
			bounds[i] = moment(0).Add(time.Duration(rapid.Int64Range(-3e14, 3e14).Draw(r, what+" when")))
		}
	}
	from, until := bounds[0], bounds[1]
	if !from.IsZero() && !until.IsZero() && !from.Before(until) {
		if _, err := h.Earnings(h.ctx, from, until, by); !invalid(err, "until", "until_before_from") {
			r.Fatalf("from %s until %s: %v", from, until, err)
		}
		return
	}
	if err := compareEarnings(h.ctx, h, &h.model, from, until, by); err != nil {
		r.Fatal(err)
	}
}
