package embedded

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// maxMessageBytes is the largest message from a client. With gRPC's default of 4 MiB, an oversized append would fail before it could get a
// proper error.
const maxMessageBytes = 16 << 20

// How much a client may send before it is read, in one call and in all calls of a connection.
const (
	streamWindowBytes = 1 << 20
	connWindowBytes   = 8 << 20
)

// streamWorkers is the number of goroutines that are kept for calls.
const streamWorkers = 64

// service implements the calls of the protocol.
type service struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer

	store         *store
	writer        *writer
	now           func() time.Time
	log           *slog.Logger
	closing       chan struct{} // closed when the server shuts down: subscriptions and long reads end
	addr          string        // the TCP address of Options, empty if there is only the Unix socket
	tcp           net.Addr      // the address that the server listens on, or nil
	authenticator authenticator
	profile       *profile
	imitation     *Imitation // nil but in tests
	id            string     // a UUID of this server while it runs

	receiving sync.WaitGroup // the receivers of BatchAppend calls, which end shortly after them
}

// newGRPCServer registers the service. The interceptors turn every handler's error into a status with trailers; see fail.
func newGRPCServer(s *service, transport credentials.TransportCredentials) *grpc.Server {
	server := grpc.NewServer(
		grpc.Creds(transport),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.WaitForHandlers(true),
		// Handlers run on goroutines whose stacks have grown already. If all are busy, others are started.
		grpc.NumStreamWorkers(streamWorkers),
		// Clients are on this machine: a fixed window makes measuring the bandwidth unnecessary.
		grpc.InitialWindowSize(streamWindowBytes),
		grpc.InitialConnWindowSize(connWindowBytes),
		// The client pings every 10 s, with or without a call; gRPC's default policy would close the connection.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
			c, err := s.admit(ctx, info.FullMethod)
			if err == nil {
				resp, err = handler(withCaller(ctx, c), req)
			}
			return resp, fail(ctx, s.log, err)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			c, err := s.admit(stream.Context(), info.FullMethod)
			if c != nil {
				stream = callStream{ServerStream: stream, ctx: withCaller(stream.Context(), c)}
			}
			switch {
			case err == nil:
				err = handler(srv, stream)
			case info.IsClientStream && !info.IsServerStream:
				drain(stream)
			}
			return fail(stream.Context(), s.log, err)
		}),
	)
	streams.RegisterStreamsServer(server, s)
	serverfeatures.RegisterServerFeaturesServer(server, s)
	gossip.RegisterGossipServer(server, gossipService{service: s})
	return server
}

// admit says whether a call may be handled, and who makes it: nil is somebody who may do everything.
func (s *service) admit(ctx context.Context, method string) (*caller, error) {
	c, err := s.authenticator.authenticate(ctx, method)
	if err != nil {
		return nil, err
	}
	return c, s.imitation.refuse(ctx, method)
}

// drain receives the messages of a call that was not admitted, up to a bound: if the error came earlier, the client would see no more than that
// its connection ended.
func drain(stream grpc.ServerStream) {
	for range 1000 {
		if stream.RecvMsg(&incoming{skip: true}) != nil {
			return
		}
	}
}

// GetSupportedMethods lists the calls of this server. Names are in lower case, as EventStoreDB writes them.
func (s *service) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	const streamsName = "event_store.client.streams.streams"
	return &serverfeatures.SupportedMethods{
		EventStoreServerVersion: s.profile.version,
		Methods: []*serverfeatures.SupportedMethod{
			{ServiceName: streamsName, MethodName: "read", Features: []string{"position", "events"}},
			{ServiceName: streamsName, MethodName: "append"},
			{ServiceName: streamsName, MethodName: "batchappend", Features: []string{"deadline_duration"}},
			{ServiceName: streamsName, MethodName: "delete"},
			{ServiceName: streamsName, MethodName: "tombstone"},
			{ServiceName: "event_store.client.gossip.gossip", MethodName: "read"},
			{ServiceName: "event_store.client.server_features.serverfeatures", MethodName: "getsupportedmethods"},
		},
	}, nil
}

// gossipService tells clients that discover a cluster that it has one member, which leads it, and an imitated follower, if there is one.
type gossipService struct {
	gossip.UnimplementedGossipServer
	*service
}

// Read returns the members. Without a TCP address there is none that a client could connect to.
func (g gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	address, ok := g.tcp.(*net.TCPAddr)
	if !ok {
		return nil, status.Error(codes.Unavailable, "the embedded event store has no TCP address to discover")
	}
	member := func(id string, state gossip.MemberInfo_VNodeState, port uint32) *gossip.MemberInfo {
		return &gossip.MemberInfo{
			InstanceId:   &shared.UUID{Value: &shared.UUID_String_{String_: id}},
			TimeStamp:    ticks(g.now()),
			State:        state,
			IsAlive:      true,
			HttpEndPoint: &gossip.EndPoint{Address: advertised(ctx, g.addr), Port: port},
		}
	}
	members := []*gossip.MemberInfo{member(g.id, gossip.MemberInfo_Leader, uint32(address.Port))}
	if follower := g.imitation.Follower(); follower != "" {
		address, err := netip.ParseAddrPort(follower)
		if err != nil {
			return nil, err
		}
		members = append(members, member(uuid.NewString(), gossip.MemberInfo_Follower, uint32(address.Port())))
	}
	return &gossip.ClusterInfo{Members: members}, nil
}
