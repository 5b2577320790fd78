package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/internal/cli"
)

// Given a process with a live dashboard open, and an order whose body has only begun to come
// When it is told to stop
// Then it says first that it is not ready, and answers whoever comes, each connection for the last time; then the API is closed, the live
// dashboard ends in order, and the order is still answered; the operators' address is open to the end, and the exit status is 0.
func TestAProcessThatStopsSaysSoBeforeItClosesItsListeners(t *testing.T) {
	s := openSite(t)
	p := s.role("command,query,project", "LOYALTY_DRAIN=1500ms")
	c := s.client(p)
	var placed placedAnswer
	c.must(http.StatusCreated, &placed, webshop, http.MethodPost, "/order/o-1", orderBody("alice", "10.00"))
	live := liveDashboard(t, p, "alice")
	slow := dialOrder(t, p, "o-slow")

	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wantStopping()
	p.wantReady("while it stops", map[string]string{"command": "stopping", "query": "stopping", "project": "stopping"})
	for i := range 3 {
		c.must(http.StatusCreated, nil, webshop, http.MethodPost, fmt.Sprintf("/order/late-%d", i), orderBody("bob", "10.00"))
	}
	response, err := c.http.Get(p.base + "/session")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if !response.Close {
		t.Error("an answer while it stops leaves its connection open")
	}
	waitFor(t, "the API is closed", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	p.wantReady("with the API closed", map[string]string{"": "stopping"})
	if status, body := p.operators("/metrics"); status != http.StatusOK || !strings.Contains(body, "loyalty_http_requests_in_flight 1\n") {
		t.Errorf("/metrics with the API closed: %d", status)
	}
	if rest, err := io.ReadAll(live); err != nil {
		t.Errorf("the live dashboard does not end in order: %v after %q", err, rest)
	}
	if status := slow.finish(); status != http.StatusCreated {
		t.Errorf("the order under way is answered with %d", status)
	}
	if status := p.stop(syscall.SIGTERM); status != cli.ExitOK {
		t.Errorf("the exit status is %d: %s", status, p.err.String())
	}
}

func TestASecondSignalEndsTheWait(t *testing.T) {
	p := startDev(t, t.TempDir(), "--drain", "1h")
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wantStopping()
	if status := p.stop(syscall.SIGINT); status != cli.ExitOK { // waits a minute at most
		t.Errorf("the exit status is %d: %s", status, p.err.String())
	}
}

func (p *process) wantStopping() {
	p.t.Helper()
	waitFor(p.t, "not ready", func() bool {
		status, body := p.operators("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "stopping")
	})
}

// Given three processes behind a balancer that asks each whether it is ready, and repeats no request
// When each is stopped and replaced, one after the other, while orders and dashboards come
// Then not one request is lost, and none is answered with an error.
func TestARollingUpdateLosesNoRequest(t *testing.T) {
	const every = 5 * time.Millisecond
	s := openSite(t)
	replica := func() *process { return s.role("command,query,project", "LOYALTY_DRAIN=1s") }
	b := openBalancer(t)
	var replicas []*process
	for range 3 {
		replicas = append(replicas, replica())
		b.add(replicas[len(replicas)-1])
	}
	waitFor(t, "three processes", func() bool { return b.serving() == 3 })
	c := clientWith(t, &process{base: b.front.URL}, []byte(siteTokenSecret))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	var orders, dashboards atomic.Int64
	ask := func(who auth.Claims, method, path string, body any, want int) bool {
		got, err := c.call(who, method, path, body)
		if err != nil || got.status != want {
			t.Errorf("%s %s is answered with %d, %v: %s", method, path, got.status, err, got.body)
		}
		return err == nil && got.status == want
	}
	load.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			load.Go(func() {
				if n%2 == 0 {
					if ask(webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", n), orderBody("c-1", "10.00"), http.StatusCreated) {
						orders.Add(1)
					}
				} else if ask(customer("c-1"), http.MethodGet, "/loyalty/c-1", nil, http.StatusOK) {
					dashboards.Add(1)
				}
			})
		}
	})
	for i, old := range replicas {
		before := orders.Load() + dashboards.Load()
		waitFor(t, "load", func() bool { return orders.Load()+dashboards.Load() > before+50 })
		if status := old.stop(syscall.SIGTERM); status != cli.ExitOK {
			t.Errorf("process %d exits with %d: %s", i, status, old.err.String())
		}
		b.remove(old)
		b.add(replica())
		waitFor(t, "the new process", func() bool { return b.serving() == 3 })
	}
	stop()
	load.Wait()
	t.Logf("%d orders and %d dashboards", orders.Load(), dashboards.Load())
	var shown dashboardAnswer
	c.must(http.StatusOK, &shown, customer("c-1"), http.MethodGet, "/loyalty/c-1", nil, "Loyalty-Min-Position: "+c.barrier())
	if shown.You == nil || shown.You.Points != orders.Load() {
		t.Errorf("after %d orders of one point each the dashboard is %+v", orders.Load(), shown.You)
	}
}

// balancer is a small one, as balancers are: it asks every process whether it is ready, ten times a second, and sends requests to those that
// are, one after the other, on connections that it keeps. It repeats none that fails.
type balancer struct {
	t     testing.TB
	front *httptest.Server
	turn  atomic.Uint64

	mu      sync.Mutex
	ready   map[*process]bool
	backend map[*process]*httputil.ReverseProxy
}

func openBalancer(t testing.TB) *balancer {
	b := &balancer{t: t, ready: map[*process]bool{}, backend: map[*process]*httputil.ReverseProxy{}}
	b.front = httptest.NewServer(b)
	t.Cleanup(b.front.Close)
	ctx, stop := context.WithCancel(context.Background())
	var checking sync.WaitGroup
	checking.Go(func() {
		ticks := time.NewTicker(100 * time.Millisecond)
		defer ticks.Stop()
		for ctx.Err() == nil {
			for p := range b.all() {
				b.check(p)
			}
			select {
			case <-ctx.Done():
			case <-ticks.C:
			}
		}
	})
	t.Cleanup(func() { stop(); checking.Wait() })
	return b
}

func (b *balancer) all() map[*process]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.ready)
}

func (b *balancer) check(p *process) {
	response, err := operator.Get(p.admin + "/readyz")
	if err == nil {
		_ = response.Body.Close()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.ready[p]; known {
		b.ready[p] = err == nil && response.StatusCode == http.StatusOK
	}
}

func (b *balancer) add(p *process) {
	address, err := url.Parse(p.base)
	if err != nil {
		b.t.Fatal(err)
	}
	connections := &http.Transport{MaxIdleConnsPerHost: 64}
	b.t.Cleanup(connections.CloseIdleConnections)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready[p] = false
	b.backend[p] = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) }, Transport: once{connections},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "balancer: "+err.Error(), http.StatusBadGateway)
		},
	}
}

func (b *balancer) remove(p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.ready, p)
	delete(b.backend, p)
}

func (b *balancer) serving() (n int) {
	for _, ready := range b.all() {
		if ready {
			n++
		}
	}
	return n
}

// ServeHTTP sends a request to the process whose turn it is.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	var backends []*httputil.ReverseProxy
	for _, p := range slices.SortedFunc(maps.Keys(b.ready), func(p, q *process) int { return strings.Compare(p.base, q.base) }) {
		if b.ready[p] {
			backends = append(backends, b.backend[p])
		}
	}
	b.mu.Unlock()
	if len(backends) == 0 {
		http.Error(w, "balancer: no process is ready", http.StatusServiceUnavailable)
		return
	}
	backends[b.turn.Add(1)%uint64(len(backends))].ServeHTTP(w, r)
}

// once keeps a transport from sending a request again, on another connection, when the first was closed: it can't with a body that it can't
// get again.
type once struct{ *http.Transport }

// RoundTrip sends a request once.
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	if r = r.Clone(r.Context()); r.Body == nil || r.Body == http.NoBody {
		r.Body = io.NopCloser(strings.NewReader(""))
	}
	r.GetBody = nil
	return o.Transport.RoundTrip(r)
}

// liveDashboard opens one, and returns what comes after its first event.
func liveDashboard(t *testing.T, p *process, id string) *bufio.Reader {
	t.Helper()
	c := clientWith(t, p, []byte(siteTokenSecret))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+"/loyalty/"+id+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Mint(c.secret, customer(id), time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := c.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	events := bufio.NewReader(response.Body)
	for {
		line, err := events.ReadString('\n')
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("a live dashboard: %d, %v", response.StatusCode, err)
		}
		if strings.HasPrefix(line, "data:") {
			return events
		}
	}
}

// slowOrder is an order of which the last byte has not been sent.
type slowOrder struct {
	t    *testing.T
	conn net.Conn
	last string
}

func dialOrder(t *testing.T, p *process, id string) slowOrder {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	token, err := auth.Mint([]byte(siteTokenSecret), webshop, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body := `{"customerId":"alice","ItemIds":["mug"],"paymentDetails":{"amount":"10.00","currency":"GBP"}}`
	head := "POST /order/" + id + " HTTP/1.1\r\nHost: loyalty\r\nAuthorization: Bearer " + token +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	if _, err := io.WriteString(conn, head+body[:len(body)-1]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the order has begun", func() bool {
		_, metrics := p.operators("/metrics")
		return strings.Contains(metrics, "loyalty_http_requests_in_flight 2\n") // beside a live dashboard
	})
	return slowOrder{t, conn, body[len(body)-1:]}
}

// finish sends the rest, and returns the status of the answer.
func (o slowOrder) finish() int {
	o.t.Helper()
	if _, err := io.WriteString(o.conn, o.last); err != nil {
		o.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(o.conn), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}
