package embedded

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that codec falls back to
	"google.golang.org/grpc/mem"
)

// frame is a message that is already encoded.
type frame []byte

// codec is gRPC's protobuf codec with two shortcuts. It sends a frame as it is: events are stored in their wire format, so that reads need
// not decode and encode them. And it lets incoming decode the messages of an append.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal encodes a message, or passes a frame on. A frame must not be modified afterwards, because gRPC sends it later.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal decodes a message. An incoming decodes itself.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if in, ok := v.(*incoming); ok {
		return in.unmarshal(data)
	}
	return c.CodecV2.Unmarshal(data, v)
}
