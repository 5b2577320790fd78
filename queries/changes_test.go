package queries_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/projections"
	"loyalty/queries"
	"loyalty/readmodels/history"
)

func TestWhatChangedIsSaidFromTheHistoryThatFollowsTheLog(t *testing.T) {
	s := open(t)
	past, err := history.Open(t.TempDir(), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	// Given a customer who bought, and then bought again and brought a part of it back
	before := s.place("o-1", 12999)
	s.place("o-2", 5000)
	at := s.giveBack("o-2", "r-1", 2000)
	s.follow(projections.History{Writer: past, Proxies: s.proxies}, past.Wait, at)

	// When they ask what changed since the first order
	got, err := queries.WhatChanged(bounded(t), past, s.proxies, history.Moment{Position: before}, "alice")

	// Then it is there in figures and in words
	if err != nil || got.Then.Points != 13 || got.Now.Points != 16 || got.Awarded != 5 || got.Reversed != -2 {
		t.Errorf("it says %+v, %v", got, err)
	}
	if want := []string{"You have rank 1, as you had.", "You earned 5 points.", "2 points were reversed."}; !slices.Equal(got.Text, want) {
		t.Errorf("it says %q, not %q", got.Text, want)
	}

	// And of somebody who never bought it says so
	got, err = queries.WhatChanged(bounded(t), past, s.proxies, history.Moment{Position: before}, "nobody")
	if want := []string{"You are not on the leaderboard, and were not."}; err != nil || !slices.Equal(got.Text, want) {
		t.Errorf("of nobody it says %q, %v", got.Text, err)
	}

	// And of a time to come nothing is known, which names the field
	var invalid *domain.InvalidError
	if got, err := queries.WhatChanged(bounded(t), past, s.proxies, history.Moment{Time: time.Now().Add(24 * time.Hour)}, "alice"); !errors.As(err, &invalid) || invalid.Fields[0].Field != "since" {
		t.Errorf("of tomorrow it says %+v, %v", got, err)
	}
}
