package leaderboardtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Model is a leaderboard in its plainest form: a map, and a sort of all of it for every look. It is what the adapters
// are measured against, so it is made to be seen to be right. One goroutine may use it at a time.
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

// Apply makes the changes one after the other, all or none. An error is that of domain.Points.Plus for the first change
// that takes a total beyond its limit.
func (m *Model) Apply(changes ...leaderboard.Change) error {
	after := maps.Clone(m.standings)
	for _, c := range changes {
		if c.Retires {
			after[c.Key] = leaderboard.Standing{Key: c.Key, Retired: true}
		}
		if c.Points == 0 || after[c.Key].Retired {
			continue
		}
		total, err := after[c.Key].Points.Plus(c.Points)
		if err != nil {
			return fmt.Errorf("model: %w", err)
		}
		after[c.Key] = leaderboard.Standing{Key: c.Key, Points: total, Minute: clampMinute(c.Minute)}
	}
	m.standings = after
	return nil
}

// Standing is one customer's total, false if they are not on the leaderboard.
func (m *Model) Standing(key domain.ProxyKey) (leaderboard.Standing, bool) {
	s, known := m.standings[key]
	return s, known && !s.Retired
}

// Standings are everybody's, with the retired keys: what a model, or a leaderboard, that is as this one starts from.
func (m *Model) Standings() []leaderboard.Standing { return append(m.Ranking(), m.Retired()...) }

// Retired are the keys that are retired, each as a standing, in order.
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

// Ranking sorts everybody who is on the leaderboard, the best first.
func (m *Model) Ranking() Ranking {
	ranking := slices.DeleteFunc(slices.Collect(maps.Values(m.standings)), func(s leaderboard.Standing) bool { return s.Retired })
	slices.SortFunc(ranking, func(a, b leaderboard.Standing) int {
		return cmp.Or(
			cmp.Compare(b.Points, a.Points),
			cmp.Compare(a.Minute, b.Minute),
			a.Key.Compare(b.Key),
		)
	})
	return ranking
}

// Dashboard is what the customer behind key should see, all but the state. It sorts; for many dashboards take Ranking once.
func (m *Model) Dashboard(key domain.ProxyKey, top, around int) leaderboard.Dashboard {
	return m.Ranking().Dashboard(key, top, around)
}

// Ranking is everybody in order, the best first. Many goroutines may read one at once.
type Ranking []leaderboard.Standing

// Dashboard is what the customer behind key should see, all but the state.
func (r Ranking) Dashboard(key domain.ProxyKey, top, around int) leaderboard.Dashboard {
	d := leaderboard.Dashboard{Customers: int64(len(r)), Top: r.rows(0, top)}
	at := slices.IndexFunc(r, func(s leaderboard.Standing) bool { return s.Key == key })
	if at >= 0 {
		d.Ranked, d.You, d.Around = true, r.rows(at, at+1)[0], r.rows(at-around, at+around+1)
	}
	return d
}

// rows are those from i to before j, as far as there are any.
func (r Ranking) rows(i, j int) []leaderboard.Row {
	var rows []leaderboard.Row
	for at := max(i, 0); at < min(j, len(r)); at++ {
		rows = append(rows, leaderboard.Row{Rank: int64(at) + 1, Key: r[at].Key, Points: r[at].Points})
	}
	return rows
}
