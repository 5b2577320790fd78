package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// devCommand runs all roles in one process.
type devCommand struct {
	Addr      string     `help:"Address of the API; port 0 picks one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	AdminAddr string     `help:"Address of /healthz, /readyz and /metrics; port 0 picks one." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
	Data      folder     `help:"Folder that everything is kept in." default:"${data}" placeholder:"DIR"`
	Demo      bool       `help:"Have simulated shoppers buy through the API, and show the dashboard of one."`
	LogLevel  slog.Level `help:"Least level of what is logged, to standard error: debug, info, warn or error." default:"warn"`
}

// Help is shown with the command's flags.
func (devCommand) Help() string {
	return `The event store, the ledger and the leaderboard are all in this process; nothing else needs to run. What was
acknowledged is on disk: a restart on the same folder finds it. Ctrl-C finishes what is under way and stops.`
}

// shutdownPatience bounds how long a stop waits for what is under way.
const shutdownPatience = 10 * time.Second

// Run serves until ctx ends or serving fails.
func (c devCommand) Run(ctx context.Context, std streams) (err error) {
	log := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: c.LogLevel}))
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("the API needs a free address, choose one with --addr (%w)", err)
	}
	defer listener.Close()
	adminListener, err := net.Listen("tcp", c.AdminAddr)
	if err != nil {
		return fmt.Errorf("the admin API needs a free address, choose one with --admin-addr (%w)", err)
	}
	defer adminListener.Close()
	s, err := openStack(ctx, c.Data, log)
	if err != nil {
		return err
	}
	stopping := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
	}
	defer func() {
		closing, cancel := stopping()
		defer cancel()
		err = errors.Join(err, s.close(closing))
	}()

	failed := make(chan error, 2)
	public, admin := newHTTPServer(s.api), newHTTPServer(s.api.Admin())
	go func() { failed <- serve(public, listener) }()
	go func() { failed <- serve(admin, adminListener) }()
	c.greet(std.out, listener.Addr(), adminListener.Addr())

	demoCtx, stopDemo := context.WithCancel(ctx)
	defer stopDemo()
	demoEnded := make(chan error, 1)
	if c.Demo {
		go func() { demoEnded <- runDemo(demoCtx, "http://"+listener.Addr().String(), c.Data, std.out) }()
	} else {
		close(demoEnded)
	}

	select {
	case <-ctx.Done():
		fmt.Fprintln(std.out, "\nStopping: finishing what is under way.")
	case err = <-failed:
		failed <- nil
	}
	// The shoppers first, so that they don't see the shop close.
	stopDemo()
	demoErr := <-demoEnded
	closing, cancel := stopping()
	defer cancel()
	err = errors.Join(err, demoErr, public.Shutdown(closing), admin.Shutdown(closing))
	return errors.Join(err, <-failed, <-failed)
}

// serve returns nil once the server was shut down.
func serve(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// greet says where everything is and what to try next.
func (c devCommand) greet(out io.Writer, addr, admin net.Addr) {
	data := string(c.Data)
	if absolute, err := filepath.Abs(data); err == nil {
		data = absolute
	}
	self := "loyalty"
	// "go run" builds into such a folder.
	if executable, err := os.Executable(); err == nil && strings.Contains(executable, "go-build") {
		self = "go run ./cmd/loyalty"
	}
	fmt.Fprintf(out, `loyalty is listening on http://%s
  health and metrics  http://%s/readyz, /metrics
  data folder         %s (delete it to start over)

Try, in another terminal:
  TOKEN=$(%s token --data %s --role customer --sub alice)
  curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' http://%[1]s/order/my-first \
    -d '{"ItemIds": ["mug"], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card"}}'
  curl -H "Authorization: Bearer $TOKEN" http://%[1]s/loyalty/alice

`, addr, admin, data, self, c.Data)
}
