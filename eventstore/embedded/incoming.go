package embedded

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// incoming receives the messages of one Append call. The first carries options. Each of the others is parsed in place and made a proposal, so
// that an event is copied only once, into its stored form.
type incoming struct {
	options *streams.AppendReq_Options // of the first message
	stream  string                     // to be set after the first message
	skip    bool                       // messages are received but not parsed

	dataOnly bool // see profile

	event proposal
	size  int // of the event, as maxAppendBytes counts
	err   error
}

var errMalformed = errors.New("malformed message")

// Field numbers of AppendReq and of the messages in it (streams.proto, shared.proto).
const (
	reqOptions     = 1
	reqProposed    = 2
	proposedID     = 1
	proposedMeta   = 2
	proposedCustom = 3
	proposedData   = 4
)

// unmarshal parses one message. An invalid event is in err; the returned error is for a message that isn't an AppendReq at all.
func (in *incoming) unmarshal(data mem.BufferSlice) error {
	if in.skip {
		return nil
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	message := buffer.ReadOnlyData()
	in.event, in.size, in.err = proposal{}, 0, errInvalid("append: an event is missing from a message")
	for len(message) > 0 {
		num, typ, value, n := consumeField(message)
		if n < 0 {
			return errMalformed
		}
		message = message[n:]
		switch {
		case num == reqOptions && typ == protowire.BytesType:
			in.options = &streams.AppendReq_Options{}
			if err := proto.Unmarshal(value, in.options); err != nil {
				return err
			}
		case num == reqProposed && typ == protowire.BytesType:
			var p proposedEvent
			if err := p.parse(value); err != nil {
				return err
			}
			in.size = p.size(in.dataOnly)
			in.event, in.err = p.propose(in.stream)
		}
	}
	return nil
}

// consumeField parses the field at the start of a message; value is that of a length-delimited field, n the field's length, negative if it
// is malformed.
func consumeField(message []byte) (num protowire.Number, typ protowire.Type, value []byte, n int) {
	num, typ, n = protowire.ConsumeTag(message)
	if n < 0 {
		return num, typ, nil, n
	}
	m := protowire.ConsumeFieldValue(num, typ, message[n:])
	if m < 0 {
		return num, typ, nil, m
	}
	value, _ = protowire.ConsumeBytes(message[n:])
	return num, typ, value, n + m
}

// proposedEvent is an event as a client proposes it.
type proposedEvent struct {
	id          uuid.UUID
	eventType   []byte
	contentType []byte
	hasType     bool
	hasContent  bool
	custom      []byte
	data        []byte
}

// parse parses a ProposedMessage; the slices point into it.
func (p *proposedEvent) parse(message []byte) error {
	for len(message) > 0 {
		num, typ, value, n := consumeField(message)
		if n < 0 {
			return errMalformed
		}
		message = message[n:]
		if typ != protowire.BytesType {
			continue
		}
		switch num {
		case proposedID:
			p.id = parseUUID(value)
		case proposedMeta:
			key, n := bytesField(value, 1)
			if n < 0 {
				return errMalformed
			}
			property, err := onlyBytesField(value[n:], 2)
			if err != nil {
				return errMalformed
			}
			switch string(key) {
			case metaType:
				p.eventType, p.hasType = property, true
			case metaContentType:
				p.contentType, p.hasContent = property, true
			}
		case proposedCustom:
			p.custom = value
		case proposedData:
			p.data = value
		}
	}
	return nil
}

// parseUUID parses a UUID message in either form; it is uuid.Nil if it is malformed.
func parseUUID(message []byte) (id uuid.UUID) {
	if structured, n := bytesField(message, 1); n > 0 {
		// A half that is zero is omitted.
		for len(structured) > 0 {
			num, typ, n := protowire.ConsumeTag(structured)
			if n < 0 || typ != protowire.VarintType || num < 1 || num > 2 {
				return uuid.Nil
			}
			bits, m := protowire.ConsumeVarint(structured[n:])
			if m < 0 {
				return uuid.Nil
			}
			binary.BigEndian.PutUint64(id[8*(num-1):], bits)
			structured = structured[n+m:]
		}
		return id
	}
	text, n := bytesField(message, 2)
	if n < 0 {
		return uuid.Nil
	}
	id, err := uuid.ParseBytes(text)
	if err != nil {
		return uuid.Nil
	}
	return id
}

// size is what counts against maxAppendBytes.
func (p *proposedEvent) size(dataOnly bool) int {
	if dataOnly {
		return len(p.data)
	}
	return len(p.data) + len(p.custom) + 2*len(p.eventType)
}

func (p *proposedEvent) propose(stream string) (proposal, error) {
	switch {
	case !p.hasType:
		return proposal{}, errNoProperty(metaType)
	case !p.hasContent:
		return proposal{}, errNoProperty(metaContentType)
	case len(p.eventType) == 0:
		return proposal{}, errInvalid("append: the type of an event is empty")
	case !utf8.Valid(p.eventType):
		return proposal{}, errInvalid("append: the type of an event is not UTF-8")
	case p.id == uuid.Nil:
		return proposal{}, errInvalid("append: the id of an event is missing or not a UUID")
	}
	return propose(p.id, stream, p.eventType, string(p.contentType) == contentJSON, p.data, p.custom), nil
}
