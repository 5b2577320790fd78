package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// lastPosition opens a database read only and returns its last position. The error is ErrDamaged if that is before the acknowledged
// position.
func lastPosition(data string) (_ uint64, err error) {
	cache := pebble.NewCache(checkCacheBytes)
	defer cache.Unref()
	db, err := pebble.Open(data, readOnlyOptions(cache, new(badBlocks)))
	if err != nil {
		return 0, damaged(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s := &store{db: db}
	if err := s.load(); err != nil {
		return 0, err
	}
	marked, err := readMark(vfs.Default, data)
	if err == nil && s.end() < marked {
		err = errLogTooShort(s.end(), marked)
	}
	return s.end(), err
}

// Backup copies the event store in dir to the folder to, which must not exist and gets mode 0700. It returns the position of the last event
// in the copy.
//
// The store can be served meanwhile, by another process or a Server of this one: the copy has every append that was acknowledged before
// Backup began, and ends with a complete append. The serving process freezes its files in a folder beside them, which is quick and takes
// little space; Backup copies that folder. If nobody serves the store, Backup copies its files, and nobody can serve it until that is done.
//
// When Backup returns, the copy is synced, was opened once, and shares no file with the original. If Backup fails, or ctx ends, it removes
// to. To make the copy appear atomically, let Backup write to a temporary name and rename it.
//
// progress may be nil; it is called from this goroutine with numbers of bytes.
//
// The error is ErrNoStore if dir holds no store, ErrDamaged if the copy can't be opened because the original is damaged, and wraps
// fs.ErrExist if to exists.
func Backup(ctx context.Context, dir, to string, progress func(done, total uint64)) (uint64, error) {
	last, err := backup(ctx, dir, to, progress)
	if err != nil {
		return 0, fmt.Errorf("back up the event store in %s: %w", dir, err)
	}
	return last, nil
}

func backup(ctx context.Context, dir, to string, progress func(done, total uint64)) (last uint64, err error) {
	if err := requireStore(filepath.Join(dir, dataFolder)); err != nil {
		return 0, err
	}
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	if inside, err := within(dir, to); err != nil || inside {
		return 0, errors.Join(err, fmt.Errorf("%s is in the event store's own folder", to))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // releases a frozen folder
	from := filepath.Join(dir, dataFolder)
	lock, err := lockUnserved(dir)
	switch {
	case errors.Is(err, ErrInUse):
		name, done, err := frozen(ctx, dir)
		defer done()
		if err != nil {
			return 0, err
		}
		from = filepath.Join(dir, name, dataFolder)
	case err != nil:
		return 0, err
	default:
		defer lock.Close()
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(to))
		}
	}()
	if err := copyFolder(ctx, from, filepath.Join(to, dataFolder), progress); err != nil {
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case errors.Is(err, fs.ErrNotExist) && lock == nil:
			err = fmt.Errorf("the process that serves it has stopped meanwhile, try again: %w", err)
		}
		return 0, err
	}
	// With a lock file, the copy can be locked while it is checked.
	if err := writeFile(filepath.Join(to, lockFile), nil); err != nil {
		return 0, err
	}
	if err := syncFolder(to); err != nil {
		return 0, err
	}
	return lastPosition(filepath.Join(to, dataFolder))
}

// within reports whether a path is in a folder.
func within(dir, path string) (bool, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return false, err
	}
	relative, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(relative), err
}

// frozen makes the process that serves dir freeze its files, and returns the name of the folder that they are in until ctx ends. The caller
// must call done after that, also after an error.
func frozen(ctx context.Context, dir string) (name string, done func(), err error) {
	done = func() {}
	target, err := SocketTarget(dir)
	if err != nil {
		return "", done, err
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", done, err
	}
	done = func() { _ = conn.Close() }
	call, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+backupService+"/"+backupMethod)
	if err == nil {
		err = errors.Join(call.SendMsg(&emptypb.Empty{}), call.CloseSend())
	}
	var answer wrapperspb.StringValue
	if err == nil {
		err = call.RecvMsg(&answer)
	}
	if name = answer.GetValue(); err == nil && (name != filepath.Base(name) || !strings.HasPrefix(name, frozenPrefix)) {
		err = fmt.Errorf("the process that serves it names the folder %q", name)
	}
	if err != nil {
		return "", done, fmt.Errorf("ask the process that serves it: %w", err)
	}
	return name, done, nil
}

// copyPiece is the number of bytes copied between two calls of progress.
const copyPiece = 8 << 20

// copyFolder copies the files of a folder to a new one, and syncs them.
func copyFolder(ctx context.Context, from, to string, progress func(done, total uint64)) error {
	total, err := folderBytes(from)
	if err != nil {
		return err
	}
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	var done uint64
	progress(done, total)
	for _, f := range files {
		if !f.Type().IsRegular() {
			continue
		}
		err := copyFile(ctx, filepath.Join(from, f.Name()), filepath.Join(to, f.Name()), func(n int64) {
			done += uint64(n)
			progress(min(done, total), total)
		})
		if err != nil {
			return err
		}
	}
	return syncFolder(to)
}

func copyFile(ctx context.Context, from, to string, copied func(int64)) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(target, source, copyPiece)
		copied(n)
		if errors.Is(err, io.EOF) {
			return target.Sync()
		}
		if err != nil {
			return err
		}
	}
}

func writeFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
