package leaderboardtest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// The model is what everything else is compared with, so it is itself compared with what a person worked out.
func TestTheModelIsWhatAPersonWorksOut(t *testing.T) {
	m := NewModel(standing(ann, 10, 5), standing(bob, 30, 5))
	if err := m.Apply(
		change(cat, 4, 6), change(cat, 6, 5), // ties with ann in points and minute, and comes after her in the alphabet
		change(dan, 10, 4), // ties in points, and was there earlier
		change(ann, 0, 9),  // is nothing
		change(eve, -2, -7),
	); err != nil {
		t.Fatal(err)
	}
	row := func(rank int64, key domain.ProxyKey, points domain.Points) leaderboard.Row {
		return leaderboard.Row{Rank: rank, Key: key, Points: points}
	}
	want := leaderboard.Dashboard{
		Ranked:    true,
		You:       row(4, cat, 10),
		Top:       []leaderboard.Row{row(1, bob, 30), row(2, dan, 10)},
		Around:    []leaderboard.Row{row(3, ann, 10), row(4, cat, 10), row(5, eve, -2)},
		Customers: 5,
	}
	if diff := cmp.Diff(want, m.Dashboard(cat, 2, 1)); diff != "" {
		t.Errorf("cat's dashboard (-want +got):\n%s", diff)
	}
	if d := m.Dashboard(absent, 1, 1); d.Ranked || d.Around != nil || d.Customers != 5 || d.Top[0] != row(1, bob, 30) {
		t.Errorf("a stranger's dashboard: %+v", d)
	}
	if got, ranked := m.Standing(eve); !ranked || got != standing(eve, -2, 0) {
		t.Errorf("eve's standing: %+v, %v", got, ranked)
	}
	if _, ranked := m.Standing(absent); ranked {
		t.Error("a stranger has a standing")
	}
}

func TestTheModelKnowsWhoIsRetired(t *testing.T) {
	m := NewModel(standing(ann, 10, 5), standing(bob, 30, 5), retired(dan))
	if err := m.Apply(change(ann, 1, 6), retires(ann), change(ann, 99, 7), change(dan, 99, 7), retires(eve), change(cat, 4, 8)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Ranking{standing(bob, 30, 5), standing(cat, 4, 8)}, m.Ranking()); diff != "" {
		t.Errorf("on the board (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]leaderboard.Standing{retired(ann), retired(dan), retired(eve)}, m.Retired()); diff != "" {
		t.Errorf("retired (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(m.Standings(), NewModel(m.Standings()...).Standings()); diff != "" {
		t.Errorf("started anew (-want +got):\n%s", diff)
	}
	if s, ranked := m.Standing(ann); ranked || s != retired(ann) {
		t.Errorf("ann's standing: %+v, %v", s, ranked)
	}
}

func TestTheModelAppliesAllChangesOrNone(t *testing.T) {
	m := NewModel(standing(ann, domain.MaxRanked, 5))
	if err := m.Apply(change(bob, 1, 1), change(ann, domain.MaxChange+1, 6), change(ann, -1, 7)); !errors.Is(err, domain.ErrInvalid) {
		t.Fatalf("got error %v, want %v", err, domain.ErrInvalid)
	}
	if diff := cmp.Diff(Ranking{standing(ann, domain.MaxRanked, 5)}, m.Ranking()); diff != "" {
		t.Errorf("after it (-want +got):\n%s", diff)
	}
}

func TestTheModelClampsForTheOrderAlone(t *testing.T) {
	m := NewModel(standing(ann, 2*domain.MaxRanked, 7), standing(bob, domain.MaxRanked, 5))
	if err := m.Apply(change(cat, domain.MaxChange, 6), change(cat, domain.MaxChange, 6)); err != nil {
		t.Fatal(err)
	}
	want := Ranking{standing(bob, domain.MaxRanked, 5), standing(cat, 2*domain.MaxRanked, 6), standing(ann, 2*domain.MaxRanked, 7)}
	if diff := cmp.Diff(want, m.Ranking()); diff != "" {
		t.Errorf("the order (-want +got):\n%s", diff)
	}
}

func TestADashboardThatContradictsItselfIsNoticed(t *testing.T) {
	ranking := NewModel(crowd(9)...).Ranking()
	for name, spoil := range map[string]func(d *leaderboard.Dashboard){
		"a rank left out":          func(d *leaderboard.Dashboard) { d.Top = append(d.Top[:1], d.Top[2:]...) },
		"points that rise":         func(d *leaderboard.Dashboard) { d.Around[1].Points += 9 },
		"a top that starts late":   func(d *leaderboard.Dashboard) { d.Top = d.Top[1:] },
		"another in top and round": func(d *leaderboard.Dashboard) { d.Top[3].Key = absent },
		"you not among yours":      func(d *leaderboard.Dashboard) { d.You.Points-- },
		"too few customers":        func(d *leaderboard.Dashboard) { d.Customers = 3 },
	} {
		d := ranking.Dashboard(ranking[4].Key, 6, 2)
		if err := consistent(&d); err != nil {
			t.Fatal(err)
		}
		spoil(&d)
		if consistent(&d) == nil {
			t.Errorf("%s is not noticed: %+v", name, d)
		}
	}
}
