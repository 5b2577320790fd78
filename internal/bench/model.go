package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// boardModel says what a leaderboard of a population must show at a position. It has the standings at the beginning, and of the customers
// whose points have changed since then the old and the new standings, each sorted. It shares no code with any leaderboard.
type boardModel struct {
	population
	begun    []leaderboard.Standing
	position uint64
	changed  map[domain.ProxyKey]leaderboard.Standing
	was, now []leaderboard.Standing
}

func newBoardModel(p population, progress func(done, total uint64)) *boardModel {
	m := &boardModel{population: p, begun: make([]leaderboard.Standing, p.customers), changed: map[domain.ProxyKey]leaderboard.Standing{}}
	for i := range m.begun {
		m.begun[i] = p.standing(i)
		if i%100_000 == 0 {
			progress(uint64(i), uint64(p.customers))
		}
	}
	slices.SortFunc(m.begun, better)
	return m
}

// better orders standings as a leaderboard does, the best first.
func better(a, b leaderboard.Standing) int {
	return cmp.Or(cmp.Compare(b.Points, a.Points), cmp.Compare(a.Minute, b.Minute), a.Key.Compare(b.Key))
}

// advance makes the changes up to a position.
func (m *boardModel) advance(position uint64) {
	for m.position < position {
		m.position++
		i, change := m.change(m.position)
		now, known := m.changed[change.Key]
		if !known {
			now = m.standing(i)
			m.was = append(m.was, now)
		}
		now.Points, now.Minute = now.Points+change.Points, change.Minute
		m.changed[change.Key] = now
	}
	slices.SortFunc(m.was, better)
	m.now = slices.SortedFunc(maps.Values(m.changed), better)
}

// current is the standing of customer i.
func (m *boardModel) current(i int) leaderboard.Standing {
	begun := m.standing(i)
	if now, known := m.changed[begun.Key]; known {
		return now
	}
	return begun
}

// rank is one more than the number of customers with a better standing.
func (m *boardModel) rank(s leaderboard.Standing) int {
	ahead := func(all []leaderboard.Standing) int {
		n, _ := slices.BinarySearchFunc(all, s, better)
		return n
	}
	return ahead(m.begun) - ahead(m.was) + ahead(m.now) + 1
}

// at is the standing with a rank between 1 and the number of customers.
func (m *boardModel) at(rank int) leaderboard.Standing {
	// A customer whose points changed has, by the old standing, the rank of the next one. So the last one with a rank has it.
	if i := sort.Search(len(m.begun), func(i int) bool { return m.rank(m.begun[i]) > rank }) - 1; i >= 0 && m.rank(m.begun[i]) == rank {
		if _, left := m.changed[m.begun[i].Key]; !left {
			return m.begun[i]
		}
	}
	return m.now[sort.Search(len(m.now), func(i int) bool { return m.rank(m.now[i]) >= rank })]
}

// sample is a dashboard's answer that is kept to be checked.
type sample struct {
	customer    int
	top, around int
	body        []byte
}

// answeredDashboard is the JSON of an answer.
type answeredDashboard struct {
	You         *answeredRow
	Top, Around []answeredRow
	Customers   int
	Position    domain.Position
}

type answeredRow struct {
	Rank      int
	ProxyName string
	Points    domain.Points
	You       bool
}

// check compares an answer with the model at the answer's position, which must not be before that of the last one checked.
func (m *boardModel) check(s sample) error {
	var got answeredDashboard
	if err := json.Unmarshal(s.body, &got); err != nil {
		return fmt.Errorf("%w: %s", err, s.body)
	}
	m.advance(got.Position.Commit)
	mine := m.rank(m.current(s.customer))
	row := func(rank int) answeredRow {
		standing := m.at(rank)
		return answeredRow{rank, standing.Key.Name(), standing.Points, rank == mine}
	}
	you := row(mine)
	want := answeredDashboard{You: &you, Customers: m.customers, Position: got.Position}
	for rank := 1; rank <= min(s.top, m.customers); rank++ {
		want.Top = append(want.Top, row(rank))
	}
	for rank := max(1, mine-s.around); rank <= min(mine+s.around, m.customers); rank++ {
		want.Around = append(want.Around, row(rank))
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the dashboard of %s at position %s is wrong:\n%+v, you %+v\na plain sort gives\n%+v, you %+v", m.id(s.customer), got.Position, got, got.You, want, want.You)
	}
	return nil
}
