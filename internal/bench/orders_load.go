package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"loyalty/domain"
)

const (
	// orderTimeout bounds the wait for an answer to one attempt, and finishTimeout the time for which orders under way at the end of the
	// load are retried until they are acknowledged.
	orderTimeout  = 10 * time.Second
	finishTimeout = 30 * time.Second
	// repeatOne says that one request in so many repeats an order that was acknowledged before.
	repeatOne = 100
	// sampleEvery is the least time between two orders that are watched until their points are on the dashboard.
	sampleEvery = 20 * time.Millisecond
)

// orderLoad sends orders to a server, over as many connections as there are clients. Each client sends one order at a time
// and does not leave it before it is acknowledged.
type orderLoad struct {
	shop
	server  *orderServer
	clients int
	pace    *pace
	watch   *dashboardWatch

	next       atomic.Uint64 // the number of the next order
	done       atomic.Uint64 // acknowledged
	nextSample atomic.Int64  // nanoseconds since 1970
}

// pace says when requests are due: at random times (a Poisson process) with the mean rate, or at once if the rate is 0.
type pace struct {
	mu     sync.Mutex
	random *rand.Rand
	rate   float64
	next   time.Time
}

func newPace(rate float64, began time.Time) *pace {
	return &pace{random: rand.New(rand.NewPCG(uint64(began.UnixNano()), 1)), rate: rate, next: began}
}

func (p *pace) due() time.Time {
	if p.rate == 0 {
		return time.Now()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = p.next.Add(time.Duration(p.random.ExpFloat64() / p.rate * float64(time.Second)))
	return p.next
}

// loadResult is the result of a load, or of one client's part of it.
type loadResult struct {
	// acknowledged and unsure are numbers of orders. Unsure ones were sent and neither acknowledged nor rejected.
	acknowledged, unsure []uint64
	// answers are latencies in microseconds, from the time at which each request was due; repeats are included.
	answers []uint32
	// perSecond counts the orders acknowledged in each second.
	perSecond []int
	// retried counts attempts beyond the first, repeats the orders sent again on purpose, and badRepeats the repeats that were not
	// answered as the first time.
	retried, repeats, badRepeats int
	rejected                     int
	problem                      string // of the first one refused
	position                     domain.Position
	took                         time.Duration
}

func (l *loadResult) add(o loadResult) {
	l.acknowledged, l.unsure, l.answers = append(l.acknowledged, o.acknowledged...), append(l.unsure, o.unsure...), append(l.answers, o.answers...)
	l.retried, l.repeats, l.badRepeats, l.rejected = l.retried+o.retried, l.repeats+o.repeats, l.badRepeats+o.badRepeats, l.rejected+o.rejected
	if l.problem == "" {
		l.problem = o.problem
	}
	if l.position.Before(o.position) {
		l.position = o.position
	}
	for second, n := range o.perSecond {
		for len(l.perSecond) <= second {
			l.perSecond = append(l.perSecond, 0)
		}
		l.perSecond[second] += n
	}
}

// run sends orders until ctx ends. It returns once each order has an answer, or when finishing ends.
func (l *orderLoad) run(ctx, finishing context.Context, began time.Time) loadResult {
	var clients sync.WaitGroup
	all := make([]loadResult, l.clients)
	for i := range all {
		clients.Go(func() {
			c := orderClient{orderLoad: l, began: began, token: l.server.tokens[i%len(l.server.tokens)]}
			defer c.hangUp()
			c.run(ctx, finishing)
			all[i] = c.loadResult
		})
	}
	clients.Wait()
	total := loadResult{took: time.Since(began)}
	for _, one := range all {
		total.add(one)
	}
	return total
}

// orderClient is one client, with its connection.
type orderClient struct {
	*orderLoad
	loadResult
	began   time.Time
	token   string
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
	body    []byte
}

func (c *orderClient) run(ctx, finishing context.Context) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 2))
	for {
		due := c.pace.due()
		if !waitUntil(ctx, due) {
			return
		}
		again := len(c.acknowledged) > 0 && random.IntN(repeatOne) == 0
		var number uint64
		if again {
			number = c.acknowledged[len(c.acknowledged)-1-random.IntN(min(len(c.acknowledged), 1000))]
		} else {
			number = c.next.Add(1) - 1
		}
		order := c.order(number)
		answer, outcome := c.place(finishing, order)
		now := time.Now()
		right := answer.Points == order.points() && answer.OrderID == string(c.appendOrderID(nil, number))
		switch {
		case outcome == orderUnsure && !again:
			c.unsure = append(c.unsure, number)
			continue
		case outcome == orderRejected:
			c.rejected++
			continue
		case outcome == orderUnsure:
			continue
		case !right:
			c.rejected++
			c.problem = fmt.Sprintf("order %d, worth %d points, was answered %+v", number, order.points(), answer)
		}
		c.answers = append(c.answers, uint32(now.Sub(due).Microseconds()))
		if again {
			c.repeats++
			if !answer.replayed {
				c.badRepeats++
			}
			continue
		}
		c.acknowledged = append(c.acknowledged, number)
		c.done.Add(1)
		second := int(now.Sub(c.began) / time.Second)
		for len(c.perSecond) <= second {
			c.perSecond = append(c.perSecond, 0)
		}
		c.perSecond[second]++
		if c.position.Before(answer.Position) {
			c.position = answer.Position
		}
		if at := c.nextSample.Load(); order.points() > 0 && now.UnixNano() > at && c.nextSample.CompareAndSwap(at, now.Add(sampleEvery).UnixNano()) {
			c.watch.begin(finishing, c.customerID(order.customer), answer.Position, now)
		}
	}
}

// waitUntil waits until a time. It returns false if ctx ends first.
func waitUntil(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// orderAnswer is the server's answer to an order.
type orderAnswer struct {
	OrderID  string          `json:"orderId"`
	Points   int64           `json:"points"`
	Position domain.Position `json:"position"`
	replayed bool
}

type orderOutcome int

const (
	orderAcknowledged orderOutcome = iota
	orderRejected
	orderUnsure
)

// place sends an order until it is acknowledged, as the documentation tells clients: the same id and content again after no
// answer, and after 429 and 5xx, no sooner than Retry-After says.
func (c *orderClient) place(ctx context.Context, o madeOrder) (orderAnswer, orderOutcome) {
	c.body = c.appendBody(c.body[:0], o)
	r := append(c.request[:0], "POST "...)
	r = append(r, c.server.base.Path...)
	r = c.appendOrderID(append(r, "/order/"...), o.number)
	r = append(r, " HTTP/1.1\r\nHost: "...)
	r = append(r, c.server.base.Host...)
	r = append(r, "\r\nContent-Type: application/json\r\nAuthorization: Bearer "...)
	r = append(r, c.token...)
	r = strconv.AppendInt(append(r, "\r\nContent-Length: "...), int64(len(c.body)), 10)
	c.request = append(append(r, "\r\n\r\n"...), c.body...)
	for attempt := 1; ; attempt++ {
		status, header, body, err := c.exchange(ctx)
		wait := backoff(attempt)
		switch {
		case err != nil:
			c.hangUp()
		case status == http.StatusCreated || status == http.StatusOK:
			answer := orderAnswer{replayed: header.Get("Idempotent-Replayed") == "true"}
			if err := json.Unmarshal(body, &answer); err == nil {
				return answer, orderAcknowledged
			}
		case status == http.StatusTooManyRequests || status >= 500:
			if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil {
				wait = time.Duration(seconds)*time.Second + rand.N(time.Second/4) // so that not all come at the same moment
			}
		default:
			if c.problem == "" {
				c.problem = fmt.Sprintf("order %d was answered %d: %s", o.number, status, body)
			}
			return orderAnswer{}, orderRejected
		}
		if !waitUntil(ctx, time.Now().Add(wait)) {
			return orderAnswer{}, orderUnsure
		}
		c.retried++
	}
}

func backoff(attempt int) time.Duration {
	full := min(50*time.Millisecond<<min(attempt-1, 10), 2*time.Second)
	return full/2 + rand.N(full/2)
}

// dashboardWatch measures the time from an order's answer until its points are on the dashboard.
type dashboardWatch struct {
	server *orderServer

	all    sync.WaitGroup
	mu     sync.Mutex
	took   []uint32 // microseconds
	unseen int
}

// begin watches one order, which was acknowledged with a position at a time.
func (w *dashboardWatch) begin(ctx context.Context, customer string, position domain.Position, answered time.Time) {
	w.all.Go(func() {
		var dashboard dashboardAnswer
		err := w.server.read(ctx, "/loyalty/"+customer+"?top=1&around=0", position, &dashboard)
		took := time.Since(answered)
		w.mu.Lock()
		defer w.mu.Unlock()
		if err != nil || dashboard.You == nil || dashboard.Position.Before(position) {
			w.unseen++
			return
		}
		w.took = append(w.took, uint32(took.Microseconds()))
	})
}

// dashboardAnswer is the part of a dashboard that the benchmark needs.
type dashboardAnswer struct {
	You      *struct{ Points int64 }
	Position domain.Position
}
