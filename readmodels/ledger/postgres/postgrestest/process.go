package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// process is a PostgreSQL server in a folder of its own with its data, socket and log.
type process struct {
	binaries, folder string
	settings         []string
	credential       *syscall.Credential // of the server's user; nil for this process's user
	command          *exec.Cmd           // of the server, once it has been started
	ended            chan struct{}       // closed when the server has ended
}

const (
	superuser = "loyalty"
	prefix    = "loyalty-postgres-"
)

// defaults are settings for tests: no syncs, little memory.
var defaults = []string{"fsync=off", "full_page_writes=off", "max_wal_size=128MB", "shared_buffers=64MB", "max_connections=200",
	"listen_addresses="}

// start makes a folder with a new database cluster and runs a server in it.
func start(settings []string) (*process, error) {
	folder, err := binaries()
	if err != nil {
		return nil, err
	}
	return startIn(folder, settings)
}

// startIn is start with the programs in a folder.
func startIn(binaries string, settings []string) (p *process, err error) {
	p = &process{binaries: binaries, settings: slices.Concat(defaults, settings)}
	owner := os.Getuid()
	if owner == 0 {
		// PostgreSQL refuses to run as root.
		if p.credential, err = unprivileged(); err != nil {
			return nil, err
		}
		owner = int(p.credential.Uid)
	}
	removeOrphans()
	if p.folder, err = makeFolder(p.settings); err != nil {
		return nil, err
	}
	if err = os.Chown(p.folder, owner, -1); err == nil {
		if err = p.create(); err == nil {
			err = p.run()
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return p, nil
}

// binaries finds the folder of the newest PostgreSQL: in Debian's place, or else by the PATH.
func binaries() (string, error) {
	const missing = "there is none on this machine: install the package postgresql (15 or later), or name a server in " + Variable
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	found = slices.DeleteFunc(found, func(path string) bool { return version(path) < 15 })
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", errors.New(missing)
	}
	return filepath.Dir(path), nil
}

func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("it doesn't run as root, and there is neither a user postgres nor a user nobody")
}

// makeFolder makes a folder with this process's id in its name, so that other processes can tell when it is not needed any more.
func makeFolder(settings []string) (string, error) {
	place := os.TempDir()
	switch {
	case !slices.Contains(settings, "fsync=on") && roomy(memory):
		place = memory // without syncs, some ten times as fast as a disk
	case len(place) > 60:
		place = "/tmp" // a socket's path may have some 100 bytes
	}
	return os.MkdirTemp(place, fmt.Sprintf("%s%d-", prefix, os.Getpid()))
}

// memory is Linux's file system in memory. A database takes 8 MB, and a test of the contract makes hundreds of them.
const memory = "/dev/shm"

func roomy(folder string) bool {
	var found syscall.Statfs_t
	return syscall.Statfs(folder, &found) == nil && found.Bavail*uint64(found.Bsize) >= 4<<30
}

// removeOrphans removes the folders of test processes that were killed. Their servers ended with them.
func removeOrphans() {
	for _, place := range []string{os.TempDir(), "/tmp", memory} {
		folders, _ := filepath.Glob(filepath.Join(place, prefix+"*"))
		for _, folder := range folders {
			number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), prefix), "-")
			if pid, err := strconv.Atoi(number); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				_ = os.RemoveAll(folder)
			}
		}
	}
}

func (p *process) data() string { return filepath.Join(p.folder, "data") }

// address is the address of the default database. The mode of the socket's folder keeps other users out.
func (p *process) address() *url.URL {
	query := url.Values{"host": {p.folder}, "sslmode": {"disable"}}
	return &url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/postgres", RawQuery: query.Encode()}
}

// program prepares a command of one of PostgreSQL's programs, which ends when this process does.
func (p *process) program(name string, arguments ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(p.binaries, name), arguments...)
	command.Dir = p.folder
	command.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
	endWithParent(command.SysProcAttr)
	return command
}

func (p *process) create() error {
	command := p.program("initdb", "--pgdata", p.data(), "--username", superuser, "--auth", "trust", "--encoding", "UTF8",
		"--locale", "C", "--no-sync")
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// run starts the server and waits until it answers.
func (p *process) run() error {
	arguments := []string{"-D", p.data(), "-k", p.folder}
	for _, setting := range p.settings {
		arguments = append(arguments, "-c", setting)
	}
	var log bytes.Buffer
	command := p.program("postgres", arguments...)
	command.Stdout, command.Stderr = &log, &log
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The system ends the server with the thread that started it, so that this thread must stay until then.
		runtime.LockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		return err
	}
	p.command, p.ended = command, ended
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.address().String())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ended:
			return fmt.Errorf("it has ended:\n%s", log.Bytes())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("it does not answer: %w", err), p.stop(syscall.SIGQUIT))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *process) running() bool {
	if p.command == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop ends the server at once, and returns when all its children have ended too: after SIGQUIT the server ends them, after SIGKILL they end
// by themselves.
func (p *process) stop(signal syscall.Signal) error {
	if !p.running() {
		return errors.New("it is not running")
	}
	if err := p.command.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(timeout):
		return errors.Join(errors.New("it did not end"), p.command.Process.Kill())
	}
}

// remove ends the server and removes its folder.
func (p *process) remove() error {
	var err error
	if p.running() {
		err = p.stop(syscall.SIGQUIT)
	}
	return errors.Join(err, os.RemoveAll(p.folder))
}
