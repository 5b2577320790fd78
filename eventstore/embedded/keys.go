package embedded

import (
	"encoding/binary"
	"math"
)

const (
	logKind    = 'e'
	formatKind = 'f'
	headKind   = 'h'
	streamKind = 's'
)

// tombstoned is the revision of the event that ends a stream for ever, and with it the last revision of such a stream.
const tombstoned int64 = math.MaxInt64

// noRevision is the last revision of a stream without events.
const noRevision int64 = -1

func logKey(dst []byte, position uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst[:0], logKind), position)
}

func logKeyPosition(key []byte) (uint64, bool) {
	if len(key) != 9 || key[0] != logKind {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

func headKey(dst []byte, stream string) []byte {
	return append(append(dst[:0], headKind), stream...)
}

// streamKey carries the name's length before the name, so that no name is the prefix of another's keys.
func streamKey(dst []byte, stream string, revision int64) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst[:0], streamKind), uint16(len(stream)))
	return binary.BigEndian.AppendUint64(append(dst, stream...), uint64(revision))
}

func streamKeyRevision(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[len(key)-8:]))
}

// after is the first key greater than key.
func after(key []byte) []byte {
	return append(key, 0)
}
