package apid

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/siderolabs/grpc-proxy/proxy"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"talos-migrate.invalid/machine/internal/identity"
)

const (
	memoryBuffer   = 1 << 20
	connectTimeout = 20 * time.Second
	maxBackoff     = time.Second
)

// localBackend is the way to the machine's own services.
type localBackend struct {
	listener *bufconn.Listener
	conn     *grpc.ClientConn
	roles    func(context.Context) role.Set
}

func newLocalBackend() *localBackend { return &localBackend{listener: bufconn.Listen(memoryBuffer)} }

func (local *localBackend) dial(roles func(context.Context) role.Set) error {
	var err error

	local.roles = roles
	local.conn, err = grpc.NewClient("passthrough:///machined",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return local.listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(constants.GRPCMaxMessageSize), grpc.ForceCodecV2(proxy.Codec())),
	)

	return err
}

func (local *localBackend) close() {
	if local.conn != nil {
		local.conn.Close() //nolint:errcheck
	}
}

func (local *localBackend) String() string { return "machined" }

func (local *localBackend) GetConnection(ctx context.Context, _ string) (context.Context, *grpc.ClientConn, error) {
	return outgoing(ctx, local.roles(ctx), false), local.conn, nil
}

func (local *localBackend) AppendInfo(_ bool, response []byte) ([]byte, error) { return response, nil }

func (local *localBackend) BuildError(bool, error) ([]byte, error) { return nil, nil }

// outgoing carries a call's metadata over to the next hop.
func outgoing(ctx context.Context, roles role.Set, toPeer bool) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	md = md.Copy()

	identity.SetRoles(md, roles)

	if toPeer {
		from := md.Get(":authority")
		if len(from) == 0 {
			from = []string{"unknown"}
		}

		md.Set("proxyfrom", from...)
		delete(md, "nodes")
		delete(md, "node")
	}

	delete(md, ":authority")

	return metadata.NewOutgoingContext(ctx, md)
}

// peerBackends are the ways to the apid of all machines, this one included, as Talos goes over the network for it too.
type peerBackends struct {
	tls   *tls.Config
	roles func(context.Context) role.Set

	mu    sync.Mutex
	known map[string]*peerBackend
}

func (peers *peerBackends) get(targets ...string) ([]proxy.Backend, error) {
	peers.mu.Lock()
	defer peers.mu.Unlock()

	if peers.known == nil {
		peers.known = map[string]*peerBackend{}
	}

	backends := make([]proxy.Backend, 0, len(targets))

	for _, target := range targets {
		one, ok := peers.known[target]
		if !ok {
			var err error

			if one, err = newPeerBackend(target, peers.tls, peers.roles); err != nil {
				return nil, err
			}

			peers.known[target] = one
		}

		backends = append(backends, one)
	}

	return backends, nil
}

func (peers *peerBackends) close() {
	peers.mu.Lock()
	defer peers.mu.Unlock()

	for _, one := range peers.known {
		one.conn.Close() //nolint:errcheck
	}
}

type peerBackend struct {
	target string
	conn   *grpc.ClientConn
	roles  func(context.Context) role.Set
}

func newPeerBackend(target string, config *tls.Config, roles func(context.Context) role.Set) (*peerBackend, error) {
	if _, _, err := net.SplitHostPort(target); err == nil || target == "" {
		return nil, status.Error(codes.Internal, fmt.Sprintf("invalid target %q", target))
	}

	delays := backoff.DefaultConfig
	delays.MaxDelay = maxBackoff

	conn, err := grpc.NewClient(net.JoinHostPort(target, strconv.Itoa(constants.ApidPort)),
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: delays, MinConnectTimeout: connectTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(constants.GRPCMaxMessageSize), grpc.ForceCodecV2(proxy.Codec())),
		grpc.WithSharedWriteBuffer(true),
		grpc.WithNoProxy(),
	)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}

	return &peerBackend{target: target, conn: conn, roles: roles}, nil
}

func (one *peerBackend) String() string { return one.target }

func (one *peerBackend) GetConnection(ctx context.Context, _ string) (context.Context, *grpc.ClientConn, error) {
	return outgoing(ctx, one.roles(ctx), true), one.conn, nil
}

// AppendInfo says which machine a reply is from. Replies are messages whose first field is a list of one entry, and
// protobuf merges a field that is met twice, so the metadata is appended to that entry.
func (one *peerBackend) AppendInfo(streaming bool, response []byte) ([]byte, error) {
	payload, err := proto.Marshal(&common.Empty{Metadata: &common.Metadata{Hostname: one.target}})
	if err != nil || streaming {
		return append(response, payload...), err
	}

	number, kind, tagLength := protowire.ConsumeTag(response)
	if tagLength < 0 {
		return nil, protowire.ParseError(tagLength)
	}

	if number != 1 || kind != protowire.BytesType {
		return nil, fmt.Errorf("the reply begins with field %d of type %d", number, kind)
	}

	_, sizeLength := protowire.ConsumeVarint(response[tagLength:])
	if sizeLength < 0 {
		return nil, protowire.ParseError(sizeLength)
	}

	entry := response[tagLength+sizeLength:]
	header := protowire.AppendTag(nil, 1, protowire.BytesType)
	header = protowire.AppendVarint(header, uint64(len(entry)+len(payload)))

	return slices.Concat(header, entry, payload), nil
}

// BuildError turns a machine's failure into its entry of the common reply.
func (one *peerBackend) BuildError(streaming bool, failure error) ([]byte, error) {
	entry := &common.Empty{Metadata: &common.Metadata{Hostname: one.target, Error: failure.Error(), Status: status.Convert(failure).Proto()}}

	if streaming {
		return proto.Marshal(entry)
	}

	return proto.Marshal(&common.EmptyResponse{Messages: []*common.Empty{entry}})
}
