package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api"
	"loyalty/api/auth"
)

// openBatch is a batch that goes on.
type openBatch struct {
	to      *io.PipeWriter
	answers *bufio.Scanner
	answer  *http.Response
	begun   chan error
}

// open begins a batch that may go on for long; its answer is there once the first line is.
func (s *site) open(t testing.TB) *openBatch {
	t.Helper()
	return s.openAs(t, till)
}

func (s *site) openAs(t testing.TB, as auth.Claims) *openBatch {
	t.Helper()
	body, to := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/orders", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+mint(t, as))
	request.Header.Set("Content-Type", "application/x-ndjson")
	b := &openBatch{to: to, begun: make(chan error, 1)}
	go func() {
		var err error
		if b.answer, err = http.DefaultClient.Do(request); err == nil {
			b.answers = bufio.NewScanner(b.answer.Body)
		}
		b.begun <- err
	}()
	t.Cleanup(func() {
		to.Close()
		if err := <-b.begun; err == nil {
			b.answer.Body.Close()
		}
	})
	return b
}

func (b *openBatch) send(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(b.to, text); err != nil {
		t.Fatal(err)
	}
}

// next is the next line of the answer; false at its end.
func (b *openBatch) next(t testing.TB) (a lineAnswer, more bool) {
	t.Helper()
	err := <-b.begun
	b.begun <- err
	if err != nil {
		t.Fatal(err)
	}
	if !b.answers.Scan() {
		if b.answers.Err() != nil {
			t.Fatal(b.answers.Err())
		}
		return a, false
	}
	if err := json.Unmarshal(b.answers.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a, true
}

func (b *openBatch) end(t testing.TB) {
	t.Helper()
	b.to.Close()
	if a, more := b.next(t); more {
		t.Errorf("one more answer: %v", a)
	}
}

func TestABatchIsAnsweredWhileItIsSent(t *testing.T) {
	s := startStack(t, loadDocument(t))
	b := s.open(t)
	for i := range 300 {
		b.send(t, lineOf(fmt.Sprintf("o-%d", i), `20`, "ann")+"\n")
		if got, _ := b.next(t); got.Line != i+1 || got.Status != "placed" {
			t.Fatalf("line %d is answered with %v", i+1, got)
		}
	}
	b.end(t)
}

// Given a batch under way
// When the server stops
// Then what it has read is carried out and answered, the answer ends as it should, and the rest can be sent again.
func TestAServerThatStopsEndsABatchInOrder(t *testing.T) {
	behind := newHeld()
	c := config(t, new(lockedBuffer))
	c.Commands = behind
	server, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	public := httptest.NewUnstartedServer(server)
	interrupted := make(chan struct{}, 1)
	public.Listener = interruptedListener{public.Listener, interrupted}
	public.Start()
	defer public.Close()
	public.Config.RegisterOnShutdown(server.Stop)
	b := (&site{t: t, url: public.URL}).open(t)
	for i := range 10 {
		b.send(t, lineOf(fmt.Sprintf("o-%d", i), `20`, "ann")+"\n")
	}
	for range 10 {
		<-behind.begun
	}
	stopped := make(chan error, 1)
	go func() { stopped <- public.Config.Shutdown(t.Context()) }()
	<-interrupted
	close(behind.release)
	for i := range 10 {
		if got, _ := b.next(t); got.Line != i+1 || got.Status != "placed" {
			t.Errorf("line %d is answered with %v", i+1, got)
		}
	}
	if a, more := b.next(t); more {
		t.Errorf("one more answer: %v", a)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// interruptedListener tells when reading from a connection was ended by a deadline.
type interruptedListener struct {
	net.Listener
	interrupted chan<- struct{}
}

func (l interruptedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return interruptedConn{conn, l.interrupted}, err
}

type interruptedConn struct {
	net.Conn
	interrupted chan<- struct{}
}

func (c interruptedConn) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		select {
		case c.interrupted <- struct{}{}:
		default:
		}
	}
	return n, err
}

// Given a client that sends and does not read
// Then the server stops taking lines long before it has all of them.
func TestAClientThatDoesNotReadIsNotReadFrom(t *testing.T) {
	var placed, tried atomic.Int64
	s := serve(t, loadDocument(t), func(c *api.Config) {
		c.Commands = failing{orders: &placed, tried: &tried, from: 1 << 40}
	})
	b := s.open(t)
	const most = 2_000_000
	sent := make(chan int, 1)
	go func() {
		n := 0
		for ; n < most; n++ {
			if _, err := io.WriteString(b.to, lineOf("o", `1`, "ann")+"\n"); err != nil {
				break
			}
		}
		sent <- n
	}()
	last := int64(-1)
	eventually(t, "the server to stop reading", func() bool {
		time.Sleep(200 * time.Millisecond)
		now := placed.Load()
		stands := now > 0 && now == last
		last = now
		return stands
	})
	b.to.Close()
	if n := <-sent; n == most {
		t.Errorf("the server took %d lines of a client that reads no answer", n)
	}
}

// Given a batch that fills its share of what may be under way
// Then its lines wait instead of being refused, and orders that come one by one still have room: the same till's, and another's.
func TestABatchLeavesRoomForOthers(t *testing.T) {
	behind := newHeld()
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Commands, c.Limits.Writes = behind, 8 })
	b := s.open(t)
	for i := range 10 {
		b.send(t, lineOf(fmt.Sprintf("o-%d", i), `20`, "ann")+"\n")
	}
	s.waitForMetric(t, "loyalty_writes_in_flight 2")
	var others sync.WaitGroup
	for i := range 6 {
		as := till
		if i >= 2 {
			as = named(till, "till-8")
		}
		others.Go(func() {
			s.do(t, exchange{as: as, method: "POST", path: fmt.Sprintf("/order/one-%d", i), body: orderOf(`1`, "ann"), status: 201})
		})
	}
	s.waitForMetric(t, "loyalty_writes_in_flight 8")
	close(behind.release)
	others.Wait()
	for i := range 10 {
		if got, _ := b.next(t); got.Line != i+1 || got.Status != "placed" {
			t.Errorf("line %d is answered with %v", i+1, got)
		}
	}
	b.end(t)
	s.waitForMetric(t, `loyalty_batch_lines_total{status="placed"} 10`)
	s.waitForMetric(t, "loyalty_writes_refused_total 0")
}

// BenchmarkBatch takes orders by the line over a connection, with nothing behind the API.
func BenchmarkBatch(b *testing.B) {
	c := config(b, io.Discard)
	c.Log, c.Commands, c.Metrics = slog.New(slog.DiscardHandler), fixed{}, prometheus.NewRegistry()
	server, err := api.New(c)
	if err != nil {
		b.Fatal(err)
	}
	public := httptest.NewServer(server)
	defer public.Close()
	b.ReportAllocs()
	open := (&site{t: b, url: public.URL}).open(b)
	var sending sync.WaitGroup
	sending.Go(func() {
		var chunk bytes.Buffer
		for i := range b.N {
			chunk.WriteString(lineOf(fmt.Sprintf("o-%d", i), `"129.99"`, "c-4711") + "\n")
			if chunk.Len() > 16<<10 || i == b.N-1 {
				open.send(b, chunk.String())
				chunk.Reset()
			}
		}
		open.to.Close()
	})
	<-open.begun
	open.begun <- nil
	n := 0
	for open.answers.Scan() {
		n++
	}
	sending.Wait()
	if n != b.N {
		b.Fatalf("%d lines have %d answers", b.N, n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// Given a batch that goes on
// When its token expires
// Then what was read is answered, and the batch ends in order.
func TestABatchEndsWithItsToken(t *testing.T) {
	clock := &clock{now: time.Now().Add(time.Hour + auth.ClockLeeway - 2*time.Second)}
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Commands, c.Now = fixed{}, clock.Now })
	b := s.open(t)
	b.send(t, lineOf("o-1", `1`, "ann")+"\n")
	if a, more := b.next(t); !more || a.Status != "placed" {
		t.Errorf("its line is answered with %v", a)
	}
	if a, more := b.next(t); more {
		t.Errorf("a line that was not sent is answered with %v", a)
	}
	s.waitForMetric(t, `loyalty_http_request_duration_seconds_count{method="POST",route="/orders",status="200"} 1`)
}
