// Package redis is the leaderboard in Redis, for any number of processes: Redis 7 or later or Valkey, alone, as a cluster,
// or under Sentinel. A board is one sorted set of proxy keys, whose scores hold points and minute exactly, one set of the
// keys that are retired, and one hash with the checkpoint. Every operation is one script or one transaction, so it is seen whole or not at all, and so that data
// and checkpoint are replicated, lost and restored together. All keys of a board are in one hash slot.
//
// What Redis has lost, all of it or a part, is domain.ErrNotCaughtUp to readers and writer alike until the next Load.
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
	"loyalty/readmodels/leaderboard"
)

var (
	_ leaderboard.Reader    = (*Board)(nil)
	_ leaderboard.Writer    = (*Board)(nil)
	_ leaderboard.Auditor   = (*Board)(nil)
	_ leaderboard.Rebuilder = (*Board)(nil)
)

// Board is a client of one leaderboard. All methods may be called from many goroutines at once.
//
// Trouble with Redis is domain.ErrUnavailable. Of a call whose context ended, or whose connection was lost, it isn't known
// whether it was made: the checkpoint tells.
type Board struct {
	client redis.UniversalClient
	name   string
	// keys are those of the state, the customers, the customers of a load under way, whose load that is, the retired keys,
	// and those of the load.
	keys []string
	// rebuild names the rebuild that a copy belongs to; empty for the live leaderboard.
	rebuild  string
	tasks    *tasks
	readings readings
	waiters  waiters
	loads    loads
}

// Open makes a client of the board that an address names, on a server, on a cluster, or on a master that sentinels know:
//
//	redis://[user:password@]host[:port][/database][?board=name]
//	redis+cluster://[user:password@]host[:port],host[:port],…[?board=name]
//	redis+sentinel://[user:password@]host[:port],…/master-name[/database][?board=name]
//
// rediss, rediss+cluster and rediss+sentinel are the same over TLS. The hosts of a cluster are where to begin; it tells
// the others. Those of the third form are sentinels; user and password are the master's, and the sentinels', if they need
// any, are the parameters sentinel_username and sentinel_password. The board is DefaultBoard unless it is named. Other
// parameters are go-redis's, such as read_timeout=5s, dial_timeout=2s and pool_size=20.
//
// It asks the server once, so that a wrong password is known at the start, and is domain.ErrUnavailable. A server that
// can't be reached is no error: it may come later. A malformed address is domain.ErrInvalid.
func Open(ctx context.Context, address string) (*Board, error) {
	a, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	logging.Disable() // what go-redis would print, errors say
	client := redis.NewUniversalClient(&a.options)
	var refused redis.Error
	if err := client.Ping(ctx).Err(); errors.As(err, &refused) {
		return nil, errors.Join(fmt.Errorf("the leaderboard's Redis: %w: %v", domain.ErrUnavailable, err), client.Close())
	}
	return newBoard(client, newTasks(), a.board, "loyalty:{"+a.board+"}:", ""), nil
}

func newBoard(client redis.UniversalClient, tasks *tasks, name, prefix, rebuild string) *Board {
	return &Board{
		client: client, tasks: tasks, name: name, rebuild: rebuild, loads: newLoads(),
		keys: boardKeys(prefix),
	}
}

func boardKeys(prefix string) []string {
	return []string{prefix + "state", prefix + "customers", prefix + "loading", prefix + "load", prefix + "retired", prefix + "retiring"}
}

// Close ends what is under way with domain.ErrUnavailable, and waits for it. It closes the board's copies too. A board
// that is closed it leaves alone.
func (b *Board) Close() error {
	if !b.tasks.stop() {
		return nil
	}
	err := b.client.Close() // which ends those tasks that wait for Redis
	b.tasks.running.Wait()
	return err
}

// Checkpoint is leaderboard.Writer's.
func (b *Board) Checkpoint(ctx context.Context) (domain.Position, error) {
	answer, err := b.read(ctx, "read the checkpoint", standingsScript)
	if err != nil {
		return domain.Position{}, err
	}
	return answer.state.Position, nil
}

var (
	errNotLoaded = fmt.Errorf("the leaderboard in Redis is not loaded, or has lost something: %w", domain.ErrNotCaughtUp)
	errDisplaced = fmt.Errorf("%w: the copy is gone, or another rebuild's", domain.ErrUnavailable)
)

// call runs a script on the board's keys and returns what it answers after "ok".
func (b *Board) call(ctx context.Context, what string, s script, args ...any) ([]any, error) {
	return b.callOn(ctx, what, s, b.keys, args...)
}

func (b *Board) callOn(ctx context.Context, what string, s script, keys []string, args ...any) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	args = append([]any{b.rebuild}, args...)
	answer, err := s.Run(ctx, b.client, keys, args...).Slice()
	if s.kind == reads && lost(err) && ctx.Err() == nil {
		answer, err = s.Run(ctx, b.client, keys, args...).Slice()
	}
	if err == nil {
		answer, err = outcome(answer)
	} else {
		err = trouble(ctx, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return answer, nil
}

// outcome turns a script's refusals into errors.
func outcome(answer []any) ([]any, error) {
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
	case "displaced":
		return nil, errDisplaced
	case "busy":
		return nil, fmt.Errorf("%w: another load is under way", domain.ErrUnavailable)
	case "twice":
		return nil, fmt.Errorf("somebody is there twice, once as retired: %w", domain.ErrInvalid)
	case "lost":
		return nil, fmt.Errorf("%w: another load has taken this one's place, or Redis has lost some of it", domain.ErrUnavailable)
	}
	return nil, fmt.Errorf("%w: Redis answers %q", domain.ErrUnavailable, answer[0])
}

// lost tells that a connection broke, which a restart of Redis does to all that are open. Another one may work.
func lost(err error) bool {
	var refused redis.Error
	var network net.Error
	return err != nil && !errors.As(err, &refused) && !(errors.As(err, &network) && network.Timeout())
}

// trouble is what an error of the client's means: a context that has ended, or Redis that can't be reached or won't serve.
func trouble(ctx context.Context, err error) error {
	ended := ctx.Err()
	if deadline, has := ctx.Deadline(); ended == nil && has && !time.Now().Before(deadline) {
		ended = context.DeadlineExceeded // the connection notices it a little before the context does
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

// start runs a task that ends with the context it gets, or soon. Once stopped it is errClosed.
func (t *tasks) start(task func(context.Context)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return errClosed
	}
	t.running.Go(func() { task(t.ctx) })
	return nil
}

// stop has all tasks end, and no more start. It returns false if somebody has done so before.
func (t *tasks) stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.stopped
	t.stopped = true
	t.cancel()
	return first
}
