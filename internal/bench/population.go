package bench

import (
	"fmt"
	"math"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// population is the generated customers of a benchmark and their changes of points. Everything is computed from numbers, so that two
// processes agree without communicating.
type population struct {
	customers int
	proxies   domain.Proxies
}

// Totals have a log-normal distribution with this median and, for the logarithm, this standard deviation: thousands of customers share
// a total in the middle, and a few are far ahead.
const (
	medianPoints  = 40
	pointsSpread  = 1.2
	populationEnd = 29_500_000 // minutes since 1970 at which the benchmark begins, in early 2026
	populationAge = 365 * 24 * 60
)

func (population) id(i int) domain.CustomerID { return domain.CustomerID(fmt.Sprintf("c-%08d", i)) }

// standing is the standing of customer i when the benchmark begins.
func (p population) standing(i int) leaderboard.Standing {
	one, two := mix(uint64(2*i)), mix(uint64(2*i+1))
	return leaderboard.Standing{
		Key: p.proxies.Key(p.id(i)), Points: domain.Points(medianPoints * math.Exp(pointsSpread*normal(one, two))),
		Minute: populationEnd - int64(mix(one)%populationAge),
	}
}

// change is the n-th change after that, from 1, and whose it is: an award of 1 to 30 points, with one in ten taken back.
func (p population) change(n uint64) (customer int, c leaderboard.Change) {
	random := mix(n << 32)
	customer = int(random % uint64(p.customers))
	points := domain.Points(random>>40%30) + 1
	if random>>50%10 == 0 {
		points = -points
	}
	return customer, leaderboard.Change{Key: p.proxies.Key(p.id(customer)), Points: points, Minute: populationEnd + int64(n/70_000)}
}
