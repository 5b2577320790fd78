package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	readers = 8
	// readersOrders are what each of them places.
	readersOrders = 40
)

// placeAndRead places orders of a customer that nobody else buys for, and looks for the points of each on every screen with
// the position of its answer. It returns how often a screen had to say that it doesn't know yet.
func placeAndRead(t *testing.T, channel *client, screens []*client, id string, random *rand.Rand) (waited int) {
	var total int64
	for n := range readersOrders {
		pence := int64(random.IntN(30)) * 500
		got, err := channel.call(webshop, http.MethodPost, fmt.Sprintf("/order/%s-%d", id, n), orderBody(id, fmt.Sprintf("%d.%02d", pence/100, pence%100)))
		var placed placedAnswer
		if err != nil || got.status != http.StatusCreated || json.Unmarshal(got.body, &placed) != nil {
			t.Errorf("an order is answered with %d, %v: %s", got.status, err, got.body)
			return waited
		}
		total += placed.Points
		for _, screen := range screens {
			for _, path := range []string{"/loyalty/" + id, "/loyalty/" + id + "/trail"} {
				for {
					shown, answered, err := readPoints(screen, path, placed.Position)
					if err != nil {
						t.Error(err)
						return waited
					}
					if !answered {
						waited++
						continue
					}
					if shown != total {
						t.Errorf("%s shows %d points at %s, want %d", path, shown, placed.Position, total)
						return waited
					}
					break
				}
			}
		}
	}
	return waited
}

// readPoints reads a customer's points with a position; it is false if the answer is that they are not known yet.
func readPoints(screen *client, path, position string) (int64, bool, error) {
	got, err := screen.call(supportClaims, http.MethodGet, path, nil, "Loyalty-Min-Position: "+position)
	if err != nil {
		return 0, false, err
	}
	if got.status == http.StatusServiceUnavailable {
		if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || seconds < 1 || !strings.Contains(string(got.body), `"not_caught_up"`) {
			return 0, false, fmt.Errorf("GET %s: Retry-After is %q: %s", path, got.header.Get("Retry-After"), got.body)
		}
		return 0, false, nil
	}
	var shown struct {
		Points int64       // of a trail
		You    *rankAnswer // of a dashboard
	}
	if got.status != http.StatusOK {
		return 0, false, fmt.Errorf("GET %s: %d: %s", path, got.status, got.body)
	}
	if err := json.Unmarshal(got.body, &shown); err != nil {
		return 0, false, err
	}
	if shown.You != nil {
		return shown.You.Points, true, nil
	}
	return shown.Points, true, nil
}

func TestReadYourWritesAcrossProcesses(t *testing.T) {
	s := openSite(t)
	projecting := s.role("project")
	channel := s.client(s.role("command"))
	shared, local := s.client(s.role("query")), s.client(s.role("query", "LOYALTY_LEADERBOARD=memory:"))

	t.Run("a read with the position of a write never shows less", func(t *testing.T) {
		var workers sync.WaitGroup
		var waited atomic.Int64
		for n := range readers {
			random := rand.New(rand.NewPCG(6, uint64(n)))
			workers.Go(func() {
				waited.Add(int64(placeAndRead(t, channel, []*client{shared, local}, fmt.Sprintf("reader-%d", n), random)))
			})
		}
		workers.Wait()
		t.Logf("%d reads, %d more that were not caught up", readers*readersOrders*4, waited.Load())
	})

	t.Run("while the projection is stopped it says so, and shows it afterwards", func(t *testing.T) {
		projecting.kill()
		var placed placedAnswer
		channel.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/unseen", orderBody("late", "50.00"))
		stopped := map[string]*client{"/loyalty/late": shared, "/loyalty/late/trail": local}
		for path, screen := range stopped {
			if points, answered, err := readPoints(screen, path, placed.Position); err != nil || answered {
				t.Errorf("%s shows %d points: %v", path, points, err)
			}
			// Without the position it shows what it has.
			screen.must(http.StatusOK, nil, supportClaims, http.MethodGet, path, nil)
		}
		// A leaderboard in the query process follows the log by itself.
		if points, answered, err := readPoints(local, "/loyalty/late", placed.Position); err != nil || !answered || points != 5 {
			t.Errorf("the leaderboard in memory shows %d points: %v, %v", points, answered, err)
		}
		s.role("project")
		for path, screen := range stopped {
			waitFor(t, path+" shows the order", func() bool {
				points, answered, err := readPoints(screen, path, placed.Position)
				if err != nil || answered && points != 5 {
					t.Fatalf("it shows %d points: %v", points, err)
				}
				return answered
			})
		}
	})
}
