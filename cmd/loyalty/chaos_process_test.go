package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// kept is the real program at addresses of its own, started again whenever it ends, as a supervisor of services would.
type kept struct {
	t           testing.TB
	name        string
	binary      string
	environment []string
	args        []string
	base, admin string
	out, err    lockedBuffer // of all its lives

	mu      sync.Mutex
	command *exec.Cmd // nil while it is down
	pause   time.Duration
	lives   int
	endings int // of lives that nobody killed
}

// keep starts a process of a program that serves at free addresses, and keeps it until the test ends.
func keep(t *testing.T, random *rand.Rand, binary, name string, environment []string, args ...string) *kept {
	t.Helper()
	addr, admin := quietAddress(t, random), quietAddress(t, random)
	k := &kept{t: t, name: name, binary: binary, environment: environment, base: "http://" + addr, admin: "http://" + admin}
	k.args = append([]string{"serve", "--addr", addr, "--admin-addr", admin, "--log-level", "warn"}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if t.Failed() {
			t.Logf("%s had %d lives, %d of which ended by themselves; its standard error ends with:\n%s", name, k.lives, k.endings, tail(k.err.String(), 3000))
		}
		for _, bad := range []string{"DATA RACE", "panic: ", "fatal error: "} {
			if at := strings.Index(k.err.String(), bad); at >= 0 {
				text := k.err.String()[at:]
				t.Errorf("%s: %s", name, text[:min(len(text), 6000)])
			}
		}
	})
	return k
}

// afterAnEnd is how long a process that ended by itself stays down, as it may when a store that it needs is away.
const afterAnEnd = 200 * time.Millisecond

func (k *kept) run(ctx context.Context) {
	for ctx.Err() == nil {
		command := exec.CommandContext(ctx, k.binary, k.args...)
		command.Env = slices.Concat(os.Environ(), forTests, k.environment)
		command.Stdout, command.Stderr = &k.out, &k.err
		k.mu.Lock()
		err := command.Start()
		if err == nil {
			k.command = command
			k.lives++
		}
		k.mu.Unlock()
		if err != nil {
			k.t.Errorf("start %s: %v", k.name, err)
			return
		}
		_ = command.Wait() // what it has to say is on its standard error
		k.mu.Lock()
		k.command = nil
		pause := k.pause
		k.pause = 0
		if pause == 0 && ctx.Err() == nil {
			k.endings++
			pause = afterAnEnd
		}
		k.mu.Unlock()
		idle(ctx, pause)
	}
}

// kill ends it as a power cut would, and has it stay down for a while. It returns false if it is down already.
func (k *kept) kill(pause time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.command == nil || k.pause != 0 {
		return false
	}
	k.pause = pause
	if err := k.command.Process.Kill(); err != nil {
		k.pause = 0 // it has just ended by itself
		return false
	}
	return true
}

// awaitReady waits until it says that it should be sent requests.
func (k *kept) awaitReady() {
	k.t.Helper()
	waitFor(k.t, k.name+" is ready", func() bool {
		response, err := http.Get(k.admin + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// idle lets time pass, which is not waiting for anything.
func idle(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// quietAddress is a loopback address that is free, and stays so while the process that serves it is down: systems take the
// ports of clients from higher up.
func quietAddress(t testing.TB, random *rand.Rand) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 11000+random.IntN(20000))
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return addr
	}
	t.Fatal("there is no free port")
	return ""
}
