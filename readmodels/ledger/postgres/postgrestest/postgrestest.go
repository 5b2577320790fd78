// Package postgrestest runs a throwaway PostgreSQL for tests: in a temporary folder, on a Unix socket in it that nobody
// else can reach, as an unprivileged user, and gone when the test is.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Variable names a server to make the databases on instead of starting one: postgres://…, with a user who may create
// databases. Tests that stop their server start one of their own all the same.
const Variable = "LOYALTY_TEST_POSTGRES"

// patience bounds each wait for a server: to start, to stop, to make a database.
const patience = time.Minute

// Server is a PostgreSQL for one test. Its methods fail that test when they can't do what they say.
type Server struct {
	t       testing.TB
	process *process // nil for a server that was there before
	shared  bool
	address *url.URL // of the database that every server has
}

// Start runs a server that is this test's own, with settings such as "fsync=on" beside its defaults, and stops it when the
// test ends. Nothing is forced to the disk unless the settings say so, which is fine for all but a power cut. If there is no
// PostgreSQL of version 15 or later on the machine, the test fails.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	p, err := start(settings)
	if err != nil {
		t.Fatalf("a PostgreSQL for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := p.remove(); err != nil {
			t.Errorf("the test's PostgreSQL: %v", err)
		}
	})
	return &Server{t: t, process: p, address: p.address()}
}

// shared is the server of this process's tests, started by the first that wants one.
var shared struct {
	sync.Mutex
	process *process
}

// Shared is one server for all tests of a package, which must leave it running: the one that Variable names, or else one
// that the first call starts. TestMain hands its tests to Main, which stops it.
func Shared(t testing.TB) *Server {
	t.Helper()
	if there := os.Getenv(Variable); there != "" {
		address, err := url.Parse(there)
		if err != nil {
			t.Fatalf("%s is no address: %v", Variable, errors.Unwrap(err))
		}
		return &Server{t: t, shared: true, address: address}
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.process == nil {
		p, err := start(nil)
		if err != nil {
			t.Fatalf("a PostgreSQL for the tests: %v", err)
		}
		shared.process = p
	}
	return &Server{t: t, process: shared.process, shared: true, address: shared.process.address()}
}

// Main runs the tests, stops the shared server if there is one, and returns the status to exit with.
func Main(m *testing.M) (status int) {
	status = m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.process != nil {
		if err := shared.process.remove(); err != nil {
			fmt.Fprintf(os.Stderr, "the tests' PostgreSQL: %v\n", err)
			return max(status, 1)
		}
	}
	return status
}

// databases counts those made by this process, to name them.
var databases atomic.Int64

// URL makes an empty database, and drops it when the test ends.
func (s *Server) URL() string {
	s.t.Helper()
	name := fmt.Sprintf("loyalty_test_%d_%d", os.Getpid(), databases.Add(1))
	if err := s.exec("CREATE DATABASE " + name + " STRATEGY FILE_COPY"); err != nil {
		s.t.Fatalf("a database for the test: %v", err)
	}
	s.t.Cleanup(func() {
		if s.process != nil && !s.process.running() {
			return // it goes with its server
		}
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			s.t.Errorf("the test's database: %v", err)
		}
	})
	address := *s.address
	address.Path = "/" + name
	return address.String()
}

func (s *Server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.address.String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// Stop stops the server at once, as a crash of it would: clients are cut off wherever they are. It must be running, and the
// test's own.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.own().stop(syscall.SIGQUIT); err != nil {
		s.t.Fatalf("stop the test's PostgreSQL: %v", err)
	}
}

// Kill is Stop by a SIGKILL to the server's first process alone, as by a system that is out of memory.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.own().stop(syscall.SIGKILL); err != nil {
		s.t.Fatalf("kill the test's PostgreSQL: %v", err)
	}
}

// Start starts the server again after Stop or Kill, at the same address and with all it holds.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.own().run(); err != nil {
		s.t.Fatalf("start the test's PostgreSQL again: %v", err)
	}
}

// Restart is Stop and Start.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}

func (s *Server) own() *process {
	s.t.Helper()
	if s.shared {
		s.t.Fatal("only a test's own PostgreSQL may be stopped: postgrestest.Start gives one")
	}
	return s.process
}
