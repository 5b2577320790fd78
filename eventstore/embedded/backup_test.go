package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// dataOfStreams reads the log of a closed store: the data of each stream's events, in order.
func dataOfStreams(t *testing.T, dir string) map[string][]string {
	t.Helper()
	s := serve(t, dir)
	defer stop(t, s)
	all := map[string][]string{}
	for position := uint64(1); position <= s.store.end(); position++ {
		_, r, err := s.store.read(position)
		if err != nil {
			t.Fatal(err)
		}
		data, _, _ := strings.Cut(string(r.data), ";")
		all[string(r.stream)] = append(all[string(r.stream)], data)
	}
	return all
}

// load has writers append until it is stopped, three events at a time, each to a stream of its own.
type load struct {
	name         string
	acknowledged [8]atomic.Int64 // appends
	stop         func()
}

func (l *load) stream(writer int) string { return fmt.Sprintf("%s-%d", l.name, writer) }

func startLoad(t *testing.T, s *Server, name string) *load {
	l := &load{name: name}
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	l.stop = sync.OnceFunc(func() { cancel(); writers.Wait() })
	t.Cleanup(l.stop)
	for i := range l.acknowledged {
		writers.Go(func() {
			for n := int64(0); ctx.Err() == nil; n++ {
				put(t, s, l.stream(i), fmt.Sprintf("data=%d-0;", n)+strings.Repeat("x", 300), fmt.Sprintf("data=%d-1;", n), fmt.Sprintf("data=%d-2;", n))
				l.acknowledged[i].Store(n + 1)
			}
		})
	}
	return l
}

func TestABackupOfARunningStoreHasAllThatWasAcknowledgedBeforeAndWholeAppends(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	defer stop(t, s)
	events, _ := writeAllKinds(t, s)
	for round := range 5 {
		l := startLoad(t, s, fmt.Sprint("round-", round))
		eventually(t, "appends", func() bool { return s.store.end() > events+uint64(round+1)*2000 })
		var before [8]int
		for i := range before {
			before[i] = int(l.acknowledged[i].Load())
		}
		acknowledged := s.store.end()
		to := filepath.Join(t.TempDir(), "copy")
		var done, total uint64
		last, err := Backup(t.Context(), dir, to, func(d, t uint64) { done, total = d, t })
		l.stop()
		if err != nil {
			t.Fatal(err)
		}
		if last < acknowledged || done != total || total == 0 {
			t.Errorf("it ends at %d, %d were acknowledged; %d of %d bytes copied", last, acknowledged, done, total)
		}
		if r := checked(t, to); r.Found != 0 || r.Last != last {
			t.Fatalf("the backup ends at %d: %+v", last, r)
		}
		onlyOurs(t, to)
		all := dataOfStreams(t, to)
		for i := range before {
			data := all[l.stream(i)]
			if len(data)%3 != 0 || len(data) < 3*before[i] {
				t.Errorf("%s has %d events, %d appends of 3 were acknowledged", l.stream(i), len(data), before[i])
			}
			for n, got := range data {
				if want := fmt.Sprintf("data=%d-%d", n/3, n%3); got != want {
					t.Fatalf("event %d of %s is %q", n, l.stream(i), got)
				}
			}
		}
	}
	eventually(t, "nothing is left of the frozen folder", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, frozenPrefix+"*"))
		return err == nil && len(left) == 0
	})
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain:", what)
		}
	}
}

// onlyOurs checks that nobody else can read what is in a folder.
func onlyOurs(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestABackupOfAClosedStoreIsTheSameStore(t *testing.T) {
	for clause, dir := range map[string]func() string{
		"after a shutdown": func() string {
			dir := t.TempDir()
			s := serve(t, dir)
			writeAllKinds(t, s)
			stop(t, s)
			return dir
		},
		"after a crash": func() string { dir, _ := crashed(t); return dir },
	} {
		t.Run(clause, func(t *testing.T) {
			dir, to := dir(), filepath.Join(t.TempDir(), "copy")
			before := contents(t, dir)
			last, err := Backup(t.Context(), dir, to, nil)
			if err != nil {
				t.Fatal(err)
			}
			original, copied := checked(t, dir), checked(t, to)
			if copied.Found != 0 || copied.Last != last || copied.Events != original.Events || copied.Streams != original.Streams {
				t.Errorf("original %+v\ncopy %+v", original, copied)
			}
			if after := contents(t, dir); len(after) != len(before) {
				t.Errorf("the original has %d files, before %d", len(after), len(before))
			}
			// The copy is a store of its own: what is written to the one doesn't show in the other.
			s := serve(t, to)
			put(t, s, "s", "data=new;")
			stop(t, s)
			if r := checked(t, dir); r.Found != 0 || r.Events != original.Events {
				t.Errorf("the original after writing to the copy: %+v", r)
			}
		})
	}
}

func TestABackupThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	writeAllKinds(t, s)
	for clause, run := range map[string]func(to string) error{
		"the store is running": func(to string) error {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := Backup(ctx, dir, to, func(done, _ uint64) {
				if done > 0 {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
			return err
		},
		"the target has no parent": func(to string) error {
			_, err := Backup(t.Context(), dir, filepath.Join(to, "deeper"), nil)
			return err
		},
		"the source is no store": func(to string) error {
			_, err := Backup(t.Context(), t.TempDir(), to, nil)
			if !errors.Is(err, ErrNoStore) {
				t.Error(err)
			}
			return err
		},
	} {
		to := filepath.Join(t.TempDir(), "copy")
		if err := run(to); err == nil {
			t.Errorf("%s: it succeeds", clause)
		}
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is left: %v", clause, err)
		}
	}
	taken := t.TempDir()
	if _, err := Backup(t.Context(), dir, taken, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a target that is there: %v", err)
	}
	if _, err := os.Stat(taken); err != nil {
		t.Errorf("it was removed: %v", err)
	}
	if _, err := Backup(t.Context(), dir, filepath.Join(dir, "copy"), nil); err == nil {
		t.Error("a target in the store itself")
	}
	stop(t, s)
	harmed := filepath.Join(t.TempDir(), "copy")
	flip(t, filepath.Join(dir, dataFolder, markFile), 0)
	if _, err := Backup(t.Context(), dir, harmed, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("of a damaged store: %v", err)
	}
	if _, err := os.Lstat(harmed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a damaged store something is left: %v", err)
	}
}

// TestAServerThatStopsEndsABackup: the one being made fails, and the shutdown doesn't wait for it.
func TestAServerThatStopsEndsABackup(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	writeAllKinds(t, s)
	name, done, err := frozen(t.Context(), dir)
	defer done()
	if err != nil {
		t.Fatal(err)
	}
	if r := checked(t, filepath.Join(dir, name)); r.Found != 0 || r.Last != s.store.end() {
		t.Errorf("the frozen folder: %+v", r)
	}
	stop(t, s)
	if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the frozen folder is left: %v", err)
	}
}

func TestWhatAKilledServerLeftOfABackupIsRemovedAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, frozenPrefix+"123", dataFolder)
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir)
	defer stop(t, s)
	if _, err := os.Stat(filepath.Dir(left)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
}

func TestBackupsAreMadeThroughTheUnixSocketOnly(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, s)
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	call, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/"+backupService+"/"+backupMethod)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(call.SendMsg(&emptypb.Empty{}), call.CloseSend()); err != nil {
		t.Fatal(err)
	}
	if err := call.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.Unimplemented {
		t.Errorf("over TCP it answers %v", err)
	}
}

// TestManyFrozenFoldersAllOpen freezes a store under load again and again, while its write-ahead logs are reused.
func TestManyFrozenFoldersAllOpen(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	defer stop(t, s)
	l := startLoad(t, s, "load")
	defer l.stop()
	for n := range 20 {
		if n%4 == 3 {
			if err := s.store.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		data := filepath.Join(t.TempDir(), dataFolder)
		acknowledged := s.store.end()
		if err := s.freezeInto(data); err != nil {
			t.Fatal(err)
		}
		if last, err := lastPosition(data); err != nil || last < acknowledged {
			t.Fatalf("it ends at %d, %d were acknowledged: %v", last, acknowledged, err)
		}
	}
}

func TestACopiedFileIsTheSame(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("0123456789abcdef"), copyPiece/16+1)
	for _, size := range []int{0, 1, copyPiece - 1, copyPiece, copyPiece + 1} {
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, fmt.Sprint("to-", size))
		if err := os.WriteFile(from, content[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		var copied int64
		if err := copyFile(t.Context(), from, to, func(n int64) { copied += n }); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, content[:size]) || copied != int64(size) {
			t.Errorf("%d bytes became %d, %d were told: %v", size, len(got), copied, err)
		}
	}
}
