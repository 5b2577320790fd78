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

// Imitation does to a server what befalls those of the protocol in production, for tests of clients. It is given
// to Open in Options. A new one changes nothing. Its methods may be called at any time, before Open and after it, and are safe for concurrent
// use. Those that the server calls may be called on nil.
//
// A server with an Addr and an Imitation listens on a second TCP address, at which it answers as a follower of a cluster whose leader is
// at Addr.
type Imitation struct {
	mu       sync.Mutex
	removed  map[uint64]bool // positions whose events are gone; true if no event begins there any more
	timesOut bool
	lags     bool
	shown    uint64 // the last position that a lagging server shows
	store    *store // nil until Open
	leader   string // the address of the leader, empty if there is only the Unix socket
	follower string // the address of the follower, likewise
}

// Scavenge removes events as a scavenge does: no read and no subscription shows them any more, and no position moves. The stream's revisions
// stay as they are, too.
func (i *Imitation) Scavenge(positions ...uint64) { i.remove(false, positions) }

// Displace removes events as if they had never been, and other events had begun elsewhere: no read and no subscription shows them, and none
// can begin at their positions. So it is in a log that was restored from an older copy, and has grown since.
func (i *Imitation) Displace(positions ...uint64) { i.remove(true, positions) }

func (i *Imitation) remove(refused bool, positions []uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.removed == nil {
		i.removed = make(map[uint64]bool)
	}
	for _, position := range positions {
		i.removed[position] = refused
	}
}

// TimeOutRepeats makes the server answer the repeat of an append that is still under way as a cluster often does: ABORTED, "Operation timed
// out: Commit phase timeout.", which means that the outcome is unknown.
func (i *Imitation) TimeOutRepeats() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.timesOut = true
}

func (i *Imitation) timesOutRepeats() bool {
	if i == nil {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.timesOut
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

// firstLeft is the position of the first event at or after a position, up to the end. It is the position itself if there is none.
func (i *Imitation) firstLeft(from, end uint64) uint64 {
	if i == nil {
		return from
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for at := from; at <= end; at++ {
		if _, gone := i.removed[at]; !gone {
			return at
		}
	}
	return from
}

// hides reports whether the event at a position is gone.
func (i *Imitation) hides(position uint64) bool {
	if i == nil {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	_, gone := i.removed[position]
	return gone
}

// refuses reports whether nobody can read from a position.
func (i *Imitation) refuses(position uint64) bool {
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
