package leaderboardtest

import (
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var orderClauses = []clause{
	{"more points rank higher", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 5), standing(bob, 30, 5), standing(cat, 20, 5))
		b.ranks(bob, cat, ann)
	}},
	{"of equal points those reached first rank higher", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, 7), standing(bob, 10, 5), standing(cat, 10, 6))
		b.ranks(bob, cat, ann)
	}},
	{"of equal points in the same minute the lower proxy key ranks higher", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(cat, 10, 5), standing(ann, 10, 5), standing(bob, 10, 5))
		b.ranks(ann, bob, cat)
	}},
	{"proxy keys compare byte by byte, unsigned, to the last byte", func(t *testing.T, adapter Adapter) {
		keys := []domain.ProxyKey{{}, {15: 1}, {15: 0x7f}, {15: 0x80}, {15: 0xff}, {14: 1}, {9: 1}, {8: 1, 9: 1}, {8: 0x7f}, {8: 0x80}, {8: 0xff}, {7: 1}, {7: 0x80}, {2: 1}, {1: 1}, {1: 0x40}, {1: 0x80}, {1: 0xff}, {0: 1}, {0: 0x7f}, {0: 0x80}, {0: 0xff}}
		var standings []leaderboard.Standing
		for i := range keys {
			standings = append(standings, standing(keys[len(keys)-1-i], 10, 5))
		}
		b := given(t, adapter, standings...)
		b.ranks(keys...)
	}},
	{"the order is the same whether reached by loading or by changes", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter)
		b.apply(change(eve, 10, 5), change(dan, 10, 5), change(cat, 10, 4), change(bob, 11, 9), change(ann, -1, 0))
		b.ranks(bob, cat, dan, eve, ann)
	}},
	{"totals of zero and below rank too, after all above", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, -1, 0), standing(bob, -2, 0), standing(cat, 0, 9), standing(dan, 1, 9), standing(eve, 0, 8))
		b.ranks(dan, eve, cat, ann, bob)
	}},
	{"the highest and lowest totals keep their minutes apart", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter,
			standing(ann, domain.MaxRanked, leaderboard.MaxMinute), standing(bob, domain.MaxRanked, leaderboard.MaxMinute-1),
			standing(cat, -domain.MaxRanked, 1), standing(dan, -domain.MaxRanked, 0), standing(eve, domain.MaxRanked-1, 0))
		b.ranks(bob, ann, eve, dan, cat)
	}},
	{"a minute never weighs as much as a point", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(ann, 10, leaderboard.MaxMinute), standing(bob, 9, 0))
		b.ranks(ann, bob)
	}},
	{"minutes before the epoch count as the epoch", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(bob, 10, -5), standing(ann, 10, 0), standing(cat, 10, 1))
		b.apply(change(eve, 10, -1<<40), change(dan, 10, 0))
		b.ranks(ann, bob, dan, eve, cat)
	}},
	{"minutes after the last count as the last", func(t *testing.T, adapter Adapter) {
		b := given(t, adapter, standing(bob, 10, leaderboard.MaxMinute+1), standing(ann, 10, leaderboard.MaxMinute), standing(cat, 10, leaderboard.MaxMinute-1))
		b.apply(change(eve, 10, 1<<40), change(dan, 10, leaderboard.MaxMinute))
		b.ranks(cat, ann, bob, dan, eve)
	}},
}
