package storetest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// The calls that Front hands to a test, by the names of their methods.
const (
	MethodAppend   = "/event_store.client.streams.Streams/Append"
	MethodRead     = "/event_store.client.streams.Streams/Read"
	MethodFeatures = "/event_store.client.server_features.ServerFeatures/GetSupportedMethods"
)

// Front stands in front of an event store and passes calls on, unless the test answers them instead.
type Front struct {
	// Target is the connection string at which clients reach it.
	Target  string
	answer  atomic.Pointer[func(*Call) error]
	backend *grpc.ClientConn
	passed  atomic.Int64
}

// Call is a call from a client.
type Call struct {
	Method string
	// Request is the first message.
	Request []byte

	client grpc.ServerStream
	front  *Front
}

// InFrontOf starts a front of the store at a target, which ends with the test.
func InFrontOf(t testing.TB, target string) *Front {
	t.Helper()
	backend, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(frames{})))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Front{Target: "esdb://" + listener.Addr().String() + "?tls=false&maxDiscoverAttempts=1", backend: backend}
	server := grpc.NewServer(grpc.ForceServerCodec(frames{}), grpc.UnknownServiceHandler(f.handle))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := errors.Join(<-served, backend.Close()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// Passed is how many messages the store has sent to clients so far.
func (f *Front) Passed() int64 { return f.passed.Load() }

// Answer has answer decide on each call from now on; nil passes all calls on. It is called from many goroutines at once. An error is the answer.
func (f *Front) Answer(answer func(*Call) error) {
	if answer == nil {
		f.answer.Store(nil)
		return
	}
	f.answer.Store(&answer)
}

func (f *Front) handle(_ any, client grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(client)
	c := &Call{Method: method, client: client, front: f}
	if err := client.RecvMsg(&c.Request); err != nil {
		return err
	}
	if answer := f.answer.Load(); answer != nil {
		return (*answer)(c)
	}
	return c.Pass()
}

// Pass has the store carry out the call, and passes its answers on.
func (c *Call) Pass() error {
	return c.carryOut(func(message any) error {
		c.front.passed.Add(1)
		return c.client.SendMsg(message)
	})
}

// Context ends when the client gives the call up.
func (c *Call) Context() context.Context { return c.client.Context() }

// Reply answers with a message of the test's own.
func (c *Call) Reply(message []byte) error { return c.client.SendMsg(&message) }

// Subscribes and ReadsAllForwards tell what a call to MethodRead asks for.
func (c *Call) Subscribes() bool { return c.read().GetSubscription() != nil }

func (c *Call) ReadsAllForwards() bool {
	o := c.read()
	return o.GetAll() != nil && o.GetSubscription() == nil && o.GetReadDirection() == streams.ReadReq_Options_Forwards
}

// Stream is the stream that a call to MethodRead reads, empty if it reads the log.
func (c *Call) Stream() string {
	return string(c.read().GetStream().GetStreamIdentifier().GetStreamName())
}

// StreamNotFound answers that the stream which is read does not exist.
func (c *Call) StreamNotFound() error {
	missing := &streams.ReadResp_StreamNotFound{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(c.Stream())}}
	message, err := proto.Marshal(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: missing}})
	if err != nil {
		return err
	}
	return c.Reply(message)
}

func (c *Call) read() *streams.ReadReq_Options {
	var request streams.ReadReq
	if proto.Unmarshal(c.Request, &request) != nil {
		return nil
	}
	return request.GetOptions()
}

// Swallow has the store carry out the call, and keeps its answers from the client.
func (c *Call) Swallow() error { return c.carryOut(func(any) error { return nil }) }

func (c *Call) carryOut(answer func(any) error) error {
	ctx, stop := context.WithCancel(c.client.Context())
	defer stop()
	if headers, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, headers)
	}
	stream, err := c.front.backend.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, c.Method)
	if err != nil {
		return err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		message := c.Request
		for err := error(nil); err == nil; err = c.client.RecvMsg(&message) {
			if stream.SendMsg(&message) != nil {
				return
			}
		}
		_ = stream.CloseSend() // always nil
	}()
	defer func() { <-sent }()
	for {
		var message []byte
		if err := stream.RecvMsg(&message); err != nil {
			c.client.SetTrailer(stream.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := answer(&message); err != nil {
			return err
		}
	}
}

// Drain takes what the client still sends: one that is answered before may be told only that its call has ended.
func (c *Call) Drain() {
	for message := []byte(nil); c.client.RecvMsg(&message) == nil; {
	}
}

// Refused is an answer with a code and a text.
func Refused(code codes.Code, text string) error { return status.Error(code, text) }

// frames is a codec that leaves messages as they are.
type frames struct{}

func (frames) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (frames) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (frames) Name() string { return "proto" }
