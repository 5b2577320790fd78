package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"runtime/pprof"

	"loyalty/internal/bench"
	"loyalty/internal/cli/output"
)

// benchCommand measures, beside what it is compared with.
type benchCommand struct {
	Dashboards bench.Dashboards `cmd:"" help:"Dashboards a second over HTTP, beside an empty Echo handler."`
	Orders     bench.Orders     `cmd:"" help:"Orders a second over HTTP, how soon they are on the dashboard, and an audit of each."`
	Drive      bench.Drive      `cmd:"" hidden:"" help:"Make the requests of another bench command."`
	Serve      benchServe       `cmd:"" hidden:"" help:"Be the server of another bench command."`
}

// benchServe is "serve" as another process of a benchmark: it stops when its standard input ends, which it does however the
// benchmark ends, and a line before that ends the profile.
type benchServe struct {
	serveCommand
	Profile string `help:"Write a CPU profile." placeholder:"FILE"`
}

// Run serves until standard input ends.
func (c benchServe) Run(ctx context.Context, std output.Streams) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if c.Profile != "" {
		file, err := os.Create(c.Profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	go func() { // ends with the process
		in := bufio.NewReader(std.In)
		if _, err := in.ReadString('\n'); err == nil {
			pprof.StopCPUProfile()
			_, _ = io.Copy(io.Discard, in)
		}
		stop()
	}()
	c.Drain = 0 // no balancer is in front
	// What is measured is what the server can do, and not what it lets one client do.
	c.LiftRates()
	return c.serveCommand.Run(ctx, std)
}
