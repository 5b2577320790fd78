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

// incoming receives the messages of one Append call. The first carries options; each of the others is turned into a proposal
// where it lies, so that an event is copied once, into the form it is stored in.
type incoming struct {
	options *streams.AppendReq_Options // of the first message
	stream  string                     // to be set after the first message
	skip    bool                       // messages are only received, not looked at

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

// unmarshal reads one message. What is wrong with an event is kept in err; the error is for what isn't an AppendReq at all.
func (in *incoming) unmarshal(data mem.BufferSlice) error {
	if in.skip {
		return nil
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	message := buffer.ReadOnlyData()
	in.event, in.size, in.err = proposal{}, 0, errInvalid("append: an event is missing from a message")
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errMalformed
		}
		m := protowire.ConsumeFieldValue(num, typ, message[n:])
		if m < 0 {
			return errMalformed
		}
		value, _ := protowire.ConsumeBytes(message[n:])
		message = message[n+m:]
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
			in.size = p.size()
			in.event, in.err = p.propose(in.stream)
		}
	}
	return nil
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

// parse reads a ProposedMessage; the slices point into it.
func (p *proposedEvent) parse(message []byte) error {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errMalformed
		}
		m := protowire.ConsumeFieldValue(num, typ, message[n:])
		if m < 0 {
			return errMalformed
		}
		value, _ := protowire.ConsumeBytes(message[n:])
		message = message[n+m:]
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

// parseUUID reads a UUID message in either form; all zeros when it is none.
func parseUUID(message []byte) (id uuid.UUID) {
	if structured, n := bytesField(message, 1); n > 0 {
		// A half that is zero is left out.
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

func (p *proposedEvent) size() int { return len(p.data) + len(p.custom) + 2*len(p.eventType) }

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
