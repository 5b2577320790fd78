package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
)

// deed is one thing that a client wants done: an order, a return or an adjustment.
type deed struct {
	name, customer string // the name is the event that tells it was done, and its ids
	who            auth.Claims
	path           string
	header         string
	body, other    any // other is what the same id must not be accepted with
	points         int64
	returnable     int64 // pence of an order, of which a return may follow

	acknowledged bool
	answer       string // what was answered the first time
}

// chaosLoad is what clients do to a system that is being killed, and what they were told.
type chaosLoad struct {
	t         *testing.T
	c         *client // of the command process
	screens   []*client
	customers int

	mu                                        sync.Mutex
	deeds                                     []*deed
	tries, refused, broken, repeated, seen    int
	notYet, looked, lookedInVain, gaveUp, won int
}

func (s *chaosLoad) count(n *int) { s.mu.Lock(); defer s.mu.Unlock(); *n++ }

func awarded(pence int64) int64 { return (pence + 500) / 1000 }

// run buys, returns and adjusts until stop is done, then finishes what it has begun, for which finish is the deadline.
func (s *chaosLoad) run(stop, finish context.Context, name string, random *rand.Rand) {
	for n := 0; stop.Err() == nil; n++ {
		customer := fmt.Sprintf("c-%d", random.IntN(s.customers))
		if random.IntN(4) == 0 {
			s.do(finish, random, s.adjustment(fmt.Sprintf("%s-%d", name, n), customer, random))
		} else {
			order := s.order(fmt.Sprintf("%s-%d", name, n), customer, random)
			if s.do(finish, random, order) && order.returnable > 0 && random.IntN(3) == 0 {
				s.do(finish, random, s.itemsReturned(order, random))
			}
		}
		idle(stop, time.Duration(random.IntN(20))*time.Millisecond)
	}
}

func (s *chaosLoad) order(id, customer string, random *rand.Rand) *deed {
	pence := int64(random.IntN(12)) * 499
	return &deed{
		name: "points-awarded.v1 website." + id, customer: customer, who: webshop, path: "/order/" + id, points: awarded(pence), returnable: pence,
		body: orderBody(customer, domain.FormatMinor(pence)), other: orderBody(customer, domain.FormatMinor(pence+1)),
	}
}

func (s *chaosLoad) itemsReturned(order *deed, random *rand.Rand) *deed {
	refund := 1 + random.Int64N(order.returnable)
	amount := func(pence int64) any { return map[string]any{"amount": domain.FormatMinor(pence)} }
	return &deed{
		name: strings.Replace(order.name, "awarded", "reversed", 1) + " website.r-1", customer: order.customer, who: webshop, path: order.path + "/returns/r-1",
		points: awarded(order.returnable-refund) - awarded(order.returnable), body: amount(refund), other: amount(refund + 1),
	}
}

func (s *chaosLoad) adjustment(id, customer string, random *rand.Rand) *deed {
	points := int64(1 + random.IntN(5))
	if random.IntN(3) == 0 {
		points = -points
	}
	body := func(points int64) any { return map[string]any{"loyalty-points": points, "reason": "goodwill"} }
	return &deed{
		name: "points-adjusted.v1 staff." + id, customer: customer, who: supportClaims, path: "/loyalty/" + customer, header: "Idempotency-Key: " + id,
		points: points, body: body(points), other: body(points + 6),
	}
}

// do asks until it is answered, and reports whether it was. One client in a few is switched off before it learns what became
// of a request that failed. Of what was acknowledged some is asked again, and some is looked for.
func (s *chaosLoad) do(ctx context.Context, random *rand.Rand, d *deed) bool {
	s.mu.Lock()
	s.deeds = append(s.deeds, d)
	s.mu.Unlock()
	patient := random.IntN(5) > 0
	got, answered := s.ask(ctx, random, d, d.body, patient)
	if !answered {
		s.count(&s.gaveUp)
		return false
	}
	if got.status != http.StatusCreated && got.status != http.StatusOK {
		s.t.Errorf("%s: %d: %s", d.name, got.status, got.body)
		return false
	}
	s.mu.Lock()
	d.acknowledged, d.answer = true, string(got.body)
	s.mu.Unlock()
	switch random.IntN(8) {
	case 0:
		if again, ok := s.ask(ctx, random, d, d.body, patient); ok {
			s.count(&s.repeated)
			if again.status != http.StatusOK || again.header.Get("Idempotent-Replayed") != "true" || string(again.body) != string(got.body) {
				s.t.Errorf("%s: answered %s, then %d %s", d.name, got.body, again.status, again.body)
			}
		}
	case 1:
		if conflict, ok := s.ask(ctx, random, d, d.other, patient); ok {
			s.count(&s.won)
			if conflict.status != http.StatusConflict {
				s.t.Errorf("%s: other content is answered with %d: %s", d.name, conflict.status, conflict.body)
			}
		}
	case 2:
		s.look(random, d, got.body)
	}
	return true
}

// ask repeats a request as docs/channels.md says, after 503 and 429 once Retry-After and a random part of it have passed, and
// after no answer later and later; only sooner than it says, to be in the way of more. A 500 is never right here. An impatient
// client doesn't repeat anything.
func (s *chaosLoad) ask(ctx context.Context, random *rand.Rand, d *deed, body any, patient bool) (answer, bool) {
	const longest = time.Second
	pause := 20 * time.Millisecond
	for {
		var headers []string
		if d.header != "" {
			headers = append(headers, d.header)
		}
		got, err := s.c.call(d.who, http.MethodPost, d.path, body, headers...)
		s.count(&s.tries)
		wait := pause
		switch {
		case err != nil:
			s.count(&s.broken)
			pause = min(2*pause, longest)
		case got.status == http.StatusServiceUnavailable || got.status == http.StatusTooManyRequests:
			s.count(&s.refused)
			seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
			if err != nil || seconds < 1 {
				s.t.Errorf("%s: Retry-After is %q", d.name, got.header.Get("Retry-After"))
			}
			wait = time.Duration(seconds) * time.Second
		default:
			return got, true
		}
		if !patient {
			return answer{}, false
		}
		idle(ctx, wait+time.Duration(random.Int64N(int64(wait))))
		if ctx.Err() != nil {
			s.t.Errorf("%s: not answered in time, last with %d, %v: %s", d.name, got.status, err, got.body)
			return answer{}, false
		}
	}
}

// look asks for the trail with the position of the answer: it is there, or the answer says that it can't be told now.
func (s *chaosLoad) look(random *rand.Rand, d *deed, body []byte) {
	var told struct{ Position string }
	if err := json.Unmarshal(body, &told); err != nil {
		s.t.Errorf("%s: %v: %s", d.name, err, body)
		return
	}
	screen := s.screens[random.IntN(len(s.screens))]
	got, err := screen.call(customer(d.customer), http.MethodGet, "/loyalty/"+d.customer+"/trail?limit=200", nil, "Loyalty-Min-Position: "+told.Position)
	switch {
	case err != nil || got.status == http.StatusServiceUnavailable:
		s.count(&s.notYet)
	case got.status != http.StatusOK:
		s.t.Errorf("a trail is answered with %d: %s", got.status, got.body)
	default:
		s.count(&s.seen)
		var page auditedTrail
		if err := json.Unmarshal(got.body, &page); err != nil {
			s.t.Errorf("%v: %s", err, got.body)
			return
		}
		for _, entry := range page.Entries {
			if entry.Position == told.Position {
				if entry.Points != d.points {
					s.t.Errorf("%s gives %d points, not %+v", d.name, d.points, entry)
				}
				return
			}
		}
		if len(page.Entries) < 200 {
			s.t.Errorf("%s is not on the trail that reflects %s: %s", d.name, told.Position, got.body)
		}
	}
}

// watch looks at dashboards all the while: they are there, or the answer says why not, or the process is down.
func (s *chaosLoad) watch(stop context.Context, random *rand.Rand, screen *client) {
	for stop.Err() == nil {
		id := fmt.Sprintf("c-%d", random.IntN(s.customers))
		got, err := screen.call(customer(id), http.MethodGet, "/loyalty/"+id, nil)
		switch {
		case err != nil || got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != "":
			s.count(&s.lookedInVain)
		case got.status == http.StatusOK:
			s.count(&s.looked)
		default:
			s.t.Errorf("a dashboard is answered with %d: %s", got.status, got.body)
		}
		idle(stop, time.Duration(5+random.IntN(20))*time.Millisecond)
	}
}

// String sums up what happened.
func (s *chaosLoad) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	acknowledged := 0
	for _, d := range s.deeds {
		if d.acknowledged {
			acknowledged++
		}
	}
	return fmt.Sprintf("%d deeds, %d acknowledged, %d given up; %d requests, of which %d refused and %d without an answer; %d repeated, %d conflicts; "+
		"%d looked for and found, %d not to be told; %d dashboards, %d not available", len(s.deeds), acknowledged, s.gaveUp, s.tries, s.refused, s.broken,
		s.repeated, s.won, s.seen, s.notYet, s.looked, s.lookedInVain)
}
