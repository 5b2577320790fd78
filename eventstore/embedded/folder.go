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

// ErrInUse says that another process, or another Server of this one, holds the folder.
var ErrInUse = errors.New("the event store's folder is in use")

const (
	lockFile   = "lock"
	socketFile = "eventstore.sock"
	dataFolder = "data"

	// maxSocketPath is the longest path that a Unix socket's address takes on every system we know (macOS: 104 with the
	// final zero; Linux: 108).
	maxSocketPath = 103
)

// lockFolder takes the folder's lock, which the system lets go of when the process ends, however it ends. The lock, not the
// socket, decides who serves the folder. Running holds it for an instant, so a taken lock is tried again for a short while.
func lockFolder(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, clearer(err)
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
	// The process's number is only there to be named in the error of whoever comes second.
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid()))); err != nil {
		return nil, errors.Join(clearer(err), f.Close())
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

// Running tells whether a process serves the folder now. A folder that doesn't exist is not served.
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

// SocketTarget gives the gRPC target ("unix:///…") at which the server of a folder is reached, whether or not one runs. It
// is what a client takes as its address; TLS is off on it.
//
// A socket's path must be short. That of a folder with a long or an unusual path goes through a symbolic link to the folder
// in a folder of this user's (mode 0700) under os.TempDir, which SocketTarget creates when it is missing. The link's name is
// a digest of the folder's path; server and client may even use different links, since either leads to the one socket.
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

// plain tells whether a path means the same inside a gRPC target, which is read as a URL.
func plain(path string) bool {
	return !strings.ContainsFunc(path, func(r rune) bool {
		return r > '~' || !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-~", r))
	})
}

// ownFolder makes sure that path is a folder that nobody but this user can put anything into.
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

// ensureLink makes link lead to dir. Two processes may do so at once.
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
