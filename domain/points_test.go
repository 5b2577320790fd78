package domain_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"loyalty/domain"

	"pgregory.net/rapid"
)

func TestPoints_Plus_adds_up_to_the_limit_and_refuses_what_would_pass_it(t *testing.T) {
	const limit, most, least = domain.MaxTotal, domain.Points(math.MaxInt64), domain.Points(math.MinInt64)
	for _, c := range []struct {
		total, change, want domain.Points
		err                 error
	}{
		{total: 0, change: 0, want: 0},
		{total: 10, change: 13, want: 23},
		{total: 10, change: -13, want: -3},
		{total: limit - 1, change: 1, want: limit},
		{total: -limit + 1, change: -1, want: -limit},
		{total: -limit, change: 2 * limit, want: limit},
		{total: limit, change: 1, want: limit, err: domain.ErrPointsLimit},
		{total: -limit, change: -1, want: -limit, err: domain.ErrPointsLimit},
		{total: 1, change: most, want: 1, err: domain.ErrPointsLimit},
		{total: -1, change: least, want: -1, err: domain.ErrPointsLimit},
		{total: most, change: most, want: most, err: domain.ErrPointsLimit},
		{total: least, change: least, want: least, err: domain.ErrPointsLimit},
		{total: most, change: least, want: -1},
		{total: most, change: 0, want: most, err: domain.ErrPointsLimit},
	} {
		got, err := c.total.Plus(c.change)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%d %+d is %d, %v; want %d, %v", c.total, c.change, got, err, c.want, c.err)
		}
	}
}

func TestPoints_limit_leaves_room_for_a_minute_in_a_double(t *testing.T) {
	if packed := int64(domain.MaxTotal)<<26 | (1<<26 - 1); packed != 1<<53-1 || int64(float64(packed)) != packed {
		t.Errorf("points and minute pack into %d, which a double does not hold exactly", packed)
	}
}

func TestPoints_Plus_agrees_with_unbounded_integers(t *testing.T) {
	points := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-int64(domain.MaxTotal), int64(domain.MaxTotal)))
	rapid.Check(t, func(t *rapid.T) {
		total, change := points.Draw(t, "total"), points.Draw(t, "change")
		sum := new(big.Int).Add(big.NewInt(total), big.NewInt(change))
		fits := sum.CmpAbs(big.NewInt(int64(domain.MaxTotal))) <= 0
		got, err := domain.Points(total).Plus(domain.Points(change))
		switch {
		case fits && (err != nil || int64(got) != sum.Int64()):
			t.Fatalf("%d %+d is %d, %v; want %s", total, change, got, err, sum)
		case !fits && (!errors.Is(err, domain.ErrPointsLimit) || int64(got) != total):
			t.Fatalf("%d %+d is %d, %v; want it refused", total, change, got, err)
		}
	})
}
