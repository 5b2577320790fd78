// Package postgrestest runs a throwaway PostgreSQL for tests: in a temporary folder, on a private Unix socket in it, as an unprivileged user.
// It ends with the test.
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

// Variable is the name of the environment variable with the postgres:// address of a server to use instead of starting one; its user must be
// allowed to create databases. Tests that stop their server start one of their own all the same.
const Variable = "LOYALTY_TEST_POSTGRES"

// timeout bounds each wait for a server: to start, to stop, to create a database.
const timeout = time.Minute

// Server is a PostgreSQL server for one test. Its methods fail the test on errors.
type Server struct {
	t       testing.TB
	process *process // nil for a server that was not started here
	shared  bool
	address *url.URL // of the database that every server has
}

// Start runs a server for this test alone, with settings such as "fsync=on" beside the defaults, and stops it when the test ends. By default
// nothing is synced to the disk. If there is no PostgreSQL 15 or later on the machine, the test fails.
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

// shared is the server of this process's tests, started when it is first needed.
var shared struct {
	sync.Mutex
	process *process
}

// Shared is one server for all tests of a package, which must leave it running: that of Variable, or one that the first call starts. TestMain
// must run the tests with Main, which stops the server.
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

// Main runs the tests, stops the shared server if there is one, and returns the exit status.
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

// databases counts the databases of this process, for their names.
var databases atomic.Int64

// URL creates an empty database, which is dropped when the test ends, and returns its address. settings such as "timezone = 'Asia/Tokyo'" hold for
// all who connect to it.
func (s *Server) URL(settings ...string) string {
	s.t.Helper()
	name := fmt.Sprintf("loyalty_test_%d_%d", os.Getpid(), databases.Add(1))
	if err := s.exec("CREATE DATABASE " + name + " STRATEGY FILE_COPY"); err != nil {
		s.t.Fatalf("a database for the test: %v", err)
	}
	for _, setting := range settings {
		if err := s.exec("ALTER DATABASE " + name + " SET " + setting); err != nil {
			s.t.Fatalf("a setting of a database for the test: %v", err)
		}
	}
	s.t.Cleanup(func() {
		if s.process != nil && !s.process.running() {
			return // it is removed with its server
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
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.address.String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// Stop stops the server immediately, like a crash: connections break at once. The server must be running, and be this test's own.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.own().stop(syscall.SIGQUIT); err != nil {
		s.t.Fatalf("stop the test's PostgreSQL: %v", err)
	}
}

// Kill is Stop by SIGKILL of the server's main process alone, as the kernel does when memory runs out.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.own().stop(syscall.SIGKILL); err != nil {
		s.t.Fatalf("kill the test's PostgreSQL: %v", err)
	}
}

// Start starts the server again after Stop or Kill, at the same address and with its data.
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
