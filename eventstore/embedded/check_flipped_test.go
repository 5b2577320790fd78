package embedded

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

// TestCheckFindsAFlippedByteInAFile flips a byte anywhere in the files that a store needs.
func TestCheckFindsAFlippedByteInAFile(t *testing.T) {
	closed := t.TempDir()
	s := serve(t, closed)
	for i := range 1200 {
		put(t, s, fmt.Sprintf("order-%d", i/3), fmt.Sprintf("data=%d;", i)+strings.Repeat(strconv.Itoa(rand.Int()), 3))
	}
	stop(t, s)
	for _, c := range []struct{ clause, dir, pattern string }{
		{"a table file", closed, "*.sst"},
		{"the manifest", closed, "MANIFEST-*"},
	} {
		files, err := filepath.Glob(filepath.Join(c.dir, dataFolder, c.pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for range 4 {
			path := files[rand.IntN(len(files))]
			at, restore := flip(t, path, -1)
			r := checked(t, c.dir)
			if r.Found == 0 {
				// Pebble's own files have room that means nothing, such as unused bytes of a footer.
				t.Logf("%s: nothing was found with byte %d of %s flipped", c.clause, at, filepath.Base(path))
				if r.Events != 1200 || c.pattern == "*.sst" {
					t.Errorf("%s: %+v", c.clause, r)
				}
			}
			if c.pattern == "*.sst" && r.Found > 0 && !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.File == filepath.Base(path) }) {
				t.Errorf("byte %d of %s: the file is not named: %s", at, filepath.Base(path), show(r.Findings[0]))
			}
			restore()
		}
	}
}

// TestDamageAmongTheHeadsLeavesTheOthersReadable: of thousands of streams, only those of one block are left out.
func TestDamageAmongTheHeadsLeavesTheOthersReadable(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	const streams = 3000
	for range streams / 500 {
		for range 500 {
			stream := "order-" + uuid.NewString()
			s.writer.queue <- &request{stream: stream, expected: expectAny, answer: make(chan answer, 1),
				events: []proposal{propose(uuid.New(), stream, []byte("noted"), true, nil, nil)}}
		}
	}
	stop(t, s)
	harm(t, dir, func(*pebble.DB) error { return nil })
	files, err := filepath.Glob(filepath.Join(dir, dataFolder, "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	path := slices.Max(files) // the keys are in order in it: events first, then heads
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := info.Size() * 3 / 4; at < info.Size(); at += info.Size() / 40 {
		_, restore := flip(t, path, int(at))
		r := checked(t, dir)
		restore()
		for _, f := range r.Findings {
			if strings.HasPrefix(f.What, "the heads of the streams") && len(r.Findings) <= 3 {
				if r.Streams < streams*8/10 || r.Streams == streams || r.Events != streams {
					t.Errorf("%d streams and %d events can be read: %s", r.Streams, r.Events, show(f))
				}
				return
			}
		}
	}
	t.Error("no flipped byte met the heads")
}

// flip changes one byte of a file, at a random place when at is negative.
func flip(t *testing.T, path string, at int) (_ int, restore func()) {
	t.Helper()
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at = rand.IntN(len(original))
	}
	flipped := bytes.Clone(original)
	flipped[at] ^= byte(1 + rand.IntN(255))
	put := func(content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(flipped)
	return at, func() { put(original) }
}

func TestAFlippedByteInTheMiddleOfTheWriteAheadLogIsFound(t *testing.T) {
	dir, events := crashed(t)
	logs, err := filepath.Glob(filepath.Join(dir, dataFolder, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	path := slices.MaxFunc(logs, func(a, b string) int {
		x, _ := os.Stat(a)
		y, _ := os.Stat(b)
		return int(x.Size() - y.Size())
	})
	_, restore := flip(t, path, 200)
	r := checked(t, dir)
	if r.Found != 1 || !strings.Contains(r.Findings[0].What, "can't be opened") || r.Findings[0].File != filepath.Base(path) {
		t.Errorf("%s: %+v", path, r)
	}
	restore()
	if r := checked(t, dir); r.Found != 0 || r.Events != events {
		t.Errorf("put right again: %+v", r)
	}
}

// TestAFlippedByteNearTheEndOfTheWriteAheadLogIsFound: there Pebble takes it for what a crash left of the last write.
func TestAFlippedByteNearTheEndOfTheWriteAheadLogIsFound(t *testing.T) {
	dir, events := crashed(t)
	logs, err := filepath.Glob(filepath.Join(dir, dataFolder, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	path := slices.Max(logs)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, path, int(info.Size())-1000)
	if r := checked(t, dir); r.Found != 1 || r.Findings[0].Position != r.Last+1 || r.Last >= events || !strings.Contains(r.Findings[0].What, fmt.Sprint(events)) {
		t.Errorf("%d events were acknowledged: %+v", events, r)
	}
}

// TestWhatACrashLeftOfTheLastWriteIsNotDamage: nobody was told of that write.
func TestWhatACrashLeftOfTheLastWriteIsNotDamage(t *testing.T) {
	dir, events := crashed(t)
	logs, err := filepath.Glob(filepath.Join(dir, dataFolder, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	file, err := os.OpenFile(slices.Max(logs), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(bytes.Repeat([]byte("torn"), 300)); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	if r := checked(t, dir); r.Found != 0 || r.Events != events {
		t.Errorf("%d events were written: %+v", events, r)
	}
}

func TestADamagedMarkIsFound(t *testing.T) {
	dir, _ := crashed(t)
	flip(t, filepath.Join(dir, dataFolder, markFile), -1)
	if r := checked(t, dir); r.Found != 1 || r.Findings[0].File != markFile {
		t.Errorf("%+v", r)
	}
}
