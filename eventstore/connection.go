package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"loyalty/domain"
)

// Options configure a Store. The zero value of each field means its default.
type Options struct {
	// Logger logs lost connections (default: nothing is logged).
	Logger *slog.Logger
	// Again reads the connection string anew for each new connection, also after a login was refused: a password may have been changed (default: it
	// stays as it is).
	Again func() (string, error)
	// Backoff is the pause after the n-th failure in a row, from 1 (default: doubling from 20 ms to 5 s, with jitter).
	Backoff func(attempt int) time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Backoff == nil {
		o.Backoff = backoff
	}
	return o
}

// backoff is between half and the whole of 20 ms · 2^(attempt−1), at most 5 s, so that clients do not all retry at the same time.
func backoff(attempt int) time.Duration {
	full := min(20*time.Millisecond<<min(attempt-1, 10), 5*time.Second)
	return full/2 + rand.N(full/2+1)
}

// attempts is how often a call is tried, unless its ctx ends before. Repeating is safe: reads change nothing, and appends have fixed ids and an
// expected revision. A call whose outcome is unknown is tried for as long as its ctx has time.
const attempts = 5

// connection provides a working client of the official library. A client that reconnects by itself has three faults in v4.2.0: a
// failed discovery closes it for good and blocks concurrent callers for ever, whatever their context; an error reported to
// a closed client panics; and each reconnection leaks the connection before it. So no client here reconnects. At its first failure it
// is retired: calls in progress finish, the last of them closes it, and the next call makes a new client.
type connection struct {
	given   string // the connection string when the store was made
	anyNode bool   // calls are for the node that the connection string prefers
	options Options
	leader  bool // calls are for the leader only
	notes   bool // logs a version of the server that nobody has tried
	// open ends at close. making counts the goroutines that make a client.
	open   context.Context
	stop   context.CancelFunc
	making sync.WaitGroup

	mu      sync.Mutex
	current *generation
	next    *renewal // nil unless a client is being made
	closed  bool
}

// renewal makes a client. All calls that need one wait for the same renewal, so that discovery runs once.
type renewal struct {
	done chan struct{}
	err  error // once done
}

// newConnection makes a connection to the leader of a cluster, or with anyNode to the node that the connection string prefers, which is the leader
// too if it says nothing.
func newConnection(connectionString string, anyNode bool, o Options) (*connection, error) {
	c := &connection{given: connectionString, anyNode: anyNode, options: o}
	config, err := c.config(connectionString)
	if err != nil {
		return nil, err
	}
	c.leader = config.NodePreference == esdb.NodePreferenceLeader
	c.open, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// text is the connection string as it is now.
func (c *connection) text() string {
	if c.options.Again != nil {
		if text, err := c.options.Again(); err == nil {
			return text
		}
	}
	return c.given // also while its file is being written
}

func (c *connection) config(text string) (*esdb.Configuration, error) {
	config, err := parseConnectionString(text)
	if err == nil && !c.anyNode {
		config.NodePreference = esdb.NodePreferenceLeader
	}
	return config, err
}

// do makes a call with a working client. While the store is unavailable it retries after a pause, as attempts says. Errors are the domain's, and begin with what.
func (c *connection) do(ctx context.Context, what string, call func(context.Context, *esdb.Client) error) error {
	_, bounded := ctx.Deadline()
	for attempt := 1; ; attempt++ {
		err := c.once(ctx, call)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("%s: %w", what, err)
		// A cluster says Aborted to a repeat of an append that is still under way, after 2 to 3 seconds, although the append is stored.
		unknown := status.Code(err) == codes.Aborted
		if !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, errClosed) || attempt >= attempts && !(unknown && bounded) {
			return err
		}
		if pause(ctx, c.options.Backoff(attempt)) != nil {
			return err
		}
	}
}

// once makes calls one after the other on one connection, until one fails.
func (c *connection) once(ctx context.Context, calls ...func(context.Context, *esdb.Client) error) error {
	g, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer g.leave()
	if c.leader {
		// v4.2.0 of the official client puts this header where it is never sent. Without it a node that is not the leader answers reads with
		// what it has got so far.
		ctx = metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
	}
	for _, call := range calls {
		if err := translate(ctx, g.try(ctx, call)); err != nil {
			if status.Code(err) == codes.Unauthenticated && c.text() != g.text {
				g.retire()
			}
			return err
		}
	}
	return nil
}

var (
	errClosed = errors.New("the event store client is closed")
	errTooOld = errors.New("the event store is too old")
)

// enter returns a generation, to be used until its leave is called. It waits for one for as long as ctx lasts.
func (c *connection) enter(ctx context.Context) (*generation, error) {
	for {
		g, r, err := c.serving()
		if err != nil {
			return nil, err
		}
		if g != nil {
			return g, nil
		}
		select {
		case <-r.done:
			if r.err != nil {
				return nil, r.err
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: waiting for a connection: %w", domain.ErrUnavailable, ctx.Err())
		}
	}
}

// serving is the current generation, entered. If there is none it is the renewal in progress, which it starts if needed.
func (c *connection) serving() (*generation, *renewal, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, fmt.Errorf("%w: %w", domain.ErrUnavailable, errClosed)
	}
	if c.current != nil && c.current.enter() {
		return c.current, nil, nil
	}
	if c.next == nil {
		r := &renewal{done: make(chan struct{})}
		c.next = r
		c.making.Go(func() { c.renew(r) })
	}
	return nil, c.next, nil
}

// renew makes a client. It goes on even if nobody waits for it any more, so that there is one when the store is back.
func (c *connection) renew(r *renewal) {
	g, err := c.discover()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		r.err = err
	case c.closed:
		g.retire()
		r.err = fmt.Errorf("%w: %w", domain.ErrUnavailable, errClosed)
	default:
		if c.notes && (c.current == nil || *c.current.version != *g.version) {
			c.noteVersion(*g.version)
		}
		c.current = g
	}
	c.next = nil
	close(r.done)
}

// discover makes as many attempts as are configured. The official client can't be stopped between its attempts, so it is told to make
// one at a time, which takes at most two gossip timeouts for each address.
func (c *connection) discover() (*generation, error) {
	for attempt := 1; ; attempt++ {
		text := c.text()
		config, err := c.config(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", domain.ErrUnavailable, err) // it was right once, and may be again
		}
		most, interval := config.MaxDiscoverAttempts, time.Duration(config.DiscoveryInterval)*time.Millisecond
		config.MaxDiscoverAttempts, config.DiscoveryInterval = 1, 0
		g, err := dial(config)
		if err == nil {
			g.text = text
			return g, nil
		}
		if attempt >= most || !errors.Is(err, domain.ErrUnavailable) || errors.Is(err, errTooOld) || pause(c.open, interval) != nil {
			c.options.Logger.Warn("no connection to the event store", "attempts", attempt, "error", err)
			return nil, err
		}
	}
}

func dial(config *esdb.Configuration) (_ *generation, err error) {
	g := &generation{}
	config.Logger = g.hear
	if g.client, err = esdb.NewClient(config); err != nil {
		return nil, fmt.Errorf("event store client: %w", err)
	}
	version, err := g.client.GetServerVersion()
	if g.version = version; err == nil && *version != (esdb.ServerVersion{}) && number(version) < oldest {
		err = fmt.Errorf("%w: it is of version %d.%d.%d, and 23.10 or later is needed", errTooOld, version.Major, version.Minor, version.Patch)
	}
	if err != nil {
		g.retire()
		return nil, fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	return g, nil
}

// oldest is the first version that says when a subscription has caught up, newest the last that was tried; each as a number.
const oldest, newest = 23_10, 25_00

func number(v *esdb.ServerVersion) int { return 100*v.Major + v.Minor }

// noteVersion logs a version that nobody has tried. One that is no three numbers is refused by the client.
func (c *connection) noteVersion(v esdb.ServerVersion) {
	switch {
	case v == esdb.ServerVersion{}:
		c.options.Logger.Warn("the event store does not tell its version; 23.10 or later is needed")
	case number(&v) > newest:
		c.options.Logger.Warn("the event store is newer than those that this program was tried with", "version", fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch))
	}
}

// closing rejects new calls, and stops a renewal after the attempt in progress.
func (c *connection) closing() {
	if c == nil {
		return
	}
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.current != nil {
		c.current.retire()
	}
}

// wait waits for a renewal to end.
func (c *connection) wait() {
	if c != nil {
		c.making.Wait()
	}
}

// generation is one client of the official library, with the number of its users.
type generation struct {
	client  *esdb.Client
	text    string // the connection string
	version *esdb.ServerVersion
	// answers is how many calls the server has answered.
	answers atomic.Uint64
	// A call holds entry shared until it has a connection from the client. hear holds it exclusively before the client drops its
	// connection: no call may be asking for one then.
	entry sync.RWMutex

	mu      sync.Mutex
	users   int
	retired bool
}

func (g *generation) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.retired {
		return false
	}
	g.users++
	return true
}

func (g *generation) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
	g.closeIfUnused()
}

// retire lets no new users in. The client is closed when the last user leaves.
func (g *generation) retire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.retired {
		g.retired = true
		g.closeIfUnused()
	}
}

func (g *generation) closeIfUnused() {
	if g.retired && g.users == 0 {
		_ = g.client.Close() // always nil
	}
}

func (g *generation) isRetired() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.retired
}

// silence is how long a server must have answered nobody before a caller's own deadline counts as a sign that it hangs.
const silence = time.Second

// try makes a call. If its error shows that the connection is unusable, g is retired. That a caller ran out of time is no such sign for a connection
// that others use meanwhile.
func (g *generation) try(ctx context.Context, call func(context.Context, *esdb.Client) error) error {
	before, began := g.answers.Load(), time.Now()
	err := g.run(ctx, call)
	deadline, bounded := ctx.Deadline()
	// A server is told of the deadline, and may give up a moment sooner than its caller.
	outOfTime := ctx.Err() != nil || bounded && time.Until(deadline) < 100*time.Millisecond
	switch {
	case err == nil || answered(err):
		g.answers.Add(1)
	case errors.Is(err, context.Canceled): // by the caller, or by the client, which has gone over to another node
	case !outOfTime || time.Since(began) >= silence && g.answers.Load() == before:
		g.retire()
	}
	return err
}

// run makes a call, which holds the entry while it asks the client for a connection. The client uses the context of the call
// right after it has the connection, and that use releases the entry.
func (g *generation) run(ctx context.Context, call func(context.Context, *esdb.Client) error) error {
	g.entry.RLock()
	if g.isRetired() {
		g.entry.RUnlock()
		return errRetired
	}
	entered := &enteringContext{Context: ctx, leave: sync.OnceFunc(g.entry.RUnlock)}
	defer entered.leave()
	return call(entered, g.client)
}

// errRetired is the error of a call whose client was retired before the call began.
var errRetired = fmt.Errorf("%w: the connection is being renewed", domain.ErrUnavailable)

// enteringContext calls leave when one of its methods is called.
type enteringContext struct {
	context.Context
	leave func()
}

func (c *enteringContext) Deadline() (time.Time, bool) { c.leave(); return c.Context.Deadline() }
func (c *enteringContext) Done() <-chan struct{}       { c.leave(); return c.Context.Done() }
func (c *enteringContext) Err() error                  { c.leave(); return c.Context.Err() }
func (c *enteringContext) Value(key any) any           { c.leave(); return c.Context.Value(key) }

// hear is the client's logger. The client logs an error just before it drops its connection because of that error. hear then retires
// the generation, and waits until calls that are entering have their connection.
func (g *generation) hear(_ esdb.LogLevel, format string, args ...any) {
	if !strings.HasPrefix(format, "unexpected exception") {
		return
	}
	for _, arg := range args {
		if err, ok := arg.(error); ok && status.Code(err) == codes.Unavailable {
			g.retire()
			g.entry.Lock()
			defer g.entry.Unlock()
			return
		}
	}
}

// pause waits for d. It returns ctx's error if ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
