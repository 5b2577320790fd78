package embedded

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is the error if another process, or another Server of this one, holds the folder.
var ErrInUse = errors.New("the event store's folder is in use")

const (
	lockFile   = "lock"
	socketFile = "eventstore.sock"
	dataFolder = "data"

	// maxSocketPath is the greatest length of a Unix socket's path on all supported systems (macOS: 104 with the final zero; Linux:
	// 108).
	maxSocketPath = 103
)

// lockFolder takes the folder's lock. The system releases it when the process ends. The lock, not the socket, decides who serves the folder.
// Running holds it for an instant, so that a taken lock is retried for a short time.
func lockFolder(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explainUnwritable(err)
	}
	const attempts, pause = 10, 10 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || attempt == attempts {
			return nil, errors.Join(inUse(f, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(pause):
		}
	}
	// The process id is only for the error of another process that tries to lock the folder.
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid()))); err != nil {
		return nil, errors.Join(explainUnwritable(err), f.Close())
	}
	return f, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

func inUse(f *os.File, err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	pid, _ := io.ReadAll(io.LimitReader(f, 20))
	return fmt.Errorf("%w: %s is held by process %s", ErrInUse, filepath.Dir(f.Name()), pid)
}

// Running reports whether a process serves the folder now. A folder that doesn't exist is not served.
func Running(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// SocketTarget is the gRPC target ("unix:///…") of a folder's server, whether or not one runs. A client uses it as its address, without
// TLS.
//
// A socket's path must be short. For a folder with a long path, or one with unusual characters, it goes through a symbolic link to the
// folder, in a folder of this user's (mode 0700) under os.TempDir, which SocketTarget creates if it is missing. The link's name is a digest
// of the folder's path. Server and client may use different links, since either leads to the same socket.
func SocketTarget(dir string) (string, error) {
	path, err := socketPath(dir)
	if err != nil {
		return "", err
	}
	return "unix://" + path, nil
}

func socketPath(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if path := filepath.Join(dir, socketFile); len(path) <= maxSocketPath && plain(path) {
		return path, nil
	}
	links := filepath.Join(os.TempDir(), "loyalty-"+strconv.Itoa(os.Getuid()))
	if err := ownFolder(links); err != nil {
		return "", err
	}
	link := filepath.Join(links, fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:16])
	path := filepath.Join(link, socketFile)
	if len(path) > maxSocketPath || !plain(path) {
		return "", fmt.Errorf("event store: the socket's path %s is too long or unusual; set TMPDIR to a shorter one", path)
	}
	return path, ensureLink(dir, link)
}

// plain reports whether a path needs no escaping in a gRPC target, which is parsed as a URL.
func plain(path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		return r > '~' || !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-~", r))
	})
}

// ownFolder makes sure that path is a folder that only this user can write to.
func ownFolder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ok || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("event store: %s must be a folder of this user's with mode 0700", path)
	}
	return nil
}

// ensureLink makes link a symbolic link to dir. Two processes may do so at once.
func ensureLink(dir, link string) error {
	if to, err := os.Readlink(link); err == nil && to == dir {
		return nil
	}
	fresh := link + "." + strconv.Itoa(os.Getpid())
	if err := os.Symlink(dir, fresh); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Rename(fresh, link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
