package leaderboardtest

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var windowClauses = []clause{
	{"ranks count from 1, without ties", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		for i, row := range b.dashboard(absent, 100, 0).Top {
			if row.Rank != int64(i)+1 {
				t.Errorf("row %d has rank %d", i, row.Rank)
			}
		}
	}},
	{"the first sees themselves and those below", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		b.seesAround(1, 2, 1, 2, 3)
	}},
	{"the second sees the first above", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		b.seesAround(2, 2, 1, 2, 3, 4)
	}},
	{"one in the middle sees as many above as below", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		b.seesAround(5, 2, 3, 4, 5, 6, 7)
	}},
	{"the last but one sees the last below", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		b.seesAround(8, 2, 6, 7, 8, 9)
	}},
	{"the last sees themselves and those above", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		b.seesAround(9, 2, 7, 8, 9)
	}},
	{"with none around one sees only oneself", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		b.seesAround(4, 0, 4)
	}},
	{"somebody alone is first and last", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(1)...)
		b.seesAround(1, 50, 1)
	}},
	{"somebody who is absent sees the top, has no rank and nobody around", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		d := b.dashboard(absent, 3, 2)
		if d.Ranked || d.You != (leaderboard.Row{}) || len(d.Around) != 0 {
			t.Errorf("absent, but: %+v", d)
		}
		if len(d.Top) != 3 || d.Top[0].Rank != 1 || d.Customers != 9 {
			t.Errorf("the top should be there for everybody: %+v", d)
		}
	}},
	{"on an empty board everybody is absent", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter)
		if d := b.dashboard(ann, 10, 2); d.Ranked || len(d.Top) != 0 || len(d.Around) != 0 || d.Customers != 0 {
			t.Errorf("an empty board shows %+v", d)
		}
		b.agrees()
	}},
	{"a top longer than the board is the whole board", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		if top := b.dashboard(absent, 10, 0).Top; len(top) != 9 {
			t.Errorf("got %d rows of 9", len(top))
		}
		if top := b.dashboard(absent, 9, 0).Top; len(top) != 9 {
			t.Errorf("got %d rows of 9", len(top))
		}
	}},
	{"every window of every size is that of a plain sort", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(7)...)
		ranking := b.model.Ranking()
		for top := 1; top <= 9; top++ {
			for around := range 9 {
				for _, s := range ranking {
					b.shows(ranking, s.Key, top, around)
				}
				b.shows(ranking, absent, top, around)
			}
		}
	}},
	{"the largest windows are whole, at every rank", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(230)...)
		ranking := b.model.Ranking()
		for i := 0; i < len(ranking); i += 7 {
			b.shows(ranking, ranking[i].Key, leaderboard.MaxTop, leaderboard.MaxAround)
		}
		b.shows(ranking, ranking[len(ranking)-1].Key, leaderboard.MaxTop, leaderboard.MaxAround)
	}},
	{"sizes out of range are refused", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(9)...)
		for _, size := range []struct{ top, around int }{{0, 2}, {-1, 2}, {leaderboard.MaxTop + 1, 2}, {10, -1}, {10, leaderboard.MaxAround + 1}} {
			var d leaderboard.Dashboard
			if err := b.Dashboard(b.ctx, ann, size.top, size.around, &d); !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("top %d, around %d: got error %v, want %v", size.top, size.around, err, domain.ErrInvalid)
			}
		}
	}},
	{"a dashboard read into an old one keeps nothing of it", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, crowd(40)...)
		ranking := b.model.Ranking()
		var d leaderboard.Dashboard
		for _, read := range []struct {
			key         domain.ProxyKey
			top, around int
		}{{ranking[20].Key, 30, 10}, {ranking[0].Key, 5, 1}, {absent, 1, 0}, {ranking[39].Key, 40, 40}} {
			if err := b.Dashboard(b.ctx, read.key, read.top, read.around, &d); err != nil {
				t.Fatal(err)
			}
			want := ranking.Dashboard(read.key, read.top, read.around)
			want.State = b.state
			if diff := difference(want, d); diff != "" {
				t.Fatalf("%+v (-want +got):\n%s", read, diff)
			}
		}
	}},
}

// seesAround expects these ranks around the customer at a rank.
func (b *board) seesAround(rank, around int, want ...int64) {
	b.Helper()
	ranking := b.model.Ranking()
	key := ranking[rank-1].Key
	d := b.dashboard(key, 1, around)
	var got []int64
	for _, row := range d.Around {
		got = append(got, row.Rank)
	}
	if !d.Ranked || d.You.Rank != int64(rank) || d.You.Key != key || !slices.Equal(got, want) {
		b.Fatalf("rank %d: got %+v with ranks %v around, want %v", rank, d.You, got, want)
	}
	b.shows(ranking, key, 1, around)
}

// crowd is n customers in groups of three with the same total, two of which also have the same minute.
func crowd(n int) []leaderboard.Standing {
	var standings []leaderboard.Standing
	for i := range n {
		var key domain.ProxyKey
		binary.BigEndian.PutUint64(key[:], uint64(i+1)*0x9e3779b97f4a7c15)
		standings = append(standings, standing(key, domain.Points(i/3), int64(i%3/2)))
	}
	return standings
}
