package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
)

// Orders is the command "bench orders". It sends orders to a server as channels do, and audits what became of each.
type Orders struct {
	Rate      float64 `help:"Orders a second, at random moments. Answers are timed from when their orders were due." xor:"pace" required:"" placeholder:"R"`
	Max       bool    `help:"As many as the server takes: each client sends its next order when it has the answer to the one before." xor:"pace" required:""`
	Seconds   int     `help:"How long; a minute by default." default:"60" placeholder:"S"`
	Clients   int     `help:"Connections. 0: 128 with --max, and 512 with --rate." default:"0" placeholder:"N"`
	Customers int     `help:"How many customers there are. A sixteenth of them place half of the orders." default:"50000" placeholder:"N"`
	URL       string  `name:"url" help:"Send the orders to the server there, instead of one of its own. Needs --into-a-real-log." placeholder:"URL"`
	// IntoARealLog is asked for beside the address, so that nobody writes into a shop's log by a slip.
	IntoARealLog bool       `name:"into-a-real-log" help:"Yes, write made-up orders into the log of --url or --eventstore. They stay in it for ever."`
	Data         app.Folder `help:"The data folder of the server at --url, for the secret that signs its tokens." placeholder:"DIR"`
	flags.Signing
	serverStores
	Profile string `help:"Write a CPU profile of its own server while it is measured." placeholder:"FILE"`
	JSON    bool   `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (Orders) Help() string {
	return `Starts the system in a process of its own (all roles, durable, in a folder under $TMPDIR that is removed afterwards) and sends it
orders of made-up customers, one in a hundred of them twice. What gets no answer, 429 or 5xx is sent again until it is acknowledged.
A few are watched until their points are on the dashboard. Then the trail of every customer is read: each acknowledged order must be
there exactly once, with its points, and the total, in the ledger and on the dashboard, must be their sum. Anything else is exit
status 1. Ctrl-C ends the orders early; a second one the audit. Run it on a machine with nothing else to do.

  loyalty bench orders --max
  loyalty bench orders --rate 1157 --seconds 120
  loyalty bench orders --rate 1157 --ledger postgres://… --leaderboard redis://…     empty ones: what is there belongs to other events
  loyalty bench orders --rate 100 --url http://127.0.0.1:8080 --data loyalty-data --into-a-real-log`
}

// OrderFigures are the results, in JSON. The names say the units.
type OrderFigures struct {
	PerSecond     float64 `json:"orders_per_s"`
	SlowestSecond int     `json:"slowest_second"`
	P50ms         float64 `json:"p50_ms"`
	P99ms         float64 `json:"p99_ms"`
	P999ms        float64 `json:"p999_ms"`
	VisibleP50ms  float64 `json:"visible_p50_ms"`
	VisibleP99ms  float64 `json:"visible_p99_ms"`
	Watched       int     `json:"watched"`
	Orders        int     `json:"orders"`
	Seconds       float64 `json:"seconds"`
	CPUPerOrder   float64 `json:"cpu_us_per_order"`
	Retried       int     `json:"retried"`
	Repeats       int     `json:"repeats"`
	Refused       int     `json:"refused"`
	Unsure        int     `json:"unacknowledged"`
	Lost          int     `json:"lost"`
	Doubled       int     `json:"doubled"`
	Wrong         int     `json:"wrong"`
	Audited       int     `json:"audited_entries"`
}

// Run measures, audits and prints the figures. It fails if the audit finds anything wrong.
func (c Orders) Run(ctx context.Context, std output.Streams) (err error) {
	if c.Rate < 0 || !c.Max && c.Rate == 0 || c.Seconds < 1 || c.Clients < 0 || c.Customers < 1 {
		return flags.Usage(errors.New("rate, seconds and customers must be more than 0"))
	}
	if (c.URL != "" || c.Eventstore != "") && !c.IntoARealLog {
		return flags.Usage(errors.New("made-up orders stay in a log for ever: if it shall be that of --url or --eventstore, say so with --into-a-real-log"))
	}
	if c.Clients == 0 {
		c.Clients = 512
		if c.Max {
			c.Clients = 128
		}
	}
	app.UseServingGCTarget()
	progress := output.NewProgress(std.Err, time.Now)
	defer func() { err = progress.End(err) }()
	server, own, err := c.connect(ctx, std.Err)
	if err != nil {
		return err
	}
	if own != nil {
		defer func() { err = errors.Join(err, own.stop()) }()
	}
	random := make([]byte, 6)
	rand.Read(random) // never fails
	shop := shop{run: hex.EncodeToString(random), customers: c.Customers}
	watch := &dashboardWatch{server: server}
	load := &orderLoad{shop: shop, server: server, clients: c.Clients, watch: watch}
	loading, stop := ctx, func() {}
	if own != nil {
		loading, stop = own.while(ctx)
	}
	got, cpu, err := c.load(loading, load, progress)
	stop()
	if err == nil && own != nil {
		err = own.measured()
	}
	if err != nil {
		return err
	}
	if len(got.acknowledged) == 0 {
		return errors.Join(err, fmt.Errorf("no order was acknowledged; %d were refused: %s", got.rejected, got.problem))
	}
	// An interrupted run is audited, too. A second interruption ends the audit.
	auditing, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	found, failed := orderAudit{shop, server, progress}.run(auditing, got)
	if failed != nil {
		return errors.Join(err, fmt.Errorf("the audit was not completed: %w", failed))
	}
	f := figures(got, watch, cpu)
	f.Lost, f.Doubled, f.Wrong, f.Audited = found.lost, found.doubled, found.wrong, found.entries
	progress.Finish()
	return errors.Join(err, c.print(std.Out, f, found), found.err(), got.err())
}

// connect returns the server at --url, or starts one. own is nil for a server at --url.
func (c Orders) connect(ctx context.Context, errs io.Writer) (server *orderServer, own *ownServer, err error) {
	if c.URL == "" {
		if c.Data != "" {
			return nil, nil, flags.Usage(errors.New("--data is the folder of a server that runs: say where it is with --url"))
		}
		if own, err = startOwnServer(ctx, c.serverStores, c.Profile, errs); err != nil {
			return nil, nil, err
		}
		return own.orderServer, own, nil
	}
	if c.serverStores != (serverStores{Leaderboard: app.MemoryScheme}) || c.Profile != "" {
		return nil, nil, flags.Usage(errors.New("--eventstore, --ledger, --leaderboard and --profile are for a server of its own, without --url"))
	}
	var secret []byte
	switch {
	case c.Data != "":
		if secret, err = app.ReadSecret(c.Data.TokenSecretFile()); errors.Is(err, fs.ErrNotExist) {
			err = flags.Usage(c.Data.Check())
		}
	case c.TokenSecret != "":
		secret, err = c.Key()
	}
	if err != nil {
		return nil, nil, err
	}
	if len(secret) == 0 {
		return nil, nil, flags.Usage(errors.New("nothing to sign tokens with: give the server's folder with --data, or set LOYALTY_TOKEN_SECRET to what it was given"))
	}
	server, err = newOrderServer(c.URL, secret, time.Now())
	return server, nil, err
}

// load sends orders for the configured time. cpu is the processor time that the server used meanwhile, 0 if it is not known.
func (c Orders) load(ctx context.Context, l *orderLoad, progress *output.Progress) (got loadResult, cpu time.Duration, err error) {
	used := func() (time.Duration, error) {
		if l.server.cpu == nil {
			return 0, nil
		}
		return l.server.cpu(context.WithoutCancel(ctx))
	}
	before, err := used()
	if err != nil {
		return got, 0, err
	}
	began := time.Now()
	l.pace = newPace(c.Rate, began)
	loading, stop := context.WithDeadline(ctx, began.Add(time.Duration(c.Seconds)*time.Second))
	defer stop()
	finishing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(loading, func() { time.AfterFunc(finishTimeout, giveUp) })()
	ended := make(chan loadResult, 1)
	go func() { ended <- l.run(loading, finishing, began) }()
	tick := time.NewTicker(output.BarInterval)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-tick.C:
			progress.Update("sending orders", l.done.Load(), uint64(c.Rate*float64(c.Seconds)))
		case got = <-ended:
			over = true
		}
	}
	after, err := used()
	l.watch.all.Wait()
	return got, after - before, err
}

// figures computes the results of a load.
func figures(l loadResult, watch *dashboardWatch, cpu time.Duration) OrderFigures {
	f := OrderFigures{
		Orders: len(l.acknowledged), Seconds: l.took.Seconds(), Retried: l.retried, Repeats: l.repeats, Refused: l.rejected, Unsure: len(l.unsure), Watched: len(watch.took) + watch.unseen,
	}
	f.PerSecond, f.CPUPerOrder = float64(f.Orders)/f.Seconds, float64(cpu.Nanoseconds())/1000/float64(f.Orders)
	slices.Sort(l.answers)
	f.P50ms, f.P99ms, f.P999ms = quantile(l.answers, .5), quantile(l.answers, .99), quantile(l.answers, .999)
	for range watch.unseen {
		watch.took = append(watch.took, uint32(finishTimeout.Microseconds()))
	}
	slices.Sort(watch.took)
	f.VisibleP50ms, f.VisibleP99ms = quantile(watch.took, .5), quantile(watch.took, .99)
	// The last second is incomplete.
	if whole := l.perSecond[:len(l.perSecond)-1]; len(whole) > 0 {
		f.SlowestSecond = slices.Min(whole)
	}
	return f
}

// quantile is the q-quantile, in milliseconds, of sorted durations in microseconds; 0 if there are none.
func quantile(sorted []uint32, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]) / 1000
}

// err is an error if the server rejected a valid order, or answered a repeated one otherwise than the first time.
func (l loadResult) err() error {
	switch {
	case l.rejected > 0:
		return fmt.Errorf("%s refused or answered wrongly, the first so: %s", english.Count(uint64(l.rejected), "order was", "orders were"), l.problem)
	case l.badRepeats > 0:
		return fmt.Errorf("%s not answered as the first time", english.Count(uint64(l.badRepeats), "order sent again was", "orders sent again were"))
	}
	return nil
}

func (c Orders) print(out io.Writer, f OrderFigures, found auditResult) error {
	if c.JSON {
		return output.JSON(out, f)
	}
	ms := func(v float64) string { return fmt.Sprintf("%.1f ms", v) }
	cpu := "unknown"
	if f.CPUPerOrder > 0 {
		cpu = fmt.Sprintf("%.0f µs", f.CPUPerOrder)
	}
	err := output.Table(out,
		[]any{"orders/s", english.Grouped(uint64(f.PerSecond)), "slowest second " + english.Grouped(uint64(f.SlowestSecond))},
		[]any{"answer", "p50 " + ms(f.P50ms), "p99 " + ms(f.P99ms), "p99.9 " + ms(f.P999ms)},
		[]any{"answer until dashboard", "p50 " + ms(f.VisibleP50ms), "p99 " + ms(f.VisibleP99ms), "of " + english.Grouped(uint64(f.Watched))},
		[]any{"server CPU per order", cpu},
		[]any{"sent again", english.Grouped(uint64(f.Retried)) + " for want of an answer", english.Grouped(uint64(f.Repeats)) + " on purpose", english.Grouped(uint64(f.Refused)) + " refused"},
		[]any{"audit", english.Grouped(uint64(f.Lost)) + " lost", english.Grouped(uint64(f.Doubled)) + " doubled", english.Grouped(uint64(f.Wrong)) + " wrong"},
	)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s of %s in %.0f s; %s were never acknowledged.\n", english.Count(uint64(f.Orders), "order", "orders"),
		english.Count(uint64(found.customers), "customer", "customers"), f.Seconds, english.Grouped(uint64(f.Unsure)))
	return err
}
