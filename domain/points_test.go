package domain_test

import (
	"math"
	"testing"

	"loyalty/domain"
)

func TestPoints_limit_leaves_room_for_a_minute_in_a_double(t *testing.T) {
	if packed := int64(domain.MaxRanked)<<26 | (1<<26 - 1); packed != 1<<53-1 || int64(float64(packed)) != packed {
		t.Errorf("points and minute pack into %d, which a double does not hold exactly", packed)
	}
}

func TestPoints_Ranked_clamps(t *testing.T) {
	const limit = domain.MaxRanked
	for points, want := range map[domain.Points]domain.Points{
		0: 0, -7: -7, limit: limit, -limit: -limit, limit + 1: limit, -limit - 1: -limit, math.MaxInt64: limit, math.MinInt64: -limit,
	} {
		if got := points.Ranked(); got != want {
			t.Errorf("%d ranks as %d, want %d", points, got, want)
		}
	}
}
