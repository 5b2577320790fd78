package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"loyalty/api/admin"
	"loyalty/internal/outage"
)

// shutdownTimeout bounds the time that a stop waits for requests under way, and again for stores to close.
const shutdownTimeout = 10 * time.Second

// Addresses are where a process answers.
type Addresses struct {
	API, Admin net.Addr
	// EventStore is where other programs reach the event store in this process, empty if they can't.
	EventStore string
}

// Openable is an address to open on this machine for a listener at addr: one that listens everywhere names no host.
func Openable(addr net.Addr) string {
	if at, is := addr.(*net.TCPAddr); is && at.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(at.Port))
	}
	return addr.String()
}

// Run opens a process and answers requests until ctx ends, a server fails, or a store turns out to have other names. Then it stops in order:
// what Started returned; where ctx has ended, nothing for the time of Config.Drain, in which the process says that it is not ready and
// answers; the API, once requests under way are answered; what operators ask; the projections, and the stores. It returns nil after a stop
// without failures, and a ConfigError if c can't work.
func Run(ctx context.Context, c Config) (err error) {
	UseServingGCTarget()
	var stopLimiting func()
	c.EventStore.Logger, stopLimiting = limited(c.EventStore.Logger)
	defer stopLimiting()
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
	// Operators are answered from the first moment: opening may take long where a store is in this process.
	failed := make(chan error, 2)
	var opened atomic.Pointer[http.Handler]
	operators := NewHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler := opened.Load(); handler != nil {
			(*handler).ServeHTTP(w, r)
			return
		}
		admin.Starting(w, r)
	}))
	go func() { failed <- Serve(operators, adminListener) }()
	p, err := Open(ctx, c)
	if err != nil {
		return errors.Join(err, operators.Close(), <-failed)
	}
	opened.Store(new(p.api.Admin()))
	stopping := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	}
	defer func() {
		closing, cancel := stopping()
		defer cancel()
		err = errors.Join(err, p.close(closing))
	}()

	public := NewHTTPServer(p.leaving(p.api))
	public.RegisterOnShutdown(p.api.Stop)
	go func() { failed <- Serve(public, listener) }()
	beforeStop := func() error { return nil }
	if c.Started != nil {
		beforeStop = c.Started(p.addresses(listener.Addr(), adminListener.Addr()))
	}

	select {
	case <-ctx.Done():
		p.stopping.Store(true)
		err = beforeStop()
		drain(c.Drain)
	case err = <-failed:
		failed <- nil
		err = errors.Join(err, beforeStop())
	case err = <-p.unfit:
		err = errors.Join(err, beforeStop())
	}
	closing, cancel := stopping()
	defer cancel()
	err = errors.Join(err, public.Shutdown(closing))
	err = errors.Join(err, operators.Shutdown(closing)) // last, so that operators can ask to the end
	return errors.Join(err, <-failed, <-failed)
}

// drain waits for so long, or until the process is told to stop once more.
func drain(long time.Duration) {
	again, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	passed := time.NewTimer(long)
	defer passed.Stop()
	select {
	case <-passed.C:
	case <-again.Done():
	}
}

// leaving has each answer of a process that stops end its connection: the next request comes on one to another process. It does not close
// idle connections, on which a request may be coming.
func (p *Process) leaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// limited is a logger that writes one line a second of each outage, until stop, which writes the last counts.
func limited(log *slog.Logger) (_ *slog.Logger, stop func()) {
	handler := outage.Limit(log.Handler(), time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	ticker := time.NewTicker(outage.Interval)
	var running sync.WaitGroup
	running.Go(func() { handler.Run(ctx, ticker.C) })
	return slog.New(handler), func() {
		ticker.Stop()
		cancel()
		running.Wait()
	}
}

// Serve serves until the server is shut down, which is no error.
func Serve(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// NewHTTPServer is a server with timeouts, so that slow clients do not pile up.
func NewHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

// NewRequestIDs returns a function that makes request ids: a random part for the process, and a number. A random id for each request
// would cost more than reading a dashboard.
func NewRequestIDs() func() string {
	random := make([]byte, 8)
	rand.Read(random) // never fails
	prefix := hex.EncodeToString(random) + "-"
	var last atomic.Uint64
	return func() string { return prefix + strconv.FormatUint(last.Add(1), 36) }
}
