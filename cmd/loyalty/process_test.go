package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"loyalty/api/browsertest"
)

// patience bounds every wait in these tests; none takes nearly as long.
const patience = time.Minute

// program is the path of the real program, built once for all tests, as it is shipped.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "loyalty-program")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "loyalty")
		if err := buildProgram(program); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return browsertest.Main(m)
	}())
}

// buildProgram builds the program as the Dockerfile does.
func buildProgram(path string, args ...string) error {
	return runBuild(append([]string{"-ldflags", "-s -w"}, args...), path, "CGO_ENABLED=0")
}

// buildRacingProgram builds the program with the race detector, which costs it ten times the time. Many threads of one process race in the
// tests of all packages, which run with it; here, where processes do, one test has such programs.
func buildRacingProgram(path string) error {
	return runBuild([]string{"-race"}, path, "CGO_ENABLED=1")
}

func runBuild(args []string, path string, environment ...string) error {
	build := exec.Command("go", append(append([]string{"build", "-o", path}, args...), ".")...)
	build.Env = append(os.Environ(), environment...)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}

// lockedBuffer gathers what a process prints, and can be read while it runs.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *lockedBuffer) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *lockedBuffer) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is the real program, running.
type process struct {
	t           testing.TB
	command     *exec.Cmd
	out, err    lockedBuffer
	base, admin string
	ended       chan error
}

var (
	baseLine  = regexp.MustCompile(`listening on (http://\S+)`)
	adminLine = regexp.MustCompile(`(http://\S+)/readyz`)
)

// startDev runs "loyalty dev" on a folder and waits until it is ready.
func startDev(t testing.TB, data string, args ...string) *process {
	t.Helper()
	return start(t, nil, append([]string{"dev", "--addr", "127.0.0.1:0", "--data", data, "--log-level", "debug"}, args...)...)
}

// start runs the program and waits until it is ready. It is killed at the end of the test if it still runs then.
func start(t testing.TB, environment []string, args ...string) *process {
	t.Helper()
	p := launch(t, environment, args...)
	waitFor(t, "ready", func() bool {
		p.mustRun()
		response, err := http.Get(p.admin + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return p
}

// launch starts a process and waits until it answers, ready or not.
func launch(t testing.TB, environment []string, args ...string) *process {
	t.Helper()
	return launchBinary(t, program, environment, args...)
}

// forTests are the settings of every process: no balancer is in front, so that a stop is quick, and tests ask again and again, as fast as
// they can, all as one person of support.
var forTests = []string{
	"LOYALTY_DRAIN=0s",
	"LOYALTY_RATE_LIMIT=customer=0;support=0;analyst=0;store=0", "LOYALTY_READ_RATE_LIMIT=customer=0;support=0;analyst=0",
	"LOYALTY_ADJUSTMENT_DAY_LIMIT=support=0",
}

func launchBinary(t testing.TB, binary string, environment []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, ended: make(chan error, 1)}
	p.command = exec.Command(binary, args...)
	p.command.Env = slices.Concat(os.Environ(), forTests, environment)
	p.command.Stdout, p.command.Stderr = &p.out, &p.err
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.command.Wait() }()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		p.ended <- <-p.ended
		if t.Failed() {
			t.Logf("the program's standard error ends with:\n%s", tail(p.err.String(), 4000))
		}
	})
	waitFor(t, "the address", func() bool {
		base, admin := baseLine.FindStringSubmatch(p.out.String()), adminLine.FindStringSubmatch(p.out.String())
		if base != nil && admin != nil {
			p.base, p.admin = base[1], admin[1]
		}
		p.mustRun()
		return p.base != ""
	})
	return p
}

func (p *process) mustRun() {
	p.t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- err
		p.t.Fatalf("the program ended: %v\n%s%s", err, p.out.String(), p.err.String())
	default:
	}
}

// stop sends a signal and returns the exit status; -1 for a process that was killed.
func (p *process) stop(signal os.Signal) int {
	p.t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			p.t.Fatal(err)
		}
		return p.command.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("it did not stop after %v:\n%s", signal, tail(p.err.String(), 4000))
		return -1
	}
}

// kill ends the process as a power cut would.
func (p *process) kill() { p.t.Helper(); p.stop(syscall.SIGKILL) }

// runProgram runs the program to its end, and gives its output and exit status.
func runProgram(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return runIn(t, nil, args...)
}

// runIn is runProgram with more in its environment.
func runIn(t testing.TB, environment []string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), environment...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }
