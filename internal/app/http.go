package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// shutdownTimeout bounds how long a stop waits for what is under way.
const shutdownTimeout = 10 * time.Second

// Addresses are where a process answers.
type Addresses struct {
	API, Admin net.Addr
	// EventStore is where other programs reach the event store in this process, empty where they don't.
	EventStore string
}

// Run runs a process and answers requests until ctx ends or serving fails, and then stops it in order: what is under way is
// finished first.
func Run(ctx context.Context, c Config) (err error) {
	UseServingGCTarget()
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
	p, err := Open(ctx, c)
	if err != nil {
		return err
	}
	stopping := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	}
	defer func() {
		closing, cancel := stopping()
		defer cancel()
		err = errors.Join(err, p.close(closing))
	}()

	failed := make(chan error, 2)
	public, admin := NewHTTPServer(p.api), NewHTTPServer(p.api.Admin())
	public.RegisterOnShutdown(p.api.Stop)
	go func() { failed <- Serve(public, listener) }()
	go func() { failed <- Serve(admin, adminListener) }()
	beforeStop := func() error { return nil }
	if c.Started != nil {
		beforeStop = c.Started(p.addresses(listener.Addr(), adminListener.Addr()))
	}

	select {
	case <-ctx.Done():
	case err = <-failed:
		failed <- nil
	}
	err = errors.Join(err, beforeStop())
	closing, cancel := stopping()
	defer cancel()
	err = errors.Join(err, public.Shutdown(closing), admin.Shutdown(closing))
	return errors.Join(err, <-failed, <-failed)
}

// Serve returns nil once the server was shut down.
func Serve(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// NewHTTPServer bounds how long a client may take, so that slow ones do not pile up.
func NewHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

// NewRequestIDs names requests: a random part for the process, and a number. Random ones for each would cost more than
// reading a dashboard.
func NewRequestIDs() func() string {
	random := make([]byte, 8)
	rand.Read(random) // never fails
	prefix := hex.EncodeToString(random) + "-"
	var last atomic.Uint64
	return func() string { return prefix + strconv.FormatUint(last.Add(1), 36) }
}
