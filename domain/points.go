package domain

import "fmt"

// Points are whole loyalty points. A change may be negative, and so may a total.
type Points int64

// MaxTotal bounds a customer's total to ±MaxTotal. With 27 bits, points and a minute of 26 bits fit into the 53 bits that a double holds
// exactly, the score of a Redis sorted set.
const MaxTotal Points = 1<<27 - 1

// Plus adds a change to a total. If the result is beyond ±MaxTotal, it returns the total unchanged and ErrPointsLimit.
func (p Points) Plus(change Points) (Points, error) {
	sum := p + change
	overflowed := (change > 0 && sum < p) || (change < 0 && sum > p)
	if overflowed || sum > MaxTotal || sum < -MaxTotal {
		return p, fmt.Errorf("%d %+d points: %w (%d)", p, change, ErrPointsLimit, MaxTotal)
	}
	return sum, nil
}
