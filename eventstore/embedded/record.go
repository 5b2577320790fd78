package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
)

// ErrDamaged is the error of damaged data: a checksum is wrong, or an event is missing or in the wrong place. Reads return it; a damaged event
// is never served.
var ErrDamaged = errors.New("eventstore: stored data is damaged")

// Field numbers of RecordedEvent (streams.proto).
const (
	fieldID       = 1
	fieldStream   = 2
	fieldRevision = 3
	fieldPrepare  = 4
	fieldCommit   = 5
	fieldMetadata = 6
	fieldCustom   = 7
	fieldData     = 8
)

// Keys of RecordedEvent.metadata, and the two content types.
const (
	metaType        = "type"
	metaContentType = "content-type"
	metaCreated     = "created"
	contentJSON     = "application/json"
	contentBinary   = "application/octet-stream"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumSize is the number of bytes before the message in a stored event: its CRC-32C, little-endian.
const checksumSize = 4

// proposal is an event to append. body is the part of its RecordedEvent that does not depend on its place in the log. The request's own
// goroutine builds it, so that the writer only has to prepend the place. data points into body.
type proposal struct {
	id   uuid.UUID
	body []byte
	data []byte
}

// propose builds the proposal of one event. Like EventStoreDB, it stores only whether the content type is JSON.
func propose(id uuid.UUID, stream string, eventType []byte, isJSON bool, data, custom []byte) proposal {
	contentType := contentBinary
	if isJSON {
		contentType = contentJSON
	}
	body := make([]byte, 0, 112+len(stream)+len(eventType)+len(data)+len(custom))
	body = protowire.AppendTag(body, fieldStream, protowire.BytesType)
	body = protowire.AppendVarint(body, uint64(1+protowire.SizeBytes(len(stream))))
	body = protowire.AppendTag(body, 3, protowire.BytesType)
	body = protowire.AppendString(body, stream)
	body = appendMetadata(body, metaType, eventType)
	body = appendMetadata(body, metaContentType, contentType)
	body = appendStructuredID(body, id)
	if len(custom) > 0 {
		body = protowire.AppendTag(body, fieldCustom, protowire.BytesType)
		body = protowire.AppendBytes(body, custom)
	}
	if len(data) > 0 {
		body = protowire.AppendTag(body, fieldData, protowire.BytesType)
		body = protowire.AppendBytes(body, data)
	}
	return proposal{id: id, body: body, data: body[len(body)-len(data):]}
}

func appendMetadata[V string | []byte](b []byte, key string, value V) []byte {
	b = protowire.AppendTag(b, fieldMetadata, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(2+protowire.SizeBytes(len(key))+protowire.SizeBytes(len(value))))
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, key)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(value)))
	return append(b, value...)
}

func appendStructuredID(b []byte, id uuid.UUID) []byte {
	most, least := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	size := 2 + protowire.SizeVarint(most) + protowire.SizeVarint(least)
	b = protowire.AppendTag(b, fieldID, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(size)))
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, most)
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	return protowire.AppendVarint(b, least)
}

// ticks is a time in EventStoreDB's unit: 100 ns since the Unix epoch.
func ticks(t time.Time) int64 { return t.UnixNano() / 100 }

// appendRecord appends to dst the stored form of p at its place in the log.
func appendRecord(dst []byte, p proposal, revision int64, position uint64, created int64) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = protowire.AppendTag(dst, fieldRevision, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(revision))
	dst = protowire.AppendTag(dst, fieldPrepare, protowire.VarintType)
	dst = protowire.AppendVarint(dst, position)
	dst = protowire.AppendTag(dst, fieldCommit, protowire.VarintType)
	dst = protowire.AppendVarint(dst, position)
	var digits [20]byte
	dst = appendMetadata(dst, metaCreated, strconv.AppendInt(digits[:0], created, 10))
	dst = append(dst, p.body...)
	binary.LittleEndian.PutUint32(dst[start:], crc32.Checksum(dst[start+checksumSize:], castagnoli))
	return dst
}

// record is a parsed stored event; its slices point into the message.
type record struct {
	revision    int64
	position    uint64
	id          uuid.UUID
	stream      []byte
	eventType   []byte
	contentType []byte
	created     int64
	custom      []byte
	data        []byte
}

// openRecord verifies a stored event's checksum and position, and parses it. The message is the RecordedEvent; it points into value. The
// error is ErrDamaged.
func openRecord(value []byte, position uint64) (message []byte, r record, err error) {
	if len(value) < checksumSize {
		return nil, r, fmt.Errorf("event at position %d: %d bytes are too few: %w", position, len(value), ErrDamaged)
	}
	message = value[checksumSize:]
	if crc32.Checksum(message, castagnoli) != binary.LittleEndian.Uint32(value) {
		return nil, r, fmt.Errorf("event at position %d: wrong checksum: %w", position, ErrDamaged)
	}
	if r, err = parseRecord(message); err != nil {
		return nil, r, fmt.Errorf("event at position %d: %w", position, err)
	}
	if r.position != position {
		return nil, r, fmt.Errorf("event at position %d says it belongs to position %d: %w", position, r.position, ErrDamaged)
	}
	return message, r, nil
}

// parseRecord parses a RecordedEvent without copying. It accepts what appendRecord writes, and ignores unknown fields, so that an older
// program can read the events of a newer one. The error is ErrDamaged.
func parseRecord(message []byte) (r record, err error) {
	var seen uint16
	for rest := message; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return record{}, ErrDamaged
		}
		rest = rest[n:]
		var number uint64
		var bytes []byte
		switch typ {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(rest)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(rest)
		default:
			n = protowire.ConsumeFieldValue(num, typ, rest)
		}
		if n < 0 {
			return record{}, ErrDamaged
		}
		rest = rest[n:]
		if num > fieldData || (typ == protowire.VarintType) != (num >= fieldRevision && num <= fieldCommit) {
			continue
		}
		seen |= 1 << num
		switch num {
		case fieldID:
			err = r.parseID(bytes)
		case fieldStream:
			r.stream, err = onlyBytesField(bytes, 3)
		case fieldRevision:
			r.revision = int64(number)
		case fieldCommit:
			r.position = number
		case fieldMetadata:
			err = r.parseMetadata(bytes)
		case fieldCustom:
			r.custom = bytes
		case fieldData:
			r.data = bytes
		}
		if err != nil {
			return record{}, err
		}
	}
	const needed = 1<<fieldID | 1<<fieldStream | 1<<fieldRevision | 1<<fieldPrepare | 1<<fieldCommit | 1<<fieldMetadata
	if seen&needed != needed || len(r.eventType) == 0 || r.revision < 0 {
		return record{}, ErrDamaged
	}
	return r, nil
}

func (r *record) parseMetadata(entry []byte) error {
	key, n := bytesField(entry, 1)
	if n < 0 {
		return ErrDamaged
	}
	value, err := onlyBytesField(entry[n:], 2)
	if err != nil {
		return err
	}
	switch string(key) {
	case metaType:
		r.eventType = value
	case metaContentType:
		r.contentType = value
	case metaCreated:
		if r.created, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			return ErrDamaged
		}
	}
	return nil
}

func (r *record) parseID(wrapped []byte) error {
	b, err := onlyBytesField(wrapped, 1)
	if err != nil {
		return err
	}
	for half := range 2 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || num != protowire.Number(half+1) || typ != protowire.VarintType {
			return ErrDamaged
		}
		bits, m := protowire.ConsumeVarint(b[n:])
		if m < 0 {
			return ErrDamaged
		}
		binary.BigEndian.PutUint64(r.id[8*half:], bits)
		b = b[n+m:]
	}
	if len(b) != 0 {
		return ErrDamaged
	}
	return nil
}

// bytesField parses the length-delimited field want at the start of b; n is its length, negative if it is not there.
func bytesField(b []byte, want protowire.Number) (value []byte, n int) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 || num != want || typ != protowire.BytesType {
		return nil, -1
	}
	value, m := protowire.ConsumeBytes(b[n:])
	if m < 0 {
		return nil, -1
	}
	return value, n + m
}

func onlyBytesField(b []byte, want protowire.Number) ([]byte, error) {
	value, n := bytesField(b, want)
	if n != len(b) {
		return nil, ErrDamaged
	}
	return value, nil
}
