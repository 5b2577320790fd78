package leaderboardtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Model is the simplest possible leaderboard: a map that is sorted for every query. The adapters are compared with it, so its code is meant to
// be obviously right. It is not safe for concurrent use.
type Model struct {
	standings map[domain.ProxyKey]leaderboard.Standing
}

// NewModel starts from standings, each customer once.
func NewModel(standings ...leaderboard.Standing) *Model {
	m := &Model{standings: make(map[domain.ProxyKey]leaderboard.Standing)}
	for _, s := range standings {
		s.Minute = clampMinute(s.Minute)
		if s.Retired {
			s = leaderboard.Standing{Key: s.Key, Retired: true}
		}
		m.standings[s.Key] = s
	}
	return m
}

func clampMinute(minute int64) int64 { return min(max(minute, 0), leaderboard.MaxMinute) }

// Apply makes the changes one after the other, all or none. A change of more points than one event holds is domain.ErrInvalid.
func (m *Model) Apply(changes ...leaderboard.Change) error {
	after := maps.Clone(m.standings)
	for _, c := range changes {
		if !c.Retires && (c.Points > domain.MaxChange || c.Points < -domain.MaxChange) {
			return fmt.Errorf("model: %w: a change of %d points", domain.ErrInvalid, c.Points)
		}
		if c.Retires {
			after[c.Key] = leaderboard.Standing{Key: c.Key, Retired: true}
		}
		if c.Points == 0 || after[c.Key].Retired {
			continue
		}
		after[c.Key] = leaderboard.Standing{Key: c.Key, Points: after[c.Key].Points + c.Points, Minute: clampMinute(c.Minute)}
	}
	m.standings = after
	return nil
}

// Standing is one customer's total, false if they are not on the leaderboard.
func (m *Model) Standing(key domain.ProxyKey) (leaderboard.Standing, bool) {
	s, known := m.standings[key]
	return s, known && !s.Retired
}

// Standings are the standings of all customers and retired keys. A Load of them makes an equal leaderboard.
func (m *Model) Standings() []leaderboard.Standing { return append(m.Ranking(), m.Retired()...) }

// Retired are the standings of the retired keys, in order.
func (m *Model) Retired() []leaderboard.Standing {
	var retired []leaderboard.Standing
	for _, s := range m.standings {
		if s.Retired {
			retired = append(retired, s)
		}
	}
	slices.SortFunc(retired, func(a, b leaderboard.Standing) int { return a.Key.Compare(b.Key) })
	return retired
}

// Ranking sorts the customers on the leaderboard, the best first.
func (m *Model) Ranking() Ranking {
	ranking := slices.DeleteFunc(slices.Collect(maps.Values(m.standings)), func(s leaderboard.Standing) bool { return s.Retired })
	slices.SortFunc(ranking, func(a, b leaderboard.Standing) int {
		return cmp.Or(
			cmp.Compare(b.Points.Ranked(), a.Points.Ranked()),
			cmp.Compare(a.Minute, b.Minute),
			a.Key.Compare(b.Key),
		)
	})
	return ranking
}

// Dashboard is the expected dashboard of a customer, without the state. It sorts; for many dashboards use Ranking once.
func (m *Model) Dashboard(key domain.ProxyKey, top, around int) leaderboard.Dashboard {
	return m.Ranking().Dashboard(key, top, around)
}

// Ranking is all customers in order, the best first. It is safe for concurrent reads.
type Ranking []leaderboard.Standing

// Dashboard is the expected dashboard of a customer, without the state.
func (r Ranking) Dashboard(key domain.ProxyKey, top, around int) leaderboard.Dashboard {
	d := leaderboard.Dashboard{Customers: int64(len(r)), Top: r.rows(0, top)}
	at := slices.IndexFunc(r, func(s leaderboard.Standing) bool { return s.Key == key })
	if at >= 0 {
		d.Ranked, d.You, d.Around = true, r.rows(at, at+1)[0], r.rows(at-around, at+around+1)
	}
	return d
}

// rows are the rows from i (inclusive) to j (exclusive), as far as they exist.
func (r Ranking) rows(i, j int) []leaderboard.Row {
	var rows []leaderboard.Row
	for at := max(i, 0); at < min(j, len(r)); at++ {
		rows = append(rows, leaderboard.Row{Rank: int64(at) + 1, Key: r[at].Key, Points: r[at].Points})
	}
	return rows
}
