// Package redis keeps the leaderboard in Redis, for any number of processes: Redis 7 or later or Valkey, as one server, as a cluster, or
// under Sentinel. A board is a sorted set of proxy keys, whose scores hold the clamped points and the minute exactly, a set of the retired
// keys, a hash with the true totals of the few customers beyond the clamp, and a hash with the checkpoint. Every operation is one script or one transaction: it is atomic, and data and checkpoint are replicated, lost
// and restored together. All keys of a board are in one hash slot.
//
// If Redis has lost data, all of it or a part, readers and writers get domain.ErrNotCaughtUp until the next Load.
package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"loyalty/domain"
	"loyalty/internal/redisurl"
	"loyalty/readmodels/leaderboard"
)

var (
	_ leaderboard.Reader          = (*Board)(nil)
	_ leaderboard.Writer          = (*Board)(nil)
	_ leaderboard.StandingsReader = (*Board)(nil)
	_ leaderboard.Rebuilder       = (*Board)(nil)
)

// Board is a client of one leaderboard. It is safe for concurrent use.
//
// A failure of Redis, and whatever Redis refuses, is domain.ErrUnavailable: a server that loads its data, that is no master, that is full or busy, or
// that denies our user may be put right, and then everything goes on. If the context of a write ends or its connection is lost, the checkpoint
// tells whether the write took effect.
type Board struct {
	client redis.UniversalClient
	name   string
	// keys are the board's keys in Redis, indexed by keyState and so on.
	keys []string
	// rebuild names the rebuild that a copy belongs to; empty for the live leaderboard.
	rebuild string
	// bounds are those of a season, as text; empty for all time.
	bounds string
	// patience bounds how long a reader waits for an answer of Redis, whatever Redis does.
	patience   time.Duration
	tasks      *tasks
	dashboards dashboardQueue
	waiters    leaderboard.Waiters
	polling    polling
	loads      loads
}

// The keys of a board in Redis.
const (
	keyState     = iota // hash: checkpoint, time, counts
	keyCustomers        // sorted set
	keyLoading          // sorted set: the customers of a load under way
	keyLoad             // hash: which client loads
	keyRetired          // set
	keyRetiring         // set: the retired keys of a load under way
	keyBeyond           // hash: the true totals of customers beyond the clamp
	keyStaged           // hash: those of a load under way
)

// Open makes a client of the board at an address: on a server, on a cluster, or on a master under Sentinel:
//
//	redis://[user:password@]host[:port][/database][?board=name]
//	redis+cluster://[user:password@]host[:port],host[:port],…[?board=name]
//	redis+sentinel://[user:password@]host[:port],…/master-name[/database][?board=name]
//
// rediss, rediss+cluster and rediss+sentinel are the same over TLS. The hosts of a cluster are some of its nodes; the client learns of the
// others from them. The hosts of the third form are sentinels. User and password are the master's; those of the sentinels, if any, are the
// parameters sentinel_username and sentinel_password. The board is DefaultBoard unless it is named. Other parameters are go-redis's, such
// as read_timeout=5s, dial_timeout=2s and pool_size=20.
//
// again, if it is not nil, reads the address anew for each new connection, whose user and password are then those of that address: they may be
// changed while this runs.
//
// Open asks no server: one that is away or refuses the password is domain.ErrUnavailable when it is used. A malformed address is
// domain.ErrInvalid.
func Open(_ context.Context, address string, again func() (string, error)) (*Board, error) {
	a, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if again != nil {
		a.options.CredentialsProviderContext = redisurl.Credentials(again, ownParameters...)
	}
	logging.Disable() // errors have all that go-redis would print
	client := redis.NewUniversalClient(&a.options)
	return newBoard(client, newTasks(), a.board, "loyalty:{"+a.board+"}:", ""), nil
}

func newBoard(client redis.UniversalClient, tasks *tasks, name, prefix, rebuild string) *Board {
	return &Board{
		client: client, tasks: tasks, name: name, rebuild: rebuild, loads: newLoads(),
		keys: boardKeys(prefix), patience: readTimeout,
	}
}

func boardKeys(prefix string) []string {
	return []string{prefix + "state", prefix + "customers", prefix + "loading", prefix + "load", prefix + "retired", prefix + "retiring", prefix + "beyond", prefix + "beyond-loading"}
}

// Close ends the calls under way with domain.ErrUnavailable, and waits for them. It closes the board's copies and seasons too. A second
// Close does nothing.
func (b *Board) Close() error {
	if !b.tasks.stop() {
		return nil
	}
	err := b.client.Close() // this ends the tasks that wait for Redis
	b.tasks.running.Wait()
	return err
}

// Checkpoint reads what the board reflects; see leaderboard.Writer.
func (b *Board) Checkpoint(ctx context.Context) (domain.Checkpoint, error) {
	answer, err := b.read(ctx, "read the checkpoint", standingsScript)
	if err != nil {
		return domain.Checkpoint{}, err
	}
	origin, _ := answer.rest[2].(string)
	at, err := domain.ParseCheckpoint(answer.state.Position, origin)
	if err != nil {
		return at, fmt.Errorf("%w: the state in Redis is malformed: %v", domain.ErrUnavailable, err)
	}
	return at, nil
}

// readTimeout is a board's patience. Requests over HTTP are answered within 3 s.
const readTimeout = 2 * time.Second

var (
	errNotLoaded = fmt.Errorf("the leaderboard in Redis is not loaded, or has lost something: %w", domain.ErrNotCaughtUp)
	errLost      = fmt.Errorf("%w: another load has taken this one's place, or Redis has lost some of it", domain.ErrUnavailable)
	errCopyGone  = fmt.Errorf("%w: the copy is gone, or another rebuild's", domain.ErrUnavailable)
)

// call runs a script on the board's keys and returns its answer after "ok".
func (b *Board) call(ctx context.Context, what string, s script, args ...any) ([]any, error) {
	return b.callOn(ctx, what, s, b.keys, args...)
}

func (b *Board) callOn(ctx context.Context, what string, s script, keys []string, args ...any) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	args = append([]any{b.rebuild, b.bounds}, args...)
	answer, err := b.run(ctx, s, keys, args)
	if err == nil {
		answer, err = scriptResult(answer)
	} else {
		err = classify(ctx, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return answer, nil
}

// run runs a script; one that reads for b.patience at most, with all waiting for a connection.
func (b *Board) run(ctx context.Context, s script, keys []string, args []any) ([]any, error) {
	if s.kind != reads {
		return s.Run(ctx, b.client, keys, args...).Slice()
	}
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	answer, err := s.Run(ctx, b.client, keys, args...).Slice()
	if connectionLost(err) && ctx.Err() == nil {
		answer, err = s.Run(ctx, b.client, keys, args...).Slice()
	}
	return answer, err
}

// scriptResult returns the answer of a script after "ok", and turns other first words into errors.
func scriptResult(answer []any) ([]any, error) {
	switch len(answer) {
	case 0:
		return nil, fmt.Errorf("%w: Redis answers nothing", domain.ErrUnavailable)
	case 1:
		answer = append(answer, nil, nil)
	case 2:
		answer = append(answer, nil)
	}
	switch answer[0] {
	case "ok":
		return answer[1:], nil
	case "unloaded":
		return nil, errNotLoaded
	case "behind":
		return nil, fmt.Errorf("the copy at position %v is behind the live leaderboard at %v: %w", answer[1], answer[2], domain.ErrNotCaughtUp)
	case "outrun":
		return nil, fmt.Errorf("what is loaded, at position %v, is behind the leaderboard that another client has loaded, at %v: %w", answer[1], answer[2], domain.ErrCheckpointMoved)
	case "displaced":
		return nil, errCopyGone
	case "busy":
		return nil, fmt.Errorf("%w: another load is under way", domain.ErrUnavailable)
	case "twice":
		return nil, fmt.Errorf("somebody is there twice, once as retired: %w", domain.ErrInvalid)
	case "lost":
		return nil, errLost
	}
	return nil, fmt.Errorf("%w: Redis answers %q", domain.ErrUnavailable, answer[0])
}

// connectionLost reports that a connection broke, as all open ones do when Redis restarts. A new one may work.
func connectionLost(err error) bool {
	var answered redis.Error
	var network net.Error
	return err != nil && !errors.As(err, &answered) && !(errors.As(err, &network) && network.Timeout())
}

// classify turns an error of the client into the context's error if that has ended, and into domain.ErrUnavailable otherwise.
func classify(ctx context.Context, err error) error {
	ended := ctx.Err()
	if deadline, has := ctx.Deadline(); ended == nil && has && !time.Now().Before(deadline) {
		ended = context.DeadlineExceeded // the connection's deadline may expire just before the context's
	}
	if ended != nil {
		return fmt.Errorf("%w: %v", ended, err)
	}
	return fmt.Errorf("%w: %v", domain.ErrUnavailable, err)
}

// tasks owns the goroutines of a board and its copies.
type tasks struct {
	ctx     context.Context
	cancel  context.CancelFunc
	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup
}

func newTasks() *tasks {
	t := new(tasks)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

var errClosed = fmt.Errorf("the leaderboard's client is closed: %w", domain.ErrUnavailable)

// start runs a task, which must end when its context does. After stop it returns errClosed.
func (t *tasks) start(task func(context.Context)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return errClosed
	}
	t.running.Go(func() { task(t.ctx) })
	return nil
}

// stop ends all tasks and lets no more start. It returns false if it was called before.
func (t *tasks) stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.stopped
	t.stopped = true
	t.cancel()
	return first
}
