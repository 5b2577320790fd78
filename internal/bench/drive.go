package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"loyalty/domain"
	"loyalty/internal/cli/output"
)

// Drive is the hidden command "bench drive": the process that makes the requests of "bench dashboards". It reads a driveSetup and then
// jobs from standard input, a line of JSON each, and answers each job with a line.
type Drive struct{}

// driveSetup is the first line of its input.
type driveSetup struct {
	Customers   int    `json:"customers"`
	ProxySecret []byte `json:"proxySecret"`
	Key         tokenKey
	Clients     int `json:"clients"`
	// Readers is the number of tokens that are asked with, all different.
	Readers     int `json:"readers"`
	Top, Around int
}

// driveJob asks for requests to an address. Without an address it asks to check the samples taken so far.
type driveJob struct {
	Address string        `json:"address,omitempty"`
	For     time.Duration `json:"for,omitempty"`
	// EachOnce has each token asked with once, instead of any until the time is up.
	EachOnce bool `json:"eachOnce,omitempty"`
	// Sampled is the number of answers in each second that are kept to be checked.
	Sampled int `json:"sampled,omitempty"`
}

// driveResult is the answer to a job.
type driveResult struct {
	Requests uint64        `json:"requests"`
	Took     time.Duration `json:"took"`
	// P50, P99 and P999 are quantiles of the latency.
	P50, P99, P999 time.Duration
	Checked        int `json:"checked"`
	// TokenBytes is the length of a token.
	TokenBytes int    `json:"tokenBytes"`
	Failed     string `json:"failed,omitempty"`
}

// Run works until standard input ends.
func (Drive) Run(ctx context.Context, std output.Streams) error {
	in, out := json.NewDecoder(std.In), json.NewEncoder(std.Out)
	var setup driveSetup
	if err := in.Decode(&setup); err != nil {
		return err
	}
	proxies, err := domain.NewProxies(setup.ProxySecret)
	if err != nil {
		return err
	}
	d := &driver{population: population{setup.Customers, proxies}, setup: setup}
	progress := output.NewProgress(std.Err, time.Now)
	if err := progress.End(d.prepare(ctx, time.Now(), progress)); err != nil {
		return err
	}
	for {
		var job driveJob
		if err := in.Decode(&job); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var answer driveResult
		if job.Address != "" {
			answer, err = d.drive(ctx, job)
		} else {
			answer.Checked, err = d.check()
		}
		if err != nil {
			answer.Failed = err.Error()
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
}

// driver makes requests for a population.
type driver struct {
	population
	setup driveSetup
	// requests are in pieces of requestsAPiece, so that millions of them are few objects.
	requests   []requestPiece
	tokenBytes int

	mu      sync.Mutex
	samples []sample
}

// requestsAPiece is how many requests stand in one piece of memory.
const requestsAPiece = 4096

// requestPiece is requests, one behind the other, and where each ends; and whose they are.
type requestPiece struct {
	data    []byte
	ends    []int
	readers []int // customers
}

// request is one of all requests, and the customer who asks.
func (d *driver) request(i int) (request []byte, reader int) {
	piece := &d.requests[i/requestsAPiece]
	i %= requestsAPiece
	begin := 0
	if i > 0 {
		begin = piece.ends[i-1]
	}
	return piece.data[begin:piece.ends[i]], piece.readers[i]
}

// prepare signs all tokens, on all processors.
func (d *driver) prepare(ctx context.Context, now time.Time, progress *output.Progress) error {
	sign, err := d.setup.Key.signer()
	if err != nil {
		return err
	}
	d.requests = make([]requestPiece, (d.setup.Readers+requestsAPiece-1)/requestsAPiece)
	var next, signed atomic.Int64
	var signing sync.WaitGroup
	failures := make(chan error, runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		signing.Go(func() {
			for piece := int(next.Add(1)) - 1; piece < len(d.requests) && ctx.Err() == nil; piece = int(next.Add(1)) - 1 {
				made, err := d.piece(piece*requestsAPiece, sign, now)
				if err != nil {
					failures <- err
					return
				}
				d.requests[piece] = made
				signed.Add(int64(len(made.ends)))
			}
		})
	}
	done := make(chan struct{})
	go func() { signing.Wait(); close(done) }()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			progress.Update("signing tokens", uint64(signed.Load()), uint64(d.setup.Readers))
		case <-done:
			select {
			case err := <-failures:
				return err
			default:
				return ctx.Err()
			}
		}
	}
}

// piece makes the requests from the first on.
func (d *driver) piece(first int, sign func(domain.CustomerID, int, time.Time) (string, error), now time.Time) (p requestPiece, err error) {
	random := rand.New(rand.NewPCG(1, uint64(first)))
	for n := first; n < min(first+requestsAPiece, d.setup.Readers); n++ {
		i := random.IntN(d.customers)
		token, err := sign(d.id(i), n, now)
		if err != nil {
			return p, err
		}
		path := fmt.Sprintf("/loyalty/%s", d.id(i))
		if d.setup.Top != 10 || d.setup.Around != 2 {
			path += fmt.Sprintf("?top=%d&around=%d", d.setup.Top, d.setup.Around)
		}
		p.data = fmt.Appendf(p.data, "GET %s HTTP/1.1\r\nHost: loyalty\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
		p.readers, p.ends = append(p.readers, i), append(p.ends, len(p.data))
		if n == 0 {
			d.tokenBytes = len(token)
		}
	}
	p.data = slices.Clip(p.data)
	return p, nil
}

// Latencies are counted in a histogram of steps of 10 µs up to 2 s. Its last step has all above.
const (
	latencyStep  = 10 * time.Microsecond
	latencySteps = int(2 * time.Second / latencyStep)
)

// drive makes requests over one connection for each client. A client sends its next request once it has the answer to the one before.
func (d *driver) drive(ctx context.Context, job driveJob) (driveResult, error) {
	if !job.EachOnce {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, job.For)
		defer cancel()
	}
	sampling, stopSampling := context.WithCancel(ctx)
	latencies := make([]atomic.Uint32, latencySteps+1)
	var requests atomic.Uint64
	var samplesLeft atomic.Int64
	failures := make(chan error, d.setup.Clients)
	var clients sync.WaitGroup
	began := time.Now()
	var sampler sync.WaitGroup
	defer sampler.Wait()
	defer stopSampling()
	sampler.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for samplesLeft.Store(int64(job.Sampled)); ; samplesLeft.Store(int64(job.Sampled)) {
			select {
			case <-tick.C:
			case <-sampling.Done():
				return
			}
		}
	})
	for client := range d.setup.Clients {
		clients.Go(func() {
			c, err := dialHTTP(ctx, job.Address)
			if err != nil {
				failures <- err
				return
			}
			defer c.Close()
			random := rand.New(rand.NewPCG(uint64(client), uint64(began.UnixNano())))
			for next := client; ctx.Err() == nil; next += d.setup.Clients {
				if job.EachOnce && next >= d.setup.Readers {
					return
				}
				which := next
				if !job.EachOnce {
					which = random.IntN(d.setup.Readers)
				}
				request, reader := d.request(which)
				start := time.Now()
				body, err := c.get(request)
				if err != nil {
					failures <- err
					return
				}
				requests.Add(1)
				latencies[min(int(time.Since(start)/latencyStep), latencySteps)].Add(1)
				if samplesLeft.Load() > 0 && samplesLeft.Add(-1) >= 0 {
					d.keep(sample{reader, d.setup.Top, d.setup.Around, bytes.Clone(body)})
				}
			}
		})
	}
	clients.Wait()
	answer := driveResult{Requests: requests.Load(), Took: time.Since(began), TokenBytes: d.tokenBytes}
	answer.P50, answer.P99, answer.P999 = percentile(latencies, answer.Requests, .5), percentile(latencies, answer.Requests, .99), percentile(latencies, answer.Requests, .999)
	select {
	case err := <-failures:
		return answer, err
	default:
		return answer, nil
	}
}

func percentile(latencies []atomic.Uint32, all uint64, p float64) time.Duration {
	var sum uint64
	for i := range latencies {
		if sum += uint64(latencies[i].Load()); float64(sum) >= p*float64(all) {
			return time.Duration(i+1) * latencyStep
		}
	}
	return 0
}

func (d *driver) keep(s sample) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.samples = append(d.samples, s)
}

// check compares the samples with the model, in the order of their positions, and returns how many were right.
func (d *driver) check() (int, error) {
	model := newBoardModel(d.population, func(uint64, uint64) {})
	at := map[*byte]uint64{}
	for _, s := range d.samples {
		var position struct{ Position domain.Position }
		if err := json.Unmarshal(s.body, &position); err != nil {
			return 0, err
		}
		at[&s.body[0]] = position.Position.Commit
	}
	slices.SortFunc(d.samples, func(a, b sample) int { return cmp.Compare(at[&a.body[0]], at[&b.body[0]]) })
	for n, s := range d.samples {
		if err := model.check(s); err != nil {
			return n, err
		}
	}
	return len(d.samples), nil
}

// httpConnection is an HTTP client with only what these requests need: it leaves most of the machine to the server.
type httpConnection struct {
	net.Conn
	reader *bufio.Reader
	body   []byte
}

func dialHTTP(ctx context.Context, address string) (*httpConnection, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &httpConnection{Conn: conn, reader: bufio.NewReaderSize(conn, 16<<10)}, nil
}

var contentLength = []byte("Content-Length: ")

// get makes one request and returns the body of its answer, valid until the next request. An answer other than 200 is an error.
func (c *httpConnection) get(request []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	length := -1
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			rest, _ := c.reader.Peek(c.reader.Buffered())
			return nil, fmt.Errorf("answered %s%s", line, rest)
		}
		if value, ok := bytes.CutPrefix(line, contentLength); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
		if len(line) == 2 {
			break
		}
	}
	if length < 0 {
		return nil, errors.New("an answer without a length")
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err := io.ReadFull(c.reader, c.body)
	return c.body, err
}
