package history

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"loyalty/domain"
)

// A sorted file, a run or a snapshot, holds entries in the order of their keys, in blocks of blockSize bytes. Numbers are big endian.
//
//	block      28 bytes  key, points and minute of a sum, 145 times; the last block is filled up with zeros
//	           20        zeros
//	           4         CRC-32C of the block's number and the bytes before
//	forgotten  16 bytes  the key of each customer who was forgotten in the segment; none in a snapshot
//	footer     footerSize bytes, the last of which are a CRC-32C of the keys and the footer, and the magic number
//
// It is written under a temporary name, and renamed once it is synced. Files of an earlier version are read, too: an entry has 24 bytes there,
// with points and minute in 8 as in a record, and 170 are in a block.
const (
	blockSize  = 4096
	entrySize  = 28
	perBlock   = (blockSize - 16) / entrySize
	footerSize = 7*8 + 3*16 + 8
	magic      = 0x6c796832 // lyh2

	entrySize1 = 24
	magic1     = 0x6c796831 // lyh1
	// forgotten1 is the sum of a customer who was forgotten.
	forgotten1 = 1 << 63
	// readBlocks is the number of blocks in one read.
	readBlocks = 8
)

// footer describes a sorted file: a run has the changes of the segment, a snapshot all changes until its end.
type footer struct {
	entries, forgotten int64
	segment
}

func (f *footer) append(to []byte) []byte {
	for _, n := range []int64{f.entries, f.forgotten, f.changes, f.bytes, f.latest, f.stored, f.asOf} {
		to = binary.BigEndian.AppendUint64(to, uint64(n))
	}
	return appendPosition(appendPosition(appendPosition(to, f.from), f.to), f.last)
}

func (f *footer) parse(b []byte) {
	for i, n := range []*int64{&f.entries, &f.forgotten, &f.changes, &f.bytes, &f.latest, &f.stored, &f.asOf} {
		*n = int64(binary.BigEndian.Uint64(b[8*i:]))
	}
	f.from, f.to, f.last = readPosition(b[56:]), readPosition(b[72:]), readPosition(b[88:])
}

// damagedError is the error of a damaged sorted file.
type damagedError struct{ path string }

func (e *damagedError) Error() string { return e.path + " is damaged" }

// sortedWriter writes a sorted file.
type sortedWriter struct {
	file   *os.File
	to     *bufio.Writer
	path   string
	footer footer
	block  []byte
	blocks uint64
}

// temporary is the extension of unfinished files.
const temporary = ".tmp"

func createSorted(path string, s segment) (*sortedWriter, error) {
	f, err := os.OpenFile(path+temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &sortedWriter{file: f, to: bufio.NewWriterSize(f, 1<<18), path: path, footer: footer{segment: s}, block: make([]byte, 0, blockSize)}, nil
}

// add adds an entry, in the order of keys.
func (w *sortedWriter) add(e *entry) error {
	w.block = binary.BigEndian.AppendUint64(w.block, e.head)
	w.block = binary.BigEndian.AppendUint64(w.block, e.tail)
	w.block = binary.BigEndian.AppendUint64(w.block, uint64(e.sum.points))
	w.block = binary.BigEndian.AppendUint32(w.block, uint32(e.sum.minute))
	w.footer.entries++
	if len(w.block) == perBlock*entrySize {
		return w.flush()
	}
	return nil
}

func (w *sortedWriter) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	filled := len(w.block)
	w.block = w.block[:blockSize]
	clear(w.block[filled:])
	binary.BigEndian.PutUint32(w.block[blockSize-4:], blockSum(w.blocks, w.block))
	_, err := w.to.Write(w.block)
	w.block = w.block[:0]
	w.blocks++
	return err
}

func blockSum(number uint64, block []byte) uint32 {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], number)
	return crc32.Update(crc32.Checksum(n[:], castagnoli), castagnoli, block[:blockSize-4])
}

// finish writes the keys and the footer, syncs the file and renames it.
func (w *sortedWriter) finish(forgotten []domain.ProxyKey) error {
	err := w.flush()
	w.footer.forgotten = int64(len(forgotten))
	end := make([]byte, 0, len(forgotten)*16+footerSize)
	for _, key := range forgotten {
		end = append(end, key[:]...)
	}
	end = w.footer.append(end)
	end = binary.BigEndian.AppendUint32(end, crc32.Checksum(end, castagnoli))
	end = binary.BigEndian.AppendUint32(end, magic)
	if err == nil {
		_, err = w.to.Write(end)
	}
	if err == nil {
		err = w.to.Flush()
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err == nil {
		err = os.Rename(w.path+temporary, w.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(w.path+temporary))
	}
	return syncFolder(filepath.Dir(w.path))
}

// abandon removes the unfinished file.
func (w *sortedWriter) abandon() error {
	return errors.Join(w.file.Close(), os.Remove(w.path+temporary))
}

// syncFolder syncs the names of files in a folder.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sortedFile reads a sorted file.
type sortedFile struct {
	file   io.ReaderAt
	path   string
	footer footer
	// size is that of an entry.
	size int64
	// forgotten are the keys that are retired in a run's segment.
	forgotten []domain.ProxyKey
	close     func() error
}

// openSorted opens a sorted file. A damaged one is a *damagedError.
func openSorted(path string) (*sortedFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &sortedFile{file: f, path: path, close: f.Close}
	if err := s.readFooter(info.Size()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *sortedFile) readFooter(size int64) error {
	var last [footerSize]byte
	if size < footerSize {
		return &damagedError{s.path}
	}
	if _, err := s.file.ReadAt(last[:], size-footerSize); err != nil {
		return err
	}
	s.footer.parse(last[:])
	f, room := &s.footer, size-footerSize
	s.size = map[uint32]int64{magic: entrySize, magic1: entrySize1}[binary.BigEndian.Uint32(last[footerSize-4:])]
	if s.size == 0 || f.entries < 0 || f.entries > size || f.forgotten < 0 || f.forgotten > size ||
		s.blocks()*blockSize+f.forgotten*16 != room {
		return &damagedError{s.path}
	}
	end := make([]byte, f.forgotten*16+footerSize)
	if _, err := s.file.ReadAt(end, room-f.forgotten*16); err != nil {
		return err
	}
	if crc32.Checksum(end[:len(end)-8], castagnoli) != binary.BigEndian.Uint32(end[len(end)-8:]) {
		return &damagedError{s.path}
	}
	for i := range f.forgotten {
		s.forgotten = append(s.forgotten, domain.ProxyKey(end[16*i:]))
	}
	return nil
}

// perBlock is the number of entries in a block.
func (s *sortedFile) perBlock() int64 { return (blockSize - 16) / s.size }

func (s *sortedFile) blocks() int64 { return (s.footer.entries + s.perBlock() - 1) / s.perBlock() }

// read reads n blocks from a block on, and appends their entries.
func (s *sortedFile) read(from, n int64, buffer []byte, to []entry) ([]entry, error) {
	buffer = buffer[:n*blockSize]
	if _, err := s.file.ReadAt(buffer, from*blockSize); err != nil {
		return to, fmt.Errorf("read %s: %w", s.path, err)
	}
	for i := range n {
		block := buffer[i*blockSize:][:blockSize]
		if blockSum(uint64(from+i), block) != binary.BigEndian.Uint32(block[blockSize-4:]) {
			return to, &damagedError{s.path}
		}
		for range min(s.perBlock(), s.footer.entries-(from+i)*s.perBlock()) {
			to = append(to, entry{head: binary.BigEndian.Uint64(block), tail: binary.BigEndian.Uint64(block[8:]), sum: s.sum(block[16:])})
			block = block[s.size:]
		}
	}
	return to, nil
}

// sum reads the sum of an entry.
func (s *sortedFile) sum(from []byte) sum {
	if first := binary.BigEndian.Uint64(from); s.size == entrySize {
		return sum{domain.Points(first), int32(binary.BigEndian.Uint32(from[8:]))}
	} else if first != forgotten1 {
		return unpack(first)
	}
	return forgotten
}

// find looks a customer up by their key.
func (s *sortedFile) find(key domain.ProxyKey) (in sum, found bool, err error) {
	want := newEntry(key, sum{})
	var buffer [blockSize]byte
	var room [blockSize / entrySize1]entry
	for low, high := int64(0), s.blocks(); low < high; {
		middle := (low + high) / 2
		entries, err := s.read(middle, 1, buffer[:], room[:0])
		if err != nil {
			return in, false, err
		}
		switch {
		case want.precedes(&entries[0]):
			high = middle
		case entries[len(entries)-1].precedes(&want):
			low = middle + 1
		default:
			in, found = findEntry(entries, key)
			return in, found, nil
		}
	}
	return in, false, nil
}

// source yields all entries.
func (s *sortedFile) source(ctx context.Context) *source {
	var at int64
	buffer, room := make([]byte, readBlocks*blockSize), make([]entry, 0, readBlocks*s.perBlock())
	return &source{more: func() ([]entry, error) {
		n := min(readBlocks, s.blocks()-at)
		if n == 0 {
			return nil, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries, err := s.read(at, n, buffer, room)
		at += n
		return entries, err
	}}
}
