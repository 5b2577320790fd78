package memory

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// A file holds blocks, each of elements of one size, then a description of them as JSON, and its length, its CRC-32C and the magic. Numbers are
// little-endian. The description is at the end, so that a file that was not written to its end has none.
const (
	magic       = "loyboard"
	footerSize  = 8 + len(magic)
	fileVersion = 1
	// perBlock is the most elements in a block: 1.5 MiB of entries, which are copied in less than a millisecond.
	perBlock  = 1 << 16
	entrySize = 24
	keySize   = len(domain.ProxyKey{})
	totalSize = keySize + 8
	// maxDescription is more than the blocks of four billion customers take.
	maxDescription = 64 << 20
)

// block is where so many elements are.
type block struct {
	Offset int64  `json:"offset"`
	Count  int    `json:"count"`
	Sum    uint32 `json:"crc32c"`
}

// description is what a file says about itself: whose the board is, what it reflects, and where its parts are.
type description struct {
	Version  int             `json:"version"`
	Of       string          `json:"of"`
	Position domain.Position `json:"position"`
	Origin   string          `json:"origin"`
	AsOf     time.Time       `json:"asOf"`
	// Customers is how many are on the board.
	Customers int `json:"customers"`
	// Entries are in order. Those of customers in Changed, or retired, are of earlier positions and don't count.
	Entries []block `json:"entries"`
	Changed []block `json:"changed"`
	Retired []block `json:"retired"`
	// Beyond are keys with the true totals of customers beyond the clamp.
	Beyond []block `json:"beyond"`
}

func (d *description) snapshot() (leaderboard.Snapshot, error) {
	at, err := domain.ParseCheckpoint(d.Position, d.Origin)
	return leaderboard.Snapshot{Checkpoint: at, AsOf: d.AsOf}, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writer writes blocks one after the other.
type writer struct {
	to io.Writer
	at int64
}

// block writes elements that are encoded.
func (w *writer) block(data []byte, size int) (block, error) {
	b := block{Offset: w.at, Count: len(data) / size, Sum: crc32.Checksum(data, castagnoli)}
	n, err := w.to.Write(data)
	w.at += int64(n)
	return b, err
}

// end writes the description.
func (w *writer) end(d description) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	footer := binary.LittleEndian.AppendUint32(text, uint32(len(text)))
	footer = binary.LittleEndian.AppendUint32(footer, crc32.Checksum(text, castagnoli))
	_, err = w.to.Write(append(footer, magic...))
	return err
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: the file of a leaderboard is damaged: "+format, append([]any{domain.ErrInvalid}, args...)...)
}

// describe reads the description of a file of so many bytes, and checks that its blocks are within the file.
func describe(file io.ReaderAt, size int64) (d description, err error) {
	footer := make([]byte, footerSize)
	if size < int64(footerSize) {
		return d, damaged("it has %d bytes", size)
	}
	if _, err := file.ReadAt(footer, size-int64(footerSize)); err != nil {
		return d, err
	}
	length, sum := int64(binary.LittleEndian.Uint32(footer)), binary.LittleEndian.Uint32(footer[4:])
	begin := size - int64(footerSize) - length
	if string(footer[8:]) != magic || begin < 0 || length > maxDescription {
		return d, damaged("it has no end")
	}
	text := make([]byte, length)
	if _, err := file.ReadAt(text, begin); err != nil {
		return d, err
	}
	if crc32.Checksum(text, castagnoli) != sum {
		return d, damaged("the sum of its description is another")
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, damaged("%v", err)
	}
	if d.Version != fileVersion {
		return d, fmt.Errorf("%w: the file of a leaderboard has version %d, and this program reads version %d", domain.ErrInvalid, d.Version, fileVersion)
	}
	room := begin
	for _, part := range []struct {
		blocks []block
		size   int
	}{{d.Entries, entrySize}, {d.Changed, entrySize}, {d.Retired, keySize}, {d.Beyond, totalSize}} {
		for _, b := range part.blocks {
			if b.Count < 1 || b.Count > perBlock || b.Offset < 0 || b.Offset > begin-int64(b.Count*part.size) {
				return d, damaged("it has no block of %d at %d", b.Count, b.Offset)
			}
			if room -= int64(b.Count * part.size); room < 0 {
				return d, damaged("its blocks are more than it has room for")
			}
		}
	}
	if total := count(d.Entries) + count(d.Changed); d.Customers < 0 || d.Customers > total || total > maxCustomers {
		return d, damaged("it has no %d customers", d.Customers)
	}
	return d, nil
}

func count(blocks []block) (n int) {
	for _, b := range blocks {
		n += b.Count
	}
	return n
}

// read reads a block of elements of a size into a buffer, which grows.
func (b block) read(file io.ReaderAt, size int, buffer *[]byte) ([]byte, error) {
	*buffer = slices.Grow((*buffer)[:0], b.Count*size)[:b.Count*size]
	if _, err := file.ReadAt(*buffer, b.Offset); err != nil {
		return nil, err
	}
	if crc32.Checksum(*buffer, castagnoli) != b.Sum {
		return nil, damaged("the sum of the block at %d is another", b.Offset)
	}
	return *buffer, nil
}

// readEach reads blocks of elements of a size, and calls do with each element.
func readEach(file io.ReaderAt, blocks []block, size int, do func(element []byte) error) error {
	var buffer []byte
	for _, b := range blocks {
		data, err := b.read(file, size, &buffer)
		for ; err == nil && len(data) > 0; data = data[size:] {
			err = do(data[:size])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func appendEntry(data []byte, e entry) []byte {
	data = binary.LittleEndian.AppendUint64(data, e.place)
	data = binary.LittleEndian.AppendUint64(data, e.head)
	return binary.LittleEndian.AppendUint64(data, e.tail)
}

func decodeEntry(data []byte) (entry, error) {
	e := entry{binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:]), binary.LittleEndian.Uint64(data[16:])}
	if e.place>>minuteBits > uint64(2*domain.MaxRanked) {
		return e, damaged("somebody has %d points", e.points())
	}
	return e, nil
}

// decodeEntries decodes a block of entries, which must be in order, after one.
func decodeEntries(data []byte, into []entry) error {
	for i := range into {
		e, err := decodeEntry(data[i*entrySize:])
		if err != nil {
			return err
		}
		if i > 0 && !into[i-1].before(e) {
			return damaged("its entries are not in order")
		}
		into[i] = e
	}
	return nil
}

func appendTotal(data []byte, key domain.ProxyKey, total domain.Points) []byte {
	return binary.LittleEndian.AppendUint64(append(data, key[:]...), uint64(total))
}

func decodeTotal(data []byte) (leaderboard.Standing, error) {
	s := leaderboard.Standing{Key: domain.ProxyKey(data[:keySize]), Points: domain.Points(binary.LittleEndian.Uint64(data[keySize:]))}
	if s.Points == s.Points.Ranked() {
		return s, damaged("%d points are not beyond what is ranked", s.Points)
	}
	return s, s.Check()
}
