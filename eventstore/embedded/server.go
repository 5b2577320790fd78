package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"google.golang.org/grpc"
)

// Options are the folder, the addresses and the environment of an event store.
type Options struct {
	// Dir is the store's folder. It is created with mode 0700 when it doesn't exist.
	Dir string
	// Addr is a TCP address (host:port; port 0 picks a free port) to listen on beside the Unix socket in Dir. If it is empty, there is only
	// the socket. An address that other machines can reach needs both TLS and Users.
	Addr string
	// TLS is the TLS configuration of Addr, with the server's certificate. nil means plain text.
	TLS *tls.Config
	// Users are the clients on Addr, by name (HTTP Basic, RFC 7617; no colon in a name, and no $ in front). They need TLS. Without users,
	// every client that can connect may do everything, as clients on the Unix socket always may.
	Users map[string]User
	// Logger is the store's logger; nil discards its messages. No event's data is logged.
	Logger *slog.Logger
	// Now is the clock for the times and ages of events; nil means time.Now.
	Now func() time.Time
	// Version is the version of EventStoreDB or KurrentDB, one of Versions, as which the server behaves; empty means the newest.
	Version string
	// Imitation is for tests of clients: it does to the server what befalls one in production. nil, as in every product, changes nothing.
	Imitation *Imitation

	register func(grpc.ServiceRegistrar) // adds services, in tests
}

// User is a client with a password. A user who is no administrator may read and write all streams but system streams and $all, unless access
// control lists say otherwise: as on EventStoreDB.
type User struct {
	Password string
	// Administrator makes the user a member of $admins, who may do everything.
	Administrator bool
}

// Server is an open event store that is being served. Its methods are safe for concurrent use.
type Server struct {
	dir     string
	socket  string
	tcp     string
	log     *slog.Logger
	lock    *os.File
	store   *store
	writer  *writer
	service *service
	grpc    *grpc.Server

	serving sync.WaitGroup // the listeners
	writing sync.WaitGroup // the writer
	closing sync.Once
	closed  chan struct{} // closed when Close is done
	err     error         // Close's, to be read once closed is closed
}

// Open opens or creates the event store in o.Dir, locks the folder, and starts to serve. The error is ErrInUse if another process holds the
// folder, ErrDamaged if the store is damaged. ctx bounds Open only.
func Open(ctx context.Context, o Options) (*Server, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("event store: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dir == "" {
		return nil, errors.New("Options.Dir is empty")
	}
	profile, err := profileOf(o.Version)
	if err != nil {
		return nil, err
	}
	if err := checkAccess(ctx, o); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	s := &Server{dir: o.Dir, log: o.Logger, closed: make(chan struct{})}
	if s.lock, err = lockFolder(ctx, o.Dir); err != nil {
		return nil, err
	}
	if s.store, err = openStore(vfs.Default, filepath.Join(o.Dir, dataFolder), o.Logger); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	listeners, err := s.listen(ctx, o.Addr, o.Imitation)
	if err != nil {
		return nil, errors.Join(err, s.store.close(func() {}), s.lock.Close())
	}
	s.writer = newWriter(s.store, o.Now, o.Logger)
	s.writer.imitation = o.Imitation
	s.service = &service{
		store: s.store, writer: s.writer, now: o.Now, log: o.Logger, closing: make(chan struct{}), id: uuid.NewString(),
		addr: o.Addr, authenticator: newAuthenticator(o.Users), profile: profile, imitation: o.Imitation,
	}
	if s.tcp != "" {
		s.service.tcp = listeners[1].Addr()
	}
	s.grpc = newGRPCServer(s.service, newTransport(o.TLS))
	s.offerBackup()
	if o.register != nil {
		o.register(s.grpc)
	}
	s.writing.Go(s.writer.write)
	s.writing.Go(s.writer.answerSynced)
	for _, l := range listeners {
		s.serving.Go(func() {
			if err := s.grpc.Serve(l); err != nil {
				s.log.Error("listener failed", "address", l.Addr().String(), "error", err)
			}
		})
	}
	o.Logger.Info("event store open", "dir", o.Dir, "address", s.tcp, "end", s.store.end())
	return s, nil
}

// listen opens the Unix socket, after removing one that a killed process may have left, then the TCP address, if any, and then that of an
// imitated follower.
func (s *Server) listen(ctx context.Context, addr string, imitation *Imitation) ([]net.Listener, error) {
	path, err := socketPath(s.dir)
	if err != nil {
		return nil, err
	}
	s.socket = filepath.Join(s.dir, socketFile)
	if err := os.Remove(s.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	// Until here, the folder's mode has kept other users out.
	if err := os.Chmod(s.socket, 0o600); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	if addr == "" {
		imitation.serve(s.store, "", "")
		return []net.Listener{socket}, nil
	}
	tcp, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	s.tcp = tcp.Addr().String()
	if imitation == nil {
		return []net.Listener{socket, tcp}, nil
	}
	follower, err := config.Listen(ctx, "tcp", otherPort(s.tcp))
	if err != nil {
		return nil, errors.Join(err, socket.Close(), tcp.Close())
	}
	imitation.serve(s.store, s.tcp, follower.Addr().String())
	return []net.Listener{socket, tcp, follower}, nil
}

// Addr is the TCP address that the server listens on, empty if it has only its Unix socket.
func (s *Server) Addr() string { return s.tcp }

// Close shuts down: it accepts no new calls, ends subscriptions and long reads, lets appends finish, and closes the store, the socket and the
// lock. If ctx ends first, calls still under way are interrupted (an append among them may be written or not), the rest of Close goes on, and
// the error says so. A second Close waits for the first and returns the same error.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() {
		defer close(s.closed)
		s.err = s.close(ctx)
	})
	<-s.closed
	return s.err
}

func (s *Server) close(ctx context.Context) error {
	close(s.service.closing)
	graceful := make(chan struct{})
	go func() {
		defer close(graceful)
		s.grpc.GracefulStop()
	}()
	var interrupted error
	select {
	case <-graceful:
	case <-ctx.Done():
		interrupted = fmt.Errorf("event store: calls were interrupted at shutdown: %w", ctx.Err())
		s.grpc.Stop()
		<-graceful
	}
	s.serving.Wait()
	s.service.receiving.Wait()
	close(s.writer.queue)
	err := s.store.close(s.writing.Wait)
	if removeErr := os.Remove(s.socket); removeErr != nil && !errors.Is(removeErr, os.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	err = errors.Join(interrupted, err, s.lock.Close())
	s.log.Info("event store closed", "dir", s.dir, "error", err)
	return err
}
