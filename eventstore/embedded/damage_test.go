package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
	"google.golang.org/grpc/mem"
)

// These tests write into the database behind the server's back, so they are inside the package.

func serve(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *Server, stream string, data ...string) {
	t.Helper()
	r := &request{stream: stream, expected: expectAny}
	for _, d := range data {
		r.events = append(r.events, propose(uuid.NewSHA1(uuid.NameSpaceURL, []byte(stream+d)), stream, []byte("noted"), true, []byte(d), nil))
	}
	if v, err := s.writer.submit(t.Context(), r); err != nil || v.outcome != write {
		t.Fatal(v, err)
	}
}

// scans reads everything in every way there is, and answers the data read in each, and the errors.
func scans(s *Server, stream string) (read map[string][]string, errs []error) {
	end := s.store.end()
	plain := render{store: s.store, upTo: end, now: time.Now}
	read = map[string][]string{}
	h, err := s.store.head(stream, end)
	errs = append(errs, err)
	ways := map[string]scanner{
		"all forwards":  &allScan{store: s.store, render: plain, next: 1, end: end, left: 1 << 40},
		"all backwards": &allScan{store: s.store, render: plain, next: end + 1, end: end, left: 1 << 40, backwards: true},
	}
	if err == nil {
		ways["stream forwards"] = &streamScan{store: s.store, render: plain, stream: stream, head: h, left: 1 << 40}
		ways["stream backwards"] = &streamScan{store: s.store, render: plain, stream: stream, head: h, next: h.last, left: 1 << 40, backwards: true}
	}
	for clause, scan := range ways {
		for !scan.done() {
			var p page
			err := scan.fill(&p)
			start := 0
			for _, end := range p.ends {
				read[clause] = append(read[clause], dataOf(p.buf[start:end]))
				start = end
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", clause, err))
				break
			}
		}
	}
	return read, errs
}

// dataOf is the event's data in a frame: in these tests, what follows "data=".
func dataOf(frame []byte) string {
	i := bytes.Index(frame, []byte("data="))
	if i < 0 {
		return "?"
	}
	j := bytes.IndexByte(frame[i:], ';')
	return string(frame[i+len("data=") : i+max(j, len("data="))])
}

func TestDamageIsReportedAndNeverServed(t *testing.T) {
	for clause, harm := range map[string]func(db *pebble.DB) error{
		"a flipped byte in an event": func(db *pebble.DB) error {
			value, closer, err := db.Get(logKey(nil, 3))
			if err != nil {
				return err
			}
			defer closer.Close()
			value = bytes.Clone(value)
			value[len(value)-3] ^= 1
			return db.Set(logKey(nil, 3), value, pebble.Sync)
		},
		"an event in the place of another": func(db *pebble.DB) error {
			value, closer, err := db.Get(logKey(nil, 2))
			if err != nil {
				return err
			}
			defer closer.Close()
			return db.Set(logKey(nil, 3), bytes.Clone(value), pebble.Sync)
		},
		"an event cut short":  func(db *pebble.DB) error { return db.Set(logKey(nil, 3), []byte{1, 2}, pebble.Sync) },
		"an event is missing": func(db *pebble.DB) error { return db.Delete(logKey(nil, 3), pebble.Sync) },
		"a wrong index entry": func(db *pebble.DB) error {
			return db.Set(streamKey(nil, "s", 2), []byte("\x00\x00\x00\x00\x00\x00\x00\x02"), pebble.Sync)
		},
		"a short index entry": func(db *pebble.DB) error { return db.Set(streamKey(nil, "s", 2), []byte("x"), pebble.Sync) },
		"no index entry":      func(db *pebble.DB) error { return db.Delete(streamKey(nil, "s", 2), pebble.Sync) },
		"a wrong head": func(db *pebble.DB) error {
			return db.Set(headKey(nil, "s"), []byte(strings.Repeat("x", headSize)), pebble.Sync)
		},
		"a head past the end": func(db *pebble.DB) error {
			return db.Set(headKey(nil, "s"), appendHead(nil, "s", head{last: 9, position: 3, first: 1, count: 2}), pebble.Sync)
		},
		"a head with another beginning": func(db *pebble.DB) error {
			return db.Set(headKey(nil, "s"), appendHead(nil, "s", head{last: 4, position: 5, first: 2, count: 2}), pebble.Sync)
		},
		"another stream's head": func(db *pebble.DB) error {
			return db.Set(headKey(nil, "s"), appendHead(nil, "t", head{last: 4, position: 5, first: 1, count: 2}), pebble.Sync)
		},
	} {
		t.Run(clause, func(t *testing.T) {
			s := serve(t, t.TempDir())
			defer stop(t, s)
			put(t, s, "s", "data=a;", "data=b;")
			put(t, s, "s", "data=c;", "data=d;", "data=e;")
			if err := harm(s.store.db); err != nil {
				t.Fatal(err)
			}
			read, errs := scans(s, "s")
			if err := errors.Join(errs...); !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
			for how, data := range read {
				want := "abcde"
				if strings.HasSuffix(how, "backwards") {
					want = "edcba"
				}
				if got := strings.Join(data, ""); !strings.HasPrefix(want, got) {
					t.Errorf("%s: %q was served", how, got)
				}
			}
		})
	}
}

// TestAFlippedByteInAFile flips bytes anywhere in the files of a closed store. Each time, what can be read must be what was
// written, or an error must say that something is damaged; the store may also refuse to open.
func TestAFlippedByteInAFile(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	var want []string
	for i := range 400 {
		n := fmt.Sprintf("%d-%x", i, rand.Uint64())
		want = append(want, n)
		put(t, s, "s", "data="+n+";"+strings.Repeat(n, 20))
	}
	stop(t, s)
	files, err := filepath.Glob(filepath.Join(dir, dataFolder, "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	reported := 0
	for range 40 {
		path := files[rand.IntN(len(files))]
		original, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(original)
		at := rand.IntN(len(flipped))
		flipped[at] ^= byte(1 + rand.IntN(255))
		if err := os.WriteFile(path, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), Options{Dir: dir})
		if err == nil {
			read, errs := scans(s, "s")
			err = errors.Join(errs...)
			for how, data := range read {
				for i, got := range data {
					nth := i
					if strings.HasSuffix(how, "backwards") {
						nth = len(want) - 1 - i
					}
					if got != want[nth] {
						t.Fatalf("byte %d of %s: %s served %q as event %d", at, filepath.Base(path), how, got, nth)
					}
				}
				if err == nil && len(data) != len(want) {
					t.Errorf("byte %d of %s: %s served %d events and no error", at, filepath.Base(path), how, len(data))
				}
			}
			_ = s.Close(t.Context())
		}
		if err != nil {
			reported++
		}
		if err := os.WriteFile(path, original, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if reported == 0 {
		t.Error("none of the flipped bytes was noticed")
	}
}

func TestALaterLayoutIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	if err := s.store.db.Set([]byte{formatKind}, []byte{layoutVersion + 1}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	if _, err := Open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "layout version") {
		t.Errorf("got %v", err)
	}
}

// FuzzOpenRecord: whatever lies in the log, reading it answers a record that is whole, or ErrDamaged.
func FuzzOpenRecord(f *testing.F) {
	p := propose(uuid.New(), "order-1", []byte("order-placed.v1"), true, []byte(`{"a":1}`), []byte(`{"b":2}`))
	f.Add(appendRecord(nil, p, 0, 1, 17_000_000_000_000_000), uint64(1))
	f.Add(appendRecord(nil, propose(uuid.UUID{15: 1}, "s", []byte("t"), false, nil, nil), tombstoned, 1<<62, -1), uint64(1<<62))
	f.Add([]byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, value []byte, position uint64) {
		// As it is, and with the checksum put right, so that what comes after it is reached.
		openEither(t, value, position)
		if len(value) >= checksumSize {
			openEither(t, withChecksum(bytes.Clone(value)), position)
		}
	})
}

func openEither(t *testing.T, value []byte, position uint64) {
	message, r, err := openRecord(value, position)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("another error: %v", err)
		}
		return
	}
	if r.position != position || r.revision < 0 || len(r.eventType) == 0 || len(message) != len(value)-checksumSize {
		t.Fatalf("half a record: %+v", r)
	}
	if !bytes.Contains(withStringID(message), []byte(r.id.String())) {
		t.Fatalf("its id is not there as text: %+v", r)
	}
}

func withChecksum(value []byte) []byte {
	binary.LittleEndian.PutUint32(value, crc32.Checksum(value[checksumSize:], castagnoli))
	return value
}

// FuzzIncoming: whatever a client sends as an append's message, it is an event that can be read back, or an error.
func FuzzIncoming(f *testing.F) {
	f.Add([]byte("\x12\x00"))
	f.Add([]byte("\x0a\x05\x0a\x03\x1a\x01s"))
	f.Fuzz(func(t *testing.T, message []byte) {
		in := incoming{stream: "s"}
		if in.unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}) != nil || in.err != nil {
			return
		}
		_, r, err := openRecord(appendRecord(nil, in.event, 1, 2, 3), 2)
		if err != nil || r.id != in.event.id || string(r.stream) != "s" || r.created != 3 || !bytes.Equal(r.data, in.event.data) {
			t.Fatalf("read back: %+v, %v", r, err)
		}
	})
}
