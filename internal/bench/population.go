package bench

import (
	"fmt"
	"math"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// population is customers made up for a benchmark, and what they buy while it runs. All of it follows from numbers, so that
// two processes know the same without telling each other.
type population struct {
	customers int
	proxies   domain.Proxies
}

// The spread of totals: a log-normal distribution with this median and, for its logarithm, this standard deviation, so that
// thousands share a total in the middle and a few are far ahead.
const (
	medianPoints  = 40
	pointsSpread  = 1.2
	populationEnd = 29_500_000 // minutes since 1970 at which the benchmark begins, in early 2026
	populationAge = 365 * 24 * 60
)

func (population) id(i int) domain.CustomerID { return domain.CustomerID(fmt.Sprintf("c-%08d", i)) }

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014): a number that looks random for every number.
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// standing is what customer i has when the benchmark begins.
func (p population) standing(i int) leaderboard.Standing {
	one, two := mix(uint64(2*i)), mix(uint64(2*i+1))
	// Box and Muller's transform of two uniform numbers into a normal one.
	u, v := float64(one>>11+1)/(1<<53), float64(two>>11)/(1<<53)
	normal := math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
	return leaderboard.Standing{
		Key: p.proxies.Key(p.id(i)), Points: domain.Points(medianPoints * math.Exp(pointsSpread*normal)),
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
