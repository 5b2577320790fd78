package history

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"slices"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// writeFirst writes a sorted file in the format of the first version.
func writeFirst(t *testing.T, path string, of segment, entries []entry) {
	t.Helper()
	var content []byte
	for number := uint64(0); len(entries) > 0; number++ {
		block := make([]byte, 0, blockSize)
		for _, e := range entries[:min(170, len(entries))] {
			packed := int64(-1 << 63)
			if e.sum != forgotten {
				packed = int64(e.sum.points)<<26 | int64(e.sum.minute)
			}
			for _, n := range []uint64{e.head, e.tail, uint64(packed)} {
				block = binary.BigEndian.AppendUint64(block, n)
			}
		}
		entries = entries[min(170, len(entries)):]
		block = block[:blockSize]
		binary.BigEndian.PutUint32(block[blockSize-4:], blockSum(number, block))
		content = append(content, block...)
	}
	f := footer{entries: int64(400), segment: of}
	end := f.append(nil)
	end = binary.BigEndian.AppendUint32(end, crc32.Checksum(end, castagnoli))
	content = append(append(content, end...), "lyh1"...)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestASortedFileOfTheFirstVersionIsReadAsOneOfToday(t *testing.T) {
	var entries []entry
	for i := range uint64(400) {
		points := []domain.Points{domain.MaxChange, -domain.MaxChange, 0, 1 << 36, -1 << 36, 7, -7}[i%7]
		entries = append(entries, entry{head: i, tail: i * 3, sum: sum{points, int32(i*7919) % leaderboard.MaxMinute}})
	}
	entries[9].sum = forgotten
	of, path := segment{changes: 400, bytes: 9}, t.TempDir()+"/first"
	writeFirst(t, path, of, entries)
	today, err := createSorted(t.TempDir()+"/today", of)
	for i := range entries {
		if err == nil {
			err = today.add(&entries[i])
		}
	}
	if err == nil {
		err = today.finish(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, today.path} {
		if got, err := readSorted(path); err != nil || !slices.Equal(got, entries) {
			t.Fatalf("%s: %d entries, %v; want %d", path, len(got), err, len(entries))
		}
		file, err := openOf(path, of)
		if err != nil {
			t.Fatal(err)
		}
		for i := range entries {
			if in, found, err := file.find(entries[i].key()); err != nil || !found || in != entries[i].sum {
				t.Fatalf("%s: customer %d: %+v, %v, %v; want %+v", path, i, in, found, err, entries[i].sum)
			}
		}
		if err := file.close(); err != nil {
			t.Fatal(err)
		}
	}
}
