package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// The log of changes is a sequence of frames, one for each batch. A frame is a header and a record for each change. Numbers are big endian.
//
//	header  4 bytes   CRC-32C of all that follows
//	        4         number of records, and in the highest bit whether there is an origin
//	        32        the positions of the batch's From and To, commit and prepare of each
//	        8         AsOf in ticks, or noTime
//	origin  2         its length
//	                  the origin of the batch's To, see domain.Checkpoint; frames of earlier versions of the program have none
//	record  16 bytes  key
//	        8         points and, in the last minuteBits, minute
//	        16        position, commit and prepare
//	        8         when the event was stored, in ticks, and in the last kindBits the kind less one
//
// An incomplete frame counts as not written.
const (
	headerSize = 48
	hasOrigin  = 1 << 31
	recordSize = 48
	kindBits   = 2
	minuteBits = 26
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A time is stored in ticks of 100 nanoseconds since the Unix epoch, the resolution of the event store.
const (
	tick   = 100 * time.Nanosecond
	noTime = -1 << 62
	// maxTicks is the greatest time that fits beside a kind: some 7,000 years.
	maxTicks = 1<<61 - 1
)

func ticks(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	switch year := t.Year(); { // clamp what is out of range
	case year < 0:
		return -maxTicks
	case year > 9000:
		return maxTicks
	}
	return t.Unix()*int64(time.Second/tick) + int64(t.Nanosecond())/int64(tick)
}

func timeOf(ticks int64) time.Time {
	if ticks == noTime {
		return time.Time{}
	}
	second := int64(time.Second / tick)
	return time.Unix(ticks/second, ticks%second*int64(tick)).UTC()
}

// header is the header of a frame.
type header struct {
	sum      uint32
	records  uint32
	from, to domain.Position
	asOf     int64 // ticks
	origin   string
}

// size is that of a header with its origin.
func (h *header) size() int64 {
	if h.origin == "" {
		return headerSize
	}
	return headerSize + 2 + int64(len(h.origin))
}

// appendFrame appends a batch as a frame, with the origin of its To.
func appendFrame(to []byte, b *Batch, origin string, asOf int64) []byte {
	start, records := len(to), uint32(len(b.Changes))
	if origin != "" {
		records |= hasOrigin
	}
	to = binary.BigEndian.AppendUint32(to, 0)
	to = binary.BigEndian.AppendUint32(to, records)
	to = appendPosition(appendPosition(to, b.From.Position), b.To.Position)
	to = binary.BigEndian.AppendUint64(to, uint64(asOf))
	if origin != "" {
		to = append(binary.BigEndian.AppendUint16(to, uint16(len(origin))), origin...)
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		to = append(to, c.Key[:]...)
		to = binary.BigEndian.AppendUint64(to, uint64(int64(c.Points)<<minuteBits|min(max(c.Minute, 0), leaderboard.MaxMinute)))
		to = appendPosition(to, c.Position)
		to = binary.BigEndian.AppendUint64(to, uint64(ticks(c.Stored)<<kindBits|int64(c.Kind-1)))
	}
	binary.BigEndian.PutUint32(to[start:], crc32.Checksum(to[start+4:], castagnoli))
	return to
}

func appendPosition(to []byte, p domain.Position) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(to, p.Commit), p.Prepare)
}

func readPosition(from []byte) domain.Position {
	return domain.Position{Commit: binary.BigEndian.Uint64(from), Prepare: binary.BigEndian.Uint64(from[8:])}
}

// record is an encoded change.
type record []byte

func (r record) is(key *domain.ProxyKey) bool { return bytes.Equal(r[:16], key[:]) }
func (r record) position() domain.Position    { return readPosition(r[24:]) }
func (r record) stored() int64                { return int64(binary.BigEndian.Uint64(r[40:])) >> kindBits }
func (r record) kind() Kind                   { return Kind(r[47]&(1<<kindBits-1)) + 1 }
func (r record) points() domain.Points        { return r.sum().points }
func (r record) sum() sum                     { return unpack(binary.BigEndian.Uint64(r[16:])) }

// unpack splits the points and the minute of a record.
func unpack(packed uint64) sum {
	return sum{domain.Points(int64(packed) >> minuteBits), int32(packed & (1<<minuteBits - 1))}
}

// entry is the change as an entry; moves is false if it has no effect.
func (r record) entry() (e entry, moves bool) {
	e = newEntry(domain.ProxyKey(r[:16]), r.sum())
	if r.kind() == Forgotten {
		e.sum = forgotten
	}
	return e, e.sum == forgotten || e.sum.points != 0
}

// errIncomplete is the error of an incomplete or damaged frame.
var errIncomplete = errors.New("a frame is incomplete or damaged")

// frames reads a log's frames, one after the other.
type frames struct {
	from io.Reader
	// left is the number of bytes not yet read.
	left int64
	// complete is the number of bytes of complete frames that were read.
	complete int64
	buffer   []byte
}

// next reads a frame; its records are valid until the next call. At the end it returns io.EOF, for an incomplete or damaged frame
// errIncomplete.
func (f *frames) next() (h header, records []byte, err error) {
	if f.left == 0 {
		return h, nil, io.EOF
	}
	if f.left < headerSize {
		return h, nil, errIncomplete
	}
	var head [headerSize]byte
	if err := f.read(head[:]); err != nil {
		return h, nil, err
	}
	h = header{
		sum: binary.BigEndian.Uint32(head[:]), records: binary.BigEndian.Uint32(head[4:]),
		from: readPosition(head[8:]), to: readPosition(head[24:]), asOf: int64(binary.BigEndian.Uint64(head[40:])),
	}
	sum := crc32.Checksum(head[4:], castagnoli)
	if h.records&hasOrigin != 0 {
		h.records &^= hasOrigin
		length, err := f.take(2, &sum)
		if err != nil {
			return h, nil, err
		}
		origin, err := f.take(int64(binary.BigEndian.Uint16(length)), &sum)
		if err != nil {
			return h, nil, err
		}
		if h.origin = string(origin); h.origin == "" {
			return h, nil, errIncomplete // no writer says that there is one, and writes none
		}
	}
	if records, err = f.take(int64(h.records)*recordSize, &sum); err != nil {
		return h, nil, err
	}
	if sum != h.sum {
		return h, nil, errIncomplete
	}
	f.complete += h.size() + int64(len(records))
	return h, records, nil
}

// take reads size bytes into the buffer, and adds them to a checksum.
func (f *frames) take(size int64, sum *uint32) ([]byte, error) {
	if size > f.left {
		return nil, errIncomplete
	}
	if int64(cap(f.buffer)) < size {
		f.buffer = make([]byte, size)
	}
	part := f.buffer[:size]
	err := f.read(part)
	*sum = crc32.Update(*sum, castagnoli, part)
	return part, err
}

func (f *frames) read(into []byte) error {
	n, err := io.ReadFull(f.from, into)
	f.left -= int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errIncomplete
	}
	return err
}
