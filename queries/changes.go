package queries

import (
	"context"
	"fmt"

	"loyalty/domain"
	"loyalty/readmodels/history"
)

// Changes says why a customer's rank is another than it was at an earlier moment.
type Changes struct {
	history.Changes
	// Text says so in sentences to the customer.
	Text []string
}

// WhatChanged compares a customer's place on the leaderboard with that at an earlier moment. Errors are those of history.Reader; one
// about the moment names the field "since".
func WhatChanged(ctx context.Context, past history.Reader, proxies domain.Proxies, since history.Moment, customer domain.CustomerID) (Changes, error) {
	changes, err := past.Changes(ctx, "since", since, proxies.Key(customer))
	if err != nil {
		return Changes{}, err
	}
	return Changes{changes, sayChanges(changes)}, nil
}

// sayChanges says in sentences, to the customer, what changed their rank.
func sayChanges(c history.Changes) []string {
	var said []string
	say := func(happened bool, format string, arguments ...any) {
		if happened {
			said = append(said, fmt.Sprintf(format, arguments...))
		}
	}
	then, now := c.Then, c.Now
	say(!then.Ranked && !now.Ranked, "You are not on the leaderboard, and were not.")
	say(!then.Ranked && now.Ranked, "You joined the leaderboard and have rank %d.", now.Rank)
	say(then.Ranked && !now.Ranked, "You had rank %d and are no longer on the leaderboard.", then.Rank)
	say(then.Ranked && now.Ranked && then.Rank == now.Rank, "You have rank %d, as you had.", now.Rank)
	say(then.Ranked && now.Ranked && then.Rank != now.Rank, "Your rank went from %d to %d.", then.Rank, now.Rank)
	say(c.Awarded != 0, "You earned %s.", count(int64(c.Awarded), "point", "points"))
	say(c.Reversed != 0, "%s reversed.", count(-int64(c.Reversed), "point was", "points were"))
	say(c.Adjusted > 0, "%s given to you by hand.", count(int64(c.Adjusted), "point was", "points were"))
	say(c.Adjusted < 0, "%s taken from you by hand.", count(-int64(c.Adjusted), "point was", "points were"))
	say(c.Overtaken > 0, "%s passed you.", count(c.Overtaken, "customer", "customers"))
	say(c.Overtook > c.Fell, "You passed %s.", count(c.Overtook-c.Fell, "customer", "customers"))
	say(c.Fell > 0, "%s above you lost points and fell below you.", count(c.Fell, "customer", "customers"))
	say(c.Left > 0, "%s above you left the leaderboard.", count(c.Left, "customer", "customers"))
	return said
}

// count is a number with the word for what is counted.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
