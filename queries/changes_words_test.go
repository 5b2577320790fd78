package queries

import (
	"slices"
	"testing"

	"loyalty/readmodels/history"
)

func TestChangesAreSaidInSentences(t *testing.T) {
	at := func(rank int64) history.Place { return history.Place{Ranked: rank > 0, Rank: rank} }
	for _, c := range []struct {
		name    string
		changes history.Changes
		want    []string
	}{
		{"nothing happened", history.Changes{Then: at(7), Now: at(7)}, []string{"You have rank 7, as you had."}},
		{"what happened changed nothing", history.Changes{Then: at(7), Now: at(7), Awarded: 1, Overtaken: 1, Overtook: 1},
			[]string{"You have rank 7, as you had.", "You earned 1 point.", "1 customer passed you.", "You passed 1 customer."}},
		{"they fell", history.Changes{Then: at(5), Now: at(8), Reversed: -12, Adjusted: -1, Overtaken: 3},
			[]string{"Your rank went from 5 to 8.", "12 points were reversed.", "1 point was taken from you by hand.", "3 customers passed you."}},
		{"they rose", history.Changes{Then: at(8), Now: at(2), Awarded: 20, Adjusted: 1, Overtook: 5, Fell: 2, Left: 1},
			[]string{"Your rank went from 8 to 2.", "You earned 20 points.", "1 point was given to you by hand.", "You passed 3 customers.",
				"2 customers above you lost points and fell below you.", "1 customer above you left the leaderboard."}},
		{"all whom they passed had fallen", history.Changes{Then: at(2), Now: at(1), Overtook: 1, Fell: 1},
			[]string{"Your rank went from 2 to 1.", "1 customer above you lost points and fell below you."}},
		{"they joined", history.Changes{Now: at(3), Awarded: 2}, []string{"You joined the leaderboard and have rank 3.", "You earned 2 points."}},
		{"they were forgotten", history.Changes{Then: at(3)}, []string{"You had rank 3 and are no longer on the leaderboard."}},
		{"they never bought", history.Changes{}, []string{"You are not on the leaderboard, and were not."}},
	} {
		if got := sayChanges(c.changes); !slices.Equal(got, c.want) {
			t.Errorf("%s: it says %q, want %q", c.name, got, c.want)
		}
	}
}
