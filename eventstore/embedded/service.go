package embedded

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// protocolVersion is the version of EventStoreDB that this one behaves like.
const protocolVersion = "24.10.0"

// maxMessageBytes is the largest message taken from a client. gRPC's own limit of 4 MiB would cut off an oversized append
// before it could be told what is wrong with it.
const maxMessageBytes = 16 << 20

// What a client may send ahead of what is being read, in one call and in all calls of a connection.
const (
	streamWindowBytes = 1 << 20
	connWindowBytes   = 8 << 20
)

// service answers the calls of the protocol.
type service struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer

	store   *store
	writer  *writer
	now     func() time.Time
	log     *slog.Logger
	closing chan struct{} // closed when the server shuts down: subscriptions and long reads end
	tcp     net.Addr      // nil when there is only the Unix socket
	id      string        // a UUID of this server, for as long as it runs
}

// newGRPCServer registers the service. A handler's error becomes a status with trailers in one place, fail.
func newGRPCServer(s *service) *grpc.Server {
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.WaitForHandlers(true),
		// Clients are on this machine: a fixed window saves measuring the way to them.
		grpc.InitialWindowSize(streamWindowBytes),
		grpc.InitialConnWindowSize(connWindowBytes),
		// The client pings every 10 s, with or without a call; gRPC's default takes that for an attack.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			resp, err := handler(ctx, req)
			return resp, fail(ctx, s.log, err)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return fail(stream.Context(), s.log, handler(srv, stream))
		}),
	)
	streams.RegisterStreamsServer(server, s)
	serverfeatures.RegisterServerFeaturesServer(server, s)
	gossip.RegisterGossipServer(server, gossipService{service: s})
	return server
}

// GetSupportedMethods tells clients what there is. Names are in lower case, as EventStoreDB writes them.
func (s *service) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	const streamsName = "event_store.client.streams.streams"
	return &serverfeatures.SupportedMethods{
		EventStoreServerVersion: protocolVersion,
		Methods: []*serverfeatures.SupportedMethod{
			{ServiceName: streamsName, MethodName: "read", Features: []string{"position", "events"}},
			{ServiceName: streamsName, MethodName: "append"},
			{ServiceName: streamsName, MethodName: "delete"},
			{ServiceName: streamsName, MethodName: "tombstone"},
			{ServiceName: "event_store.client.gossip.gossip", MethodName: "read"},
			{ServiceName: "event_store.client.server_features.serverfeatures", MethodName: "getsupportedmethods"},
		},
	}, nil
}

// BatchAppend is not offered, and GetSupportedMethods says so.
func (s *service) BatchAppend(streams.Streams_BatchAppendServer) error {
	return status.Error(codes.Unimplemented, "the embedded event store doesn't offer BatchAppend; use Append")
}

// gossipService tells clients that discover a cluster that it has one member, which leads it.
type gossipService struct {
	gossip.UnimplementedGossipServer
	*service
}

// Read answers the one member. Without a TCP address there is nothing to tell a client where to connect to.
func (g gossipService) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	address, ok := g.tcp.(*net.TCPAddr)
	if !ok {
		return nil, status.Error(codes.Unavailable, "the embedded event store has no TCP address to discover")
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   &shared.UUID{Value: &shared.UUID_String_{String_: g.id}},
		TimeStamp:    ticks(g.now()),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: address.IP.String(), Port: uint32(address.Port)},
	}}}, nil
}
