package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"
)

// addresses are where a process answers.
type addresses struct {
	Addr      string `help:"Address of the API; port 0 picks one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	AdminAddr string `help:"Address of /healthz, /readyz, /metrics and the page /status; port 0 picks one." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
}

// shutdownPatience bounds how long a stop waits for what is under way.
const shutdownPatience = 10 * time.Second

// collectRarely has garbage collected when the heap has grown fivefold, unless GOGC says otherwise. It is for processes that
// answer requests: what lives on their heap is small, the leaderboard being outside it, and would be collected tens of times
// a second under load. A command that folds the log has all of it on the heap, and must not.
func collectRarely() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// serve runs a stack and answers requests until ctx ends or serving fails. started is told where, and returns what is to be
// stopped before the server is.
func (a addresses) serve(ctx context.Context, std streams, c configuration, started func(s *stack, addr, admin net.Addr) (stop func() error)) (err error) {
	collectRarely()
	listener, err := net.Listen("tcp", a.Addr)
	if err != nil {
		return fmt.Errorf("the API needs a free address, choose one with --addr (%w)", err)
	}
	defer listener.Close()
	adminListener, err := net.Listen("tcp", a.AdminAddr)
	if err != nil {
		return fmt.Errorf("the admin API needs a free address, choose one with --admin-addr (%w)", err)
	}
	defer adminListener.Close()
	s, err := openStack(ctx, c)
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
	public.RegisterOnShutdown(s.api.Stop)
	go func() { failed <- serve(public, listener) }()
	go func() { failed <- serve(admin, adminListener) }()
	stop := started(s, listener.Addr(), adminListener.Addr())

	select {
	case <-ctx.Done():
		fmt.Fprintln(std.out, "\nStopping: finishing what is under way.")
	case err = <-failed:
		failed <- nil
	}
	// The simulated shoppers first, so that they don't see the shop close.
	err = errors.Join(err, stop())
	closing, cancel := stopping()
	defer cancel()
	err = errors.Join(err, public.Shutdown(closing), admin.Shutdown(closing))
	return errors.Join(err, <-failed, <-failed)
}

// serve returns nil once the server was shut down.
func serve(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newHTTPServer bounds how long a client may take, so that slow ones do not pile up.
func newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

func newLogger(out io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
}

// newRequestIDs names requests: a random part for the process, and a number. Random ones for each would cost more than
// reading a dashboard.
func newRequestIDs() func() string {
	random := make([]byte, 8)
	rand.Read(random) // never fails
	prefix := hex.EncodeToString(random) + "-"
	var last atomic.Uint64
	return func() string { return prefix + strconv.FormatUint(last.Add(1), 36) }
}
