// Package apid is a machine's entrance: it terminates TLS, finds out the client's roles, answers for the machine itself
// and passes calls for other machines on to theirs.
package apid

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/siderolabs/grpc-proxy/proxy"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"talos-migrate.invalid/machine/internal/identity"
)

const stopGrace = 500 * time.Millisecond

// Options say how a machine is entered.
type Options struct {
	Listener net.Listener // on the machine's localhost
	TLS      *tls.Config
	// Peers is how other machines are called; nil when calls are not passed on, as in maintenance.
	Peers *tls.Config
	// Roles of the calling client.
	Roles func(context.Context) role.Set
	// IsLocal tells whether a target named in a call's metadata is this machine.
	IsLocal func(target string) bool
	// Authorize refuses what the roles do not allow. In maintenance the services decide by themselves.
	Authorize bool
	// Register adds the machine's services.
	Register func(*grpc.Server) error
}

// Server is a running apid with the services behind it.
type Server struct {
	outer *grpc.Server
	inner *grpc.Server
	local *localBackend
	peers *peerBackends
}

// Start serves until Stop.
func Start(options Options) (*Server, error) {
	server := &Server{local: newLocalBackend(), peers: &peerBackends{tls: options.Peers}}

	server.inner = grpc.NewServer(
		grpc.MaxRecvMsgSize(constants.GRPCMaxMessageSize),
		grpc.UnaryInterceptor(unaryGuard(options.Authorize)),
		grpc.StreamInterceptor(streamGuard(options.Authorize)),
		grpc.SharedWriteBuffer(true),
	)

	if err := options.Register(server.inner); err != nil {
		return nil, err
	}

	if err := server.local.dial(options.Roles); err != nil {
		return nil, err
	}

	server.peers.roles = options.Roles
	direct := &director{local: server.local, peers: server.peers, forwards: options.Peers != nil, isLocal: options.IsLocal}

	server.outer = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(options.TLS)),
		grpc.ForceServerCodecV2(proxy.Codec()),
		grpc.UnknownServiceHandler(proxy.TransparentHandler(direct.choose, proxy.WithStreamedDetector(isStreamed))),
		grpc.MaxRecvMsgSize(constants.GRPCMaxMessageSize),
		grpc.SharedWriteBuffer(true),
	)

	go server.inner.Serve(server.local.listener) //nolint:errcheck
	go server.outer.Serve(options.Listener)      //nolint:errcheck

	return server, nil
}

// Stop lets calls that are being answered end, for a moment.
func (server *Server) Stop() {
	stopped := make(chan struct{})

	go func() {
		defer close(stopped)

		server.outer.GracefulStop()
	}()

	select {
	case <-stopped:
	case <-time.After(stopGrace):
		server.outer.Stop()
	}

	server.inner.Stop()
	server.local.close()
	server.peers.close()
}

func authorize(ctx context.Context, method string) error {
	if identity.Allowed(method, identity.ContextRoles(ctx)) {
		return nil
	}

	return status.Error(codes.PermissionDenied, "not authorized")
}

func unaryGuard(enabled bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if enabled {
			if err := authorize(ctx, info.FullMethod); err != nil {
				return nil, err
			}
		}

		return handler(ctx, request)
	}
}

func streamGuard(enabled bool) grpc.StreamServerInterceptor {
	return func(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if enabled {
			if err := authorize(stream.Context(), info.FullMethod); err != nil {
				return err
			}
		}

		return handler(service, stream)
	}
}
