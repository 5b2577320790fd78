package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/internal/proxytest"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/leaderboard/redis/redistest"
)

// refusing is a server that answers each command with one error, and has no other words.
func refusing(t *testing.T, answer string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				for in := bufio.NewReader(conn); ; {
					if !skipCommand(in) {
						return
					}
					if _, err := io.WriteString(conn, "-"+answer+"\r\n"); err != nil {
						return
					}
				}
			})
		}
	})
	return listener.Addr().String()
}

// skipCommand reads one command: a line with the number of words, and of each word a line with its length, and the word.
func skipCommand(in *bufio.Reader) bool {
	var words, length int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &words); err != nil {
		return false
	}
	for range words {
		if _, err := fmt.Fscanf(in, "$%d\r\n", &length); err != nil {
			return false
		}
		if _, err := in.Discard(length + len("\r\n")); err != nil {
			return false
		}
	}
	return true
}

// Given a server that answers everything with one of the errors that Redis, a cluster or Sentinel have
// Then every method is unavailable: an operator, a failover or a while may put each of them right.
func TestWhateverRedisRefusesMayPass(t *testing.T) {
	for _, answer := range []string{
		"LOADING Redis is loading the dataset in memory", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"READONLY You can't write against a read only replica.", "CLUSTERDOWN The cluster is down", "CLUSTERDOWN Hash slot not served", "TRYAGAIN Multiple keys request during rehashing of slot",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "OOM command not allowed when used memory > 'maxmemory'.",
		"NOAUTH Authentication required.", "WRONGPASS invalid username-password pair or user is disabled.", "NOPERM User app has no permissions to run the 'evalsha' command",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", "NOREPLICAS Not enough good replicas to write.", "UNKILLABLE Sorry the script already executed write commands",
		"NOSCRIPT No matching script.", "EXECABORT Transaction discarded because of previous errors.", "CROSSSLOT Keys in request don't hash to the same slot", "UNBLOCKED client unblocked",
		"ERR max number of clients reached", "ERR unknown command 'EVALSHA'", "ERR Client sent AUTH, but no password is set", "ERR DB index is out of range", "WRONGTYPE Operation against a key holding the wrong kind of value",
		"MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1", "SOMETHING that nobody has thought of yet",
	} {
		t.Run(strings.Fields(answer)[0], func(t *testing.T) {
			b, err := redis.Open(t.Context(), "redis://app:secret@"+refusing(t, answer)+"/3", nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close() })
			fails(t, b, domain.ErrUnavailable)
			_, copying := b.Copy(t.Context())
			_, used := b.UsedBytes(t.Context())
			for what, err := range map[string]error{"Load": load(t.Context(), b), "Copy": copying, "UsedBytes": used, "Remove": b.Remove(t.Context())} {
				if !errors.Is(err, domain.ErrUnavailable) {
					t.Errorf("%s: got error %v, want %v", what, err, domain.ErrUnavailable)
				}
			}
		})
	}
}

func TestOpenNeedsNoServer(t *testing.T) {
	b := open(t, "redis://:wrong@127.0.0.1:1")
	fails(t, b, domain.ErrUnavailable)
	if _, err := redis.Open(t.Context(), "redis://a/b@127.0.0.1", nil); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("got error %v, want %v", err, domain.ErrInvalid)
	}
}

// While a password is rotated, the server has the new one and we have the old one, or the other way round.
func TestAPasswordThatIsRotatedIsWaitedOut(t *testing.T) {
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "app", "on", ">first", "~*", "+@all")
	b := open(t, "redis://app:first@"+server.Addr())
	loads(t, b)
	for what, commands := range map[string][2][]any{
		"another password":  {{"ACL", "SETUSER", "app", "<first", ">second"}, {"ACL", "SETUSER", "app", ">first"}},
		"no user":           {{"ACL", "DELUSER", "app"}, {"ACL", "SETUSER", "app", "on", ">first", "~*", "+@all"}},
		"a user turned off": {{"ACL", "SETUSER", "app", "off"}, {"ACL", "SETUSER", "app", "on"}},
		"no rights":         {{"ACL", "SETUSER", "app", "-@all"}, {"ACL", "SETUSER", "app", "+@all"}},
		"no keys":           {{"ACL", "SETUSER", "app", "resetkeys"}, {"ACL", "SETUSER", "app", "~*"}},
	} {
		t.Run(what, func(t *testing.T) {
			server.Do(commands[0]...)
			server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			fails(t, b, domain.ErrUnavailable)
			server.Do(commands[1]...)
			has(t, b, 10, at(100))
		})
	}
}

// Given an address that is read again for each connection
// When the password changes, first at the server and then in the address
// Then the board is unavailable in between, and goes on without being opened again.
func TestAPasswordIsReadAgainForEachConnection(t *testing.T) {
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "app", "on", ">first", "~*", "+@all")
	var password atomic.Value
	password.Store("first")
	again := func() (string, error) {
		return "redis://app:" + password.Load().(string) + "@" + server.Addr() + "?board=main", nil
	}
	address, _ := again()
	b, err := redis.Open(t.Context(), address, again)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	loads(t, b)
	server.Do("ACL", "SETUSER", "app", "<first", ">second")
	server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	fails(t, b, domain.ErrUnavailable)
	password.Store("second")
	has(t, b, 10, at(100))
}

// answered says that a call ends within the 3 s of a request over HTTP, with domain.ErrUnavailable.
func answered(t *testing.T, what string, call func() error) {
	t.Helper()
	const most = 3 * time.Second // 2 s, and a busy machine
	began := time.Now()
	if err := call(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("%s: got error %v, want %v", what, err, domain.ErrUnavailable)
	}
	if took := time.Since(began); took > most {
		t.Errorf("%s: took %s", what, took)
	}
}

// Given a Redis that accepts connections and requests, and answers nothing
// When more readers come than there are connections
// Then each is answered within the bound, and once Redis answers again, all is as before, with no goroutine or connection more.
func TestReadersAreAnsweredInTimeWhileRedisHangs(t *testing.T) {
	p := proxytest.Start(t, "tcp", redistest.Start(t).Addr())
	b := open(t, "redis://"+p.Addr()+"?pool_size=4")
	loads(t, b)
	goroutines := runtime.NumGoroutine()
	p.Set(proxytest.Hung)
	var readers sync.WaitGroup
	for range 40 {
		readers.Go(func() {
			answered(t, "Dashboard", func() error { return b.Dashboard(t.Context(), ann, 10, 2, new(leaderboard.Dashboard)) })
		})
		readers.Go(func() {
			answered(t, "Standing", func() error { _, _, _, err := b.Standing(t.Context(), ann); return err })
		})
		readers.Go(func() {
			answered(t, "Checkpoint", func() error { _, err := b.Checkpoint(t.Context()); return err })
		})
	}
	readers.Wait()
	// Those who come later are answered in time as well.
	answered(t, "Dashboard", func() error { return b.Dashboard(t.Context(), ann, 10, 2, new(leaderboard.Dashboard)) })
	p.Set(proxytest.Healthy)
	recovers(t, b)
	settles(t, p, goroutines)
}

// recovers waits until a dashboard is right again.
func recovers(t *testing.T, b *redis.Board) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		var d leaderboard.Dashboard
		err := b.Dashboard(t.Context(), ann, 10, 2, &d)
		if err == nil && d.You.Rank == 2 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not recover: %+v, %v", d, err)
		}
	}
}

// settles waits until there are no more goroutines than before, but for those of the proxy and of a pool for its idle connections, and no more
// connections than the pool may have.
func settles(t *testing.T, p *proxytest.Proxy, goroutines int) {
	t.Helper()
	const pool, each = 4, 3
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		now, conns := runtime.NumGoroutine(), p.Open()
		if now <= goroutines+pool*each && conns <= pool {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines were %d; %d connections\n%s", now, goroutines, conns, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// All nodes of a cluster hang, for a client that knows them already and for one that has yet to ask which there are.
func TestReadersAreAnsweredInTimeWhileAClusterHangs(t *testing.T) {
	cluster := redistest.StartCluster(t)
	address := "redis+cluster://" + cluster.Addrs()
	b, fresh := open(t, address), open(t, address)
	loads(t, b)
	for _, s := range cluster.Servers {
		s.Freeze()
	}
	var readers sync.WaitGroup
	for _, board := range []*redis.Board{b, fresh} {
		for range 5 {
			readers.Go(func() {
				answered(t, "Dashboard", func() error { return board.Dashboard(t.Context(), ann, 10, 2, new(leaderboard.Dashboard)) })
			})
			readers.Go(func() {
				answered(t, "Checkpoint", func() error { _, err := board.Checkpoint(t.Context()); return err })
			})
		}
	}
	readers.Wait()
	for _, s := range cluster.Servers {
		s.Thaw()
	}
	recovers(t, b)
	recovers(t, fresh)
}

func TestAWriterIsAnsweredWhileRedisHangsAndGoesOnAfterwards(t *testing.T) {
	p := proxytest.Start(t, "tcp", redistest.Start(t).Addr())
	b := open(t, "redis://"+p.Addr()+"?read_timeout=300ms")
	loads(t, b)
	for name, rule := range map[string]proxytest.Rule{
		"hung": proxytest.Hung, "refusing": proxytest.Refusing, "losing answers": proxytest.LosingAnswers, "cutting answers": proxytest.CuttingAnswers, "cutting requests": proxytest.CuttingRequests,
	} {
		t.Run(name, func(t *testing.T) {
			defer p.Set(proxytest.Healthy)
			p.Set(rule)
			answered(t, "Apply", func() error { return b.Apply(t.Context(), batch()) })
			answered(t, "Load", func() error { return load(t.Context(), b) })
			answered(t, "Dashboard", func() error { return b.Dashboard(t.Context(), ann, 10, 2, new(leaderboard.Dashboard)) })
			p.Set(proxytest.Healthy)
			recovers(t, b)
		})
	}
}

// A caller who does not wait for the answer costs one connection at most, and no other caller their answer.
func TestACallersOwnDeadlineHarmsNobodyElse(t *testing.T) {
	p := proxytest.Start(t, "tcp", redistest.Start(t).Addr())
	b := open(t, "redis://"+p.Addr())
	loads(t, b)
	p.Delay(5 * time.Millisecond)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
				if _, _, _, err := b.Standing(ctx, ann); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
				}
				if err := b.Dashboard(ctx, ann, 10, 2, new(leaderboard.Dashboard)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
				}
				cancel()
			}
		})
		callers.Go(func() {
			for range 20 {
				var d leaderboard.Dashboard
				if err := b.Dashboard(t.Context(), ann, 10, 2, &d); err != nil || d.You.Rank != 2 {
					t.Errorf("got %+v, %v", d, err)
				}
				if _, err := b.Checkpoint(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
}
