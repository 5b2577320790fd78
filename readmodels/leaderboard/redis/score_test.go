package redis

import (
	"cmp"
	"errors"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

func TestAScoreIsExactInADouble(t *testing.T) {
	const limit = int64(domain.MaxRanked)
	for _, points := range []int64{-limit, -limit + 1, -1, 0, 1, limit - 1, limit} {
		for _, minute := range []int64{0, 1, leaderboard.MaxMinute - 1, leaderboard.MaxMinute} {
			s := score(domain.Points(points), minute)
			if s >= 1<<53 || s <= -1<<53 || int64(float64(s)) != s {
				t.Errorf("%d points, minute %d: %d does not fit", points, minute, s)
			}
			if gotPoints, gotMinute := decodeScore(s); int64(gotPoints) != points || gotMinute != minute {
				t.Errorf("%d points, minute %d: came back as %d and %d", points, minute, gotPoints, gotMinute)
			}
		}
	}
	if got := score(-domain.MaxRanked, leaderboard.MaxMinute); got != 1<<53-1 {
		t.Errorf("the lowest place is %d", got)
	}
	if got := score(domain.MaxRanked, 0); got != -(1<<53 - 1<<26) {
		t.Errorf("the best place is %d", got)
	}
}

func TestScoresAreInTheOrderOfRanks(t *testing.T) {
	points := rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64Range(-int64(domain.MaxRanked), int64(domain.MaxRanked)))
	minute := rapid.OneOf(rapid.Int64Range(0, 2), rapid.Int64Range(0, leaderboard.MaxMinute))
	rapid.Check(t, func(t *rapid.T) {
		p1, p2, m1, m2 := points.Draw(t, "p1"), points.Draw(t, "p2"), minute.Draw(t, "m1"), minute.Draw(t, "m2")
		want := cmp.Or(cmp.Compare(p2, p1), cmp.Compare(m1, m2))
		if got := cmp.Compare(score(domain.Points(p1), m1), score(domain.Points(p2), m2)); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	})
}

// Redis writes doubles as %.17g or in the shortest form, by its version.
func TestAScoreIsReadInEveryFormThatRedisWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(-1<<53+1, 1<<53-1).Draw(t, "score")
		for _, format := range []byte{'g', 'e', 'f'} {
			for _, precision := range []int{-1, 17} {
				text := strconv.FormatFloat(float64(want), format, precision, 64)
				if got, err := parseScore(text); err != nil || got != want {
					t.Fatalf("%s: got %d, %v; want %d", text, got, err, want)
				}
			}
		}
	})
	for _, text := range []string{"", "x", "1.5", "inf", "-inf", "nan", "9007199254740992", "-9007199254740992", "1e300"} {
		if got, err := parseScore(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func TestATimeComesBackToTheMicrosecond(t *testing.T) {
	for _, want := range []time.Time{{}, time.Unix(0, 0).UTC(), time.Date(2026, 3, 1, 9, 0, 0, 123_456_000, time.UTC), time.UnixMicro(1<<53 - 1).UTC()} {
		if got, err := parseTime(formatTime(want)); err != nil || !got.Equal(want) {
			t.Errorf("%s came back as %s, %v", want, got, err)
		}
	}
	if got, err := parseTime("noon"); err == nil {
		t.Errorf("got %s", got)
	}
}

func FuzzSnapshot(f *testing.F) {
	key := string(make([]byte, 16))
	f.Add("110", "", "2", key+" 7", "0 0 "+key+" -67108859")
	f.Add("110-111", "1772355600000000", "2", key+" 1e+3 "+key+" 5", "3 4 "+key+" 5 "+key+" 6")
	f.Fuzz(func(t *testing.T, position, asOf, customers, top, place string) {
		s, err := newSnapshot([]any{position, asOf, customers, top, place})
		if err != nil {
			return
		}
		if new(dashboardQueue).readTop(&s, 10) != nil {
			return
		}
		var d leaderboard.Dashboard
		if err := s.dashboard(0, domain.ProxyKey{}, 10, &d); err != nil {
			return
		}
		if d.Ranked != (len(d.Around) > 0) || len(d.Top) > 10 {
			t.Errorf("got %+v", d)
		}
	})
}

func TestTakingOutADashboardAllocatesNothing(t *testing.T) {
	var key domain.ProxyKey
	s := snapshot{rest: []any{string(key[:]) + " -671088640", "0 0 " + string(key[:]) + " -671088640"}}
	var r dashboardQueue
	if err := r.readTop(&s, 10); err != nil || len(s.top) != 1 {
		t.Fatal(s.top, err)
	}
	d := leaderboard.Dashboard{Top: make([]leaderboard.Row, 0, 10), Around: make([]leaderboard.Row, 0, 5)}
	allocations := testing.AllocsPerRun(100, func() {
		if err := errors.Join(r.readTop(&s, 10), s.dashboard(0, key, 10, &d)); err != nil || d.You.Points != 10 || len(d.Top) != 1 {
			t.Error(d, err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
