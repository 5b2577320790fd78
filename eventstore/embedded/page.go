package embedded

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// A page is full when it holds this many messages or bytes (one event more at most). It bounds the memory for a client that stops reading.
const (
	pageMessages = 512
	pageBytes    = 256 << 10
)

// Field numbers of ReadResp and of the messages in it (streams.proto).
const (
	respEvent      = 1
	respCheckpoint = 3
	readEvent      = 1
	readLink       = 2
	readCommit     = 3
	checkCommit    = 1
	checkPrepare   = 2
)

// page holds encoded messages of a read until they are sent.
type page struct {
	buf  []byte
	ends []int
}

func (p *page) full() bool { return len(p.ends) >= pageMessages || len(p.buf) >= pageBytes }

func (p *page) end() { p.ends = append(p.ends, len(p.buf)) }

// event adds an event, as the RecordedEvent messages of it and of the link to it (either may be nil, not both), and the position of what was
// read: of the link, if there is one.
func (p *page) event(event, link []byte, position uint64) {
	size := protowire.SizeTag(readCommit) + protowire.SizeVarint(position)
	if event != nil {
		size += protowire.SizeTag(readEvent) + protowire.SizeBytes(len(event))
	}
	if link != nil {
		size += protowire.SizeTag(readLink) + protowire.SizeBytes(len(link))
	}
	b := protowire.AppendTag(p.buf, respEvent, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	if event != nil {
		b = protowire.AppendTag(b, readEvent, protowire.BytesType)
		b = protowire.AppendBytes(b, event)
	}
	if link != nil {
		b = protowire.AppendTag(b, readLink, protowire.BytesType)
		b = protowire.AppendBytes(b, link)
	}
	b = protowire.AppendTag(b, readCommit, protowire.VarintType)
	p.buf = protowire.AppendVarint(b, position)
	p.end()
}

// checkpoint adds a checkpoint of a filtered subscription: the position up to which it has read.
func (p *page) checkpoint(position uint64) {
	size := 2 + 2*protowire.SizeVarint(position)
	b := protowire.AppendTag(p.buf, respCheckpoint, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, checkCommit, protowire.VarintType)
	b = protowire.AppendVarint(b, position)
	b = protowire.AppendTag(b, checkPrepare, protowire.VarintType)
	p.buf = protowire.AppendVarint(b, position)
	p.end()
}

// message adds any other message.
func (p *page) message(m *streams.ReadResp) error {
	b, err := proto.MarshalOptions{}.MarshalAppend(p.buf, m)
	if err != nil {
		return err
	}
	p.buf = b
	p.end()
	return nil
}

// send sends and empties the page. It blocks while the client is not reading. The error is gRPC's.
func (p *page) send(stream grpc.ServerStream) error {
	start := 0
	for _, end := range p.ends {
		if err := stream.SendMsg(frame(p.buf[start:end:end])); err != nil {
			return err
		}
		start = end
	}
	// gRPC may still be sending the buffer. The next page needs its own, probably of about the same size.
	p.buf, p.ends = make([]byte, 0, len(p.buf)+len(p.buf)/8), p.ends[:0]
	return nil
}
