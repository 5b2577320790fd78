package embedded

import (
	"time"

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

// Field numbers of ReadResp and of the messages in it (streams.proto). Those of times, and those in CaughtUp, are of the protocol of 24.10.5
// and later; the client's is older.
const (
	respEvent        = 1
	respCheckpoint   = 3
	respCaughtUp     = 8
	readEvent        = 1
	readLink         = 2
	readCommit       = 3
	checkTime        = 3
	caughtUpTime     = 1
	caughtUpRevision = 2
	caughtUpPosition = 3
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

// checkpoint adds a checkpoint of a filtered subscription, with a time if there is one.
func (p *page) checkpoint(position uint64, now *time.Time) {
	content := appendPosition(nil, position)
	if now != nil {
		content = appendTime(content, checkTime, *now)
	}
	p.buf = protowire.AppendTag(p.buf, respCheckpoint, protowire.BytesType)
	p.buf = protowire.AppendBytes(p.buf, content)
	p.end()
}

// caughtUp adds that a subscription has caught up, and where: place is caughtUpInAll, caughtUpInStream or nil. Without a time it says nothing.
func (p *page) caughtUp(now *time.Time, place []byte) {
	var content []byte
	if now != nil {
		content = append(appendTime(content, caughtUpTime, *now), place...)
	}
	p.buf = protowire.AppendTag(p.buf, respCaughtUp, protowire.BytesType)
	p.buf = protowire.AppendBytes(p.buf, content)
	p.end()
}

// caughtUpInAll is a position in $all as the place where a subscription has caught up.
func caughtUpInAll(position uint64) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, caughtUpPosition, protowire.BytesType), appendPosition(nil, position))
}

// caughtUpInStream is a revision of a stream as that place.
func caughtUpInStream(revision int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, caughtUpRevision, protowire.VarintType), uint64(revision))
}

func appendPosition(b []byte, position uint64) []byte {
	b = protowire.AppendTag(b, positionCommit, protowire.VarintType)
	b = protowire.AppendVarint(b, position)
	b = protowire.AppendTag(b, positionPrepare, protowire.VarintType)
	return protowire.AppendVarint(b, position)
}

// appendTime appends a google.protobuf.Timestamp.
func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	content := protowire.AppendTag(nil, 1, protowire.VarintType)
	content = protowire.AppendVarint(content, uint64(t.Unix()))
	content = protowire.AppendTag(content, 2, protowire.VarintType)
	content = protowire.AppendVarint(content, uint64(t.Nanosecond()))
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, content)
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
