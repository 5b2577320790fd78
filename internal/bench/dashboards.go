// Package bench generates load and measures: dashboards beside an empty handler, and orders with an audit of each.
package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/api/baseline"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/leaderboard/redis"
)

// Dashboards is the command "bench dashboards". It serves dashboards of generated customers, and an empty handler to compare with, and
// has another process read both.
type Dashboards struct {
	Customers   int    `help:"How many customers are on the leaderboard." default:"1000000" placeholder:"N"`
	Leaderboard string `help:"Which leaderboard: memory:, or a Redis, where the board \"bench\" is overwritten unless the address names another." default:"memory:" placeholder:"URL"`
	Seconds     int    `help:"How long dashboards are read; as long again is spent on the empty handler." default:"30" placeholder:"S"`
	Rounds      int    `help:"Rounds the time is divided into. Each reads both; the figures are those of the median round." default:"5" placeholder:"N"`
	Readers     int    `help:"With how many different tokens they are read, all remembered before it is measured." default:"10000" placeholder:"N"`
	Alg         string `help:"What tokens are signed by: HS256, or RS256 or ES256 as by an identity provider." default:"HS256" enum:"HS256,RS256,ES256" placeholder:"ALG"`
	Clients     int    `help:"Connections that read at once." default:"64" placeholder:"N"`
	Updates     int    `help:"Changes of points a second meanwhile." default:"1157" placeholder:"N"`
	Top         int    `help:"How many of the best a dashboard shows." default:"10" placeholder:"N"`
	Around      int    `help:"How many neighbours on each side." default:"2" placeholder:"N"`
	Profile     string `help:"Write a CPU profile of this process while it is measured." placeholder:"FILE"`
	JSON        bool   `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (Dashboards) Help() string {
	return `Builds a leaderboard with a realistic spread of points, serves it over HTTP with authentication and all, and has another
process read it over keep-alive connections while points go on changing. In turns with it the same process reads an Echo
handler that answers as many bytes and does nothing. Answers kept in every second are checked against a model afterwards:
one wrong rank fails the run. Run it on a machine with nothing else to do.

  loyalty bench dashboards --customers 50000000 --seconds 30
  loyalty bench dashboards --customers 10000000 --readers 2000000 --alg RS256     as many tokens as in an evening, 1.3 KiB each`
}

// DashboardFigures are the results, in JSON. The names say the units.
type DashboardFigures struct {
	Customers        int     `json:"customers"`
	Leaderboard      string  `json:"leaderboard"`
	PerSecond        float64 `json:"dashboards_per_s"`
	EmptyPerSecond   float64 `json:"empty_per_s"`
	Ratio            float64 `json:"ratio"`
	P50ms            float64 `json:"p50_ms"`
	P99ms            float64 `json:"p99_ms"`
	P999ms           float64 `json:"p999_ms"`
	EmptyP50ms       float64 `json:"empty_p50_ms"`
	EmptyP99ms       float64 `json:"empty_p99_ms"`
	EmptyP999ms      float64 `json:"empty_p999_ms"`
	CPUPerRequest    float64 `json:"cpu_us_per_request"`
	EmptyCPU         float64 `json:"empty_cpu_us_per_request"`
	BytesPerCustomer float64 `json:"bytes_per_customer"`
	// Readers is the number of different tokens, each of TokenBytes. FirstPerSecond is how many are read for the first time.
	Readers        int     `json:"readers"`
	Algorithm      string  `json:"algorithm"`
	TokenBytes     int     `json:"token_bytes"`
	FirstPerSecond float64 `json:"first_dashboards_per_s"`
	FirstCPU       float64 `json:"first_cpu_us_per_request"`
	Updates        uint64  `json:"updates"`
	Checked        int     `json:"checked"`
}

// measuredBoard is the leaderboard under test. bytes is the memory that its store uses.
type measuredBoard struct {
	app.LeaderboardStore
	bytes func(context.Context) (uint64, error)
	close func() error
}

// Run measures and prints the figures. It fails if an answer was wrong.
func (c Dashboards) Run(ctx context.Context, std output.Streams) (err error) {
	if c.Customers < 1 || c.Seconds < 1 || c.Clients < 1 || c.Rounds < 1 || c.Readers < 1 || c.Updates < 0 {
		return flags.Usage(errors.New("customers, seconds, rounds, readers and clients must be at least 1, and updates at least 0"))
	}
	if err := leaderboard.CheckSizes(c.Top, c.Around); err != nil {
		return flags.Usage(err)
	}
	app.UseServingGCTarget()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	proxySecret := make([]byte, app.SecretLength)
	rand.Read(proxySecret) // never fails
	proxies, err := domain.NewProxies(proxySecret)
	if err != nil {
		return err
	}
	key, err := newTokenKey(c.Alg)
	if err != nil {
		return err
	}
	people := population{c.Customers, proxies}
	progress := output.NewProgress(std.Err, time.Now)
	board, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, board.close()) }()
	figures := DashboardFigures{Customers: c.Customers, Leaderboard: c.Leaderboard, Readers: c.Readers, Algorithm: c.Alg}
	if figures.BytesPerCustomer, err = c.load(ctx, board, people, progress); err != nil {
		return progress.End(err)
	}

	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	verifier, err := key.verifier(ctx, &serving)
	if err != nil {
		return progress.End(err)
	}
	handler, err := c.handler(board, proxies, verifier)
	if err != nil {
		return progress.End(err)
	}
	body, err := typicalAnswer(handler, people, key)
	if err != nil {
		return progress.End(err)
	}
	addresses := map[string]string{}
	for name, h := range map[string]http.Handler{"dashboards": handler, "empty": baseline.Handler(body)} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return progress.End(err)
		}
		server := app.NewHTTPServer(h)
		serving.Go(func() { _ = app.Serve(server, listener) })
		defer server.Close()
		addresses[name] = listener.Addr().String()
	}
	other, err := startDriver(ctx, driveSetup{
		Customers: c.Customers, ProxySecret: proxySecret, Key: key, Clients: c.Clients, Readers: c.Readers, Top: c.Top, Around: c.Around,
	}, std.Err)
	if err != nil {
		return progress.End(err)
	}
	defer func() { err = errors.Join(err, other.stop()) }()
	if c.Profile != "" {
		file, err := os.Create(c.Profile)
		if err != nil {
			return progress.End(err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return progress.End(err)
		}
		defer pprof.StopCPUProfile()
	}
	if err := c.measure(ctx, board, people, other, addresses, progress, &figures); err != nil {
		return progress.End(err)
	}
	return progress.End(c.print(std.Out, figures))
}

func (c Dashboards) open(ctx context.Context) (measuredBoard, error) {
	if c.Leaderboard == app.MemoryScheme {
		return measuredBoard{memory.New(), func(context.Context) (uint64, error) { return residentBytes() }, func() error { return nil }}, nil
	}
	address := c.Leaderboard
	if !strings.Contains(address, "board=") {
		separator := "?"
		if strings.Contains(address, "?") {
			separator = "&"
		}
		address += separator + "board=bench" // never the one that is in use
	}
	board, err := redis.Open(ctx, address, nil)
	if err != nil {
		return measuredBoard{}, err
	}
	return measuredBoard{board, board.UsedBytes, board.Close}, nil
}

// load puts all customers on the leaderboard and returns the bytes that it takes for each.
func (c Dashboards) load(ctx context.Context, board measuredBoard, people population, progress *output.Progress) (float64, error) {
	before, err := board.bytes(ctx)
	if err != nil {
		return 0, err
	}
	err = board.Load(ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		for i := range people.customers {
			if err := yield(people.standing(i)); err != nil {
				return leaderboard.Snapshot{}, err
			}
			if i%10_000 == 0 {
				progress.Update("building", uint64(i), uint64(people.customers))
			}
		}
		progress.Update("sorting", 0, 0)
		return leaderboard.Snapshot{AsOf: time.Now()}, nil
	})
	if err != nil {
		return 0, err
	}
	debug.FreeOSMemory()
	after, err := board.bytes(ctx)
	return (float64(after) - float64(before)) / float64(people.customers), err
}

func (c Dashboards) handler(board app.LeaderboardStore, proxies domain.Proxies, verifier *auth.Verifier) (http.Handler, error) {
	config := api.Config{
		Leaderboard: board, Proxies: proxies, Verifier: verifier, Log: slog.New(slog.DiscardHandler), Now: time.Now, NewRequestID: app.NewRequestIDs(),
		Ready: map[string]func(context.Context) error{"query": func(context.Context) error { return nil }}, Metrics: prometheus.NewRegistry(),
	}
	// Readers are counted, as they are in use, and none is refused.
	config.Limits.ReadRates = map[string]float64{"customer": 1e6}
	return api.New(config)
}

// typicalAnswer is the body of a dashboard of a customer in the middle of the leaderboard.
func typicalAnswer(handler http.Handler, people population, key tokenKey) ([]byte, error) {
	id := people.id(people.customers / 2)
	sign, err := key.signer()
	if err != nil {
		return nil, err
	}
	token, err := sign(id, 0, time.Now())
	if err != nil {
		return nil, err
	}
	request := httptest.NewRequest(http.MethodGet, "/loyalty/"+string(id), nil)
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK {
		return nil, fmt.Errorf("a dashboard is answered with %d: %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.Bytes(), nil
}

// measure reads both handlers in turns while points change, and then has the samples checked. The figures are those of the median round.
func (c Dashboards) measure(ctx context.Context, board app.LeaderboardStore, people population, other *driverProcess, addresses map[string]string, progress *output.Progress, figures *DashboardFigures) error {
	updating, stopUpdates := context.WithCancel(ctx)
	updated := make(chan error, 1)
	var updates atomic.Uint64
	go func() { updated <- c.update(updating, board, people, &updates) }()
	var rounds []round
	length := time.Duration(c.Seconds) * time.Second / time.Duration(c.Rounds)
	err := func() error {
		progress.Update("verifying each token", 0, 0)
		first, cpu, err := other.timed(driveJob{Address: addresses["dashboards"], EachOnce: true})
		if err != nil {
			return err
		}
		figures.TokenBytes, figures.FirstPerSecond, figures.FirstCPU = first.TokenBytes, perSecond(first), microseconds(cpu, first)
		for n := range c.Rounds + 1 { // the first one warms up
			progress.Update("measuring", uint64(n), uint64(c.Rounds+1))
			r, err := other.round(addresses, length)
			if err != nil {
				return err
			}
			if n > 0 {
				rounds = append(rounds, r)
			}
		}
		return nil
	}()
	stopUpdates()
	if err := errors.Join(err, <-updated); err != nil {
		return err
	}
	figures.Updates = updates.Load()
	slices.SortFunc(rounds, func(a, b round) int { return int(1e6 * (a.ratio() - b.ratio())) })
	rounds[len(rounds)/2].into(figures)
	progress.Update("checking against a model", 0, 0)
	checked, err := other.do(driveJob{})
	if err != nil {
		return err
	}
	if figures.Checked = checked.Checked; figures.Checked == 0 {
		return errors.New("no answer was checked")
	}
	return nil
}

// update changes points at the configured rate, in twenty batches a second, until ctx ends.
func (c Dashboards) update(ctx context.Context, board app.LeaderboardStore, people population, made *atomic.Uint64) error {
	at, err := board.Checkpoint(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		due := uint64(time.Since(began).Seconds() * float64(c.Updates))
		batch := leaderboard.Batch{From: at, AsOf: time.Now()}
		for n := at.Position.Commit + 1; n <= due; n++ {
			_, change := people.change(n)
			batch.Changes = append(batch.Changes, change)
		}
		due = max(due, at.Position.Commit)
		batch.To = domain.CheckpointAt(domain.Position{Commit: due, Prepare: due})
		if err := board.Apply(ctx, batch); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		at = batch.To
		made.Store(at.Position.Commit)
	}
}

// round is the result of one round.
type round struct {
	dashboards, empty      driveResult
	dashboardCPU, emptyCPU time.Duration
}

func (r round) ratio() float64 { return perSecond(r.dashboards) / perSecond(r.empty) }

func perSecond(d driveResult) float64 { return float64(d.Requests) / d.Took.Seconds() }

// microseconds is the processor time of the server for each request.
func microseconds(cpu time.Duration, d driveResult) float64 {
	return float64(cpu.Nanoseconds()) / 1000 / float64(d.Requests)
}

func (r round) into(f *DashboardFigures) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	f.PerSecond, f.EmptyPerSecond, f.Ratio = perSecond(r.dashboards), perSecond(r.empty), r.ratio()
	f.P50ms, f.P99ms, f.P999ms = ms(r.dashboards.P50), ms(r.dashboards.P99), ms(r.dashboards.P999)
	f.EmptyP50ms, f.EmptyP99ms, f.EmptyP999ms = ms(r.empty.P50), ms(r.empty.P99), ms(r.empty.P999)
	f.CPUPerRequest, f.EmptyCPU = microseconds(r.dashboardCPU, r.dashboards), microseconds(r.emptyCPU, r.empty)
}

func (c Dashboards) print(out io.Writer, f DashboardFigures) error {
	if c.JSON {
		return output.JSON(out, f)
	}
	err := output.Table(out,
		[]any{"", "DASHBOARDS", "EMPTY HANDLER", "RATIO"},
		[]any{"requests/s", english.Grouped(uint64(f.PerSecond)), english.Grouped(uint64(f.EmptyPerSecond)), fmt.Sprintf("%.2f", f.Ratio)},
		[]any{"p50", fmt.Sprintf("%.2f ms", f.P50ms), fmt.Sprintf("%.2f ms", f.EmptyP50ms), fmt.Sprintf("%.2f", f.P50ms/f.EmptyP50ms)},
		[]any{"p99", fmt.Sprintf("%.2f ms", f.P99ms), fmt.Sprintf("%.2f ms", f.EmptyP99ms), fmt.Sprintf("%.2f", f.P99ms/f.EmptyP99ms)},
		[]any{"p99.9", fmt.Sprintf("%.2f ms", f.P999ms), fmt.Sprintf("%.2f ms", f.EmptyP999ms), fmt.Sprintf("%.2f", f.P999ms/f.EmptyP999ms)},
		[]any{"server CPU each", fmt.Sprintf("%.1f µs", f.CPUPerRequest), fmt.Sprintf("%.1f µs", f.EmptyCPU), fmt.Sprintf("%.2f", f.CPUPerRequest/f.EmptyCPU)},
	)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s customers in %s, %.1f bytes each; %s changes meanwhile; %s answers were checked, and right.\n"+
		"%s tokens signed by %s, %s bytes each; seen for the first time, %s a second with %.1f µs each.\n",
		english.Grouped(uint64(f.Customers)), f.Leaderboard, f.BytesPerCustomer, english.Grouped(f.Updates), english.Grouped(uint64(f.Checked)),
		english.Grouped(uint64(f.Readers)), f.Algorithm, english.Grouped(uint64(f.TokenBytes)), english.Grouped(uint64(f.FirstPerSecond)), f.FirstCPU)
	return err
}
