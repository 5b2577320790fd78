package domain

import "fmt"

// Points are whole loyalty points. They may be negative as a change, and as a total that has fallen into debt.
type Points int64

// MaxTotal bounds a customer's total to ±MaxTotal. Points in 27 bits and a minute in 26 then fit the 53 bits that a
// double holds exactly, which is what a Redis sorted set keeps as a score.
const MaxTotal Points = 1<<27 - 1

// Plus adds a change to a total. A result beyond ±MaxTotal is ErrPointsLimit.
func (p Points) Plus(change Points) (Points, error) {
	sum := p + change
	overflowed := (change > 0 && sum < p) || (change < 0 && sum > p)
	if overflowed || sum > MaxTotal || sum < -MaxTotal {
		return p, fmt.Errorf("%d %+d points: %w (%d)", p, change, ErrPointsLimit, MaxTotal)
	}
	return sum, nil
}
