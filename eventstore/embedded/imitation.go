package embedded

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Imitation makes a server behave in ways in which other servers of the protocol do and this one doesn't, for tests of clients. It is given
// to Open in Options. A new one changes nothing. Its methods may be called at any time, before Open and after it, and are safe for concurrent
// use. Those that the server calls may be called on nil.
//
// A server with an Addr and an Imitation listens on a second TCP address, at which it answers as a follower of a cluster whose leader is
// at Addr.
type Imitation struct {
	mu       sync.Mutex
	removed  map[uint64]bool
	skips    bool
	lags     bool
	shown    uint64 // the last position that a lagging server shows
	store    *store // nil until Open
	leader   string // the address of the leader, empty if there is only the Unix socket
	follower string // the address of the follower, likewise
}

// Scavenge removes events as a scavenge does: no read and no subscription shows them any more, and no position moves. The stream's revisions
// stay as they are, too.
func (i *Imitation) Scavenge(positions ...uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.removed == nil {
		i.removed = make(map[uint64]bool)
	}
	for _, position := range positions {
		i.removed[position] = true
	}
}

// ResumeAs2310 makes subscriptions to $all begin as on EventStoreDB 23.10: the server reads one event at or after the position that the
// client gives, takes it for the one that the client has seen, and goes on behind it. If the event at that position was scavenged, the next
// one is never delivered.
func (i *Imitation) ResumeAs2310() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.skips = true
}

// Lag makes the server show the log up to a position only, as a follower does that is behind its leader: in reads and subscriptions, which
// are caught up there. Appends work. Calls that require the leader (requires-leader: true in the metadata), and all calls at Addr, see
// the whole log. A later call moves the position, forwards or backwards; running subscriptions go on from where they are.
func (i *Imitation) Lag(position uint64) { i.lag(true, position) }

// CatchUp ends what Lag began.
func (i *Imitation) CatchUp() { i.lag(false, 0) }

func (i *Imitation) lag(lags bool, shown uint64) {
	i.mu.Lock()
	i.lags, i.shown = lags, shown
	store := i.store
	i.mu.Unlock()
	if store != nil {
		store.wake()
	}
}

// Follower is the address at which the server answers as a follower (host:port), empty if it has only its Unix socket. It refuses calls that
// require the leader, and names Addr. On the Unix socket, they are answered: a client could not be sent elsewhere.
func (i *Imitation) Follower() string {
	if i == nil {
		return ""
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.follower
}

// serve tells it which server it changes. leader and follower are its TCP addresses, if it has any.
func (i *Imitation) serve(s *store, leader, follower string) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.store, i.leader, i.follower = s, leader, follower
}

// end is the last position that a call sees in a log that ends at the given one.
func (i *Imitation) end(ctx context.Context, end uint64) uint64 {
	if i == nil {
		return end
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.lags || requiresLeader(ctx) || i.leader != "" && localAddress(ctx) == i.leader {
		return end
	}
	return min(end, i.shown)
}

// resumed is the position after which a subscription begins that gives a position.
func (i *Imitation) resumed(from, end uint64) uint64 {
	if i == nil {
		return from
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.skips || from == 0 {
		return from
	}
	for at := from; at <= end; at++ {
		if !i.removed[at] {
			return at
		}
	}
	return from
}

// hides reports whether the event at a position was scavenged.
func (i *Imitation) hides(position uint64) bool {
	if i == nil {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.removed[position]
}

// refuse is errNotLeader for a call that a follower doesn't answer.
func (i *Imitation) refuse(ctx context.Context, method string) error {
	if i == nil || !strings.HasPrefix(method, "/event_store.client.streams.") || !requiresLeader(ctx) {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.follower == "" || localAddress(ctx) != i.follower {
		return nil
	}
	return errNotLeader(i.leader)
}

func requiresLeader(ctx context.Context) bool {
	values := metadata.ValueFromIncomingContext(ctx, "requires-leader")
	if len(values) == 0 {
		return false
	}
	required, err := strconv.ParseBool(values[0])
	return err == nil && required
}

// otherPort is a free port of the same host.
func otherPort(address string) string {
	host, _, _ := net.SplitHostPort(address) // the address of a listener
	return net.JoinHostPort(host, "0")
}

// localAddress is the address of this server that a call came to.
func localAddress(ctx context.Context) string {
	if from, ok := peer.FromContext(ctx); ok && from.LocalAddr != nil {
		return from.LocalAddr.String()
	}
	return ""
}

// errNotLeader is the error of a call that only the leader, which it names, may answer.
type errNotLeader string

func (errNotLeader) Error() string { return "Leader info available" }

// trailers are what EventStoreDB sends with it.
func (e errNotLeader) trailers() []string {
	host, port, err := net.SplitHostPort(string(e))
	if err != nil {
		return []string{"exception", "not-leader"}
	}
	return []string{"exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", port}
}
