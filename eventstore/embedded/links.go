package embedded

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// lastRevision stands in a link for the last event of its stream.
const lastRevision int64 = -1

// linkTarget reads the data of a link event, "revision@stream". As on EventStoreDB, ok is false, and the event one like others, only if the data
// doesn't begin with a number, which may have a sign and white space around it. Without an @ and a stream it is a link to nothing.
func linkTarget(data []byte) (stream string, revision int64, ok bool) {
	number, stream, _ := strings.Cut(string(data), "@")
	revision, err := strconv.ParseInt(strings.Trim(number, " \t\n\v\f\r"), 10, 64)
	return stream, revision, err == nil
}

// withStringID is a RecordedEvent with its id as text, for clients that ask for that, and otherwise unchanged.
func withStringID(message []byte) []byte {
	r, err := parseRecord(message)
	if err != nil {
		return message
	}
	text := r.id.String()
	changed := make([]byte, 0, len(message)+len(text))
	changed = protowire.AppendTag(changed, fieldID, protowire.BytesType)
	changed = protowire.AppendVarint(changed, uint64(1+protowire.SizeBytes(len(text))))
	changed = protowire.AppendTag(changed, 2, protowire.BytesType)
	changed = protowire.AppendString(changed, text)
	for rest := message; len(rest) > 0; {
		num, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return message
		}
		if num != fieldID {
			changed = append(changed, rest[:n]...)
		}
		rest = rest[n:]
	}
	return changed
}
