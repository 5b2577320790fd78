package memory

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// customer is the key of the i-th customer, spread as evenly as the real ones are.
func customer(i int) (key domain.ProxyKey) {
	x := uint64(i+1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	binary.BigEndian.PutUint64(key[:8], x^x>>31)
	binary.BigEndian.PutUint64(key[8:], x)
	return key
}

func position(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }

const year = 365 * 24 * 60 // in minutes

// spread hands out the standings of a shop at position 1: half the customers have fewer than 30 points, one in a hundred
// more than 400, thousands share each of the common totals; they were reached during the last year.
func spread(n int) func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		random := rand.New(rand.NewPCG(1, 2))
		for i := range n {
			points := domain.Points(math.Exp(3.4 + 1.1*random.NormFloat64()))
			if err := yield(leaderboard.Standing{Key: customer(i), Points: points, Minute: random.Int64N(year)}); err != nil {
				return leaderboard.Snapshot{}, err
			}
		}
		return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(position(1)), AsOf: time.Unix(60*year, 0)}, nil
	}
}

// updates are what happens in a shop: somebody buys for some ten points, one in twenty returns something, one in a
// thousand is new.
type updates struct {
	random *rand.Rand
	known  int
	minute int64
}

func newUpdates(known int) *updates {
	return &updates{random: rand.New(rand.NewPCG(3, 4)), known: known, minute: year}
}

// batch is the next batch of so many changes, a minute later.
func (u *updates) batch(from domain.Position, size int) leaderboard.Batch {
	u.minute++
	batch := leaderboard.Batch{From: domain.CheckpointAt(from), To: domain.CheckpointAt(position(from.Commit + 1)), AsOf: time.Unix(60*u.minute, 0), Changes: make([]leaderboard.Change, size)}
	for i := range batch.Changes {
		points := domain.Points(1 + u.random.ExpFloat64()*10)
		if u.random.IntN(20) == 0 {
			points = -points
		}
		who := u.random.IntN(u.known)
		if u.random.IntN(1000) == 0 {
			who = u.known
			u.known++
		}
		batch.Changes[i] = leaderboard.Change{Key: customer(who), Points: points, Minute: u.minute}
	}
	return batch
}

// residentBytes is the memory of this process, and 0 on a system that does not tell.
func residentBytes() int {
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int // in pages
	if _, err := fmt.Sscan(string(status), &size, &resident); err != nil {
		panic(err)
	}
	return resident * os.Getpagesize()
}
