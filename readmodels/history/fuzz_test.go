package history

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"testing"

	"loyalty/domain"
)

// FuzzFrames: whatever a log holds, reading it ends with frames that are written the same again, up to where it is not whole.
func FuzzFrames(f *testing.F) {
	one := Batch{To: domain.CheckpointAt(domain.Position{Commit: 3, Prepare: 2}), Changes: []Change{{Kind: Adjusted, Key: domain.ProxyKey{1, 15: 2}, Points: -7, Minute: 99, Position: domain.Position{Commit: 2, Prepare: 2}}}}
	frame := appendFrame(nil, &one, "", 12345)
	f.Add([]byte{})
	f.Add(frame)
	f.Add(appendFrame(frame, &Batch{From: one.To, To: domain.CheckpointAt(domain.Position{Commit: 9, Prepare: 9})}, "", noTime))
	f.Add(frame[:len(frame)-1])
	whole := domain.Checkpoint{Position: domain.Position{Commit: 9, Prepare: 9}, Log: "log", Last: domain.EventRef{Position: one.To.Position, ID: "event"}, Fold: 1}
	f.Add(appendFrame(frame, &Batch{From: one.To, To: whole}, whole.Origin(), noTime))
	empty := appendFrame(nil, &Batch{To: whole}, whole.Origin(), noTime)
	empty = append(empty[:headerSize], 0, 0) // an origin of no length
	binary.BigEndian.PutUint32(empty, crc32.Checksum(empty[4:], castagnoli))
	f.Add(empty)
	f.Add(make([]byte, 200))
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, log []byte) {
		all := frames{from: bytes.NewReader(log), left: int64(len(log))}
		var again []byte
		for {
			h, records, err := all.next()
			if err != nil {
				if !errors.Is(err, errIncomplete) && !(errors.Is(err, io.EOF) && len(again) == len(log)) {
					t.Fatal(err)
				}
				break
			}
			b := Batch{From: domain.CheckpointAt(h.from), To: domain.CheckpointAt(h.to)}
			for ; len(records) > 0; records = records[recordSize:] {
				r := record(records[:recordSize])
				b.Changes = append(b.Changes, Change{
					Kind: r.kind(), Key: domain.ProxyKey(r[:16]), Points: r.points(), Minute: int64(r.sum().minute), Position: r.position(), Stored: timeOf(r.stored()),
				})
			}
			again = appendFrame(again, &b, h.origin, h.asOf)
		}
		if int64(len(again)) != all.complete || !bytes.Equal(again, log[:all.complete]) {
			t.Fatalf("of %d bytes, %d are whole, and are written again as %d others", len(log), all.complete, len(again))
		}
	})
}

// FuzzSorted: whatever a sorted file holds, it is read whole or found to be damaged.
func FuzzSorted(f *testing.F) {
	for _, n := range []int{0, 1, perBlock, perBlock + 1} {
		f.Add(uint16(n), uint16(1), uint32(0), byte(0))
		f.Add(uint16(n), uint16(1), uint32(n*7), byte(4))
		f.Add(uint16(n), uint16(0), uint32(1<<20), byte(1))
	}
	f.Fuzz(func(t *testing.T, n, forgotten uint16, at uint32, flip byte) {
		n, forgotten = n%1000, forgotten%10
		path := t.TempDir() + "/sorted"
		w, err := createSorted(path, segment{changes: int64(n), bytes: 99})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := w.add(&entry{head: uint64(i), tail: 1, sum: sum{points: domain.Points(i)}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.finish(make([]domain.ProxyKey, forgotten)); err != nil {
			t.Fatal(err)
		}
		damage(t, path, at, flip)
		got, err := readSorted(path)
		var damaged *damagedError
		if flip != 0 && !errors.As(err, &damaged) {
			t.Fatalf("byte %d changed by %x: %v", at, flip, err)
		}
		if flip == 0 && (err != nil || len(got) != int(n)) {
			t.Fatalf("%d entries of %d, %v", len(got), n, err)
		}
	})
}

// FuzzSortedBytes: and if they are bytes that never were one, too.
func FuzzSortedBytes(f *testing.F) {
	w := sortedWriter{footer: footer{entries: 1 << 62, forgotten: -1}}
	f.Add(w.footer.append(nil))
	f.Add(bytes.Repeat([]byte("lyh2"), 2000))
	f.Add(bytes.Repeat([]byte("lyh1"), 2000))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := t.TempDir() + "/sorted"
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var damaged *damagedError
		if _, err := readSorted(path); err != nil && !errors.As(err, &damaged) {
			t.Fatal(err)
		}
	})
}

func damage(t *testing.T, path string, at uint32, flip byte) {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[int(at)%len(content)] ^= flip
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readSorted(path string) (all []entry, err error) {
	s, err := openSorted(path)
	if err != nil {
		return nil, err
	}
	defer s.close()
	for from := s.source(context.Background()); ; {
		block, err := from.more()
		if err != nil || len(block) == 0 {
			return all, err
		}
		all = append(all, block...)
	}
}
