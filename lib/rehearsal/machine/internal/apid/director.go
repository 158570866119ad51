package apid

import (
	"context"
	"slices"
	"strings"

	"github.com/siderolabs/grpc-proxy/proxy"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// streamed are the methods that answer with a stream, whose name does not say so.
var streamed = []string{
	"/machine.MachineService/Copy",
	"/machine.MachineService/DiskUsage",
	"/machine.MachineService/Dmesg",
	"/machine.MachineService/EtcdSnapshot",
	"/machine.MachineService/Events",
	"/machine.MachineService/ImageList",
	"/machine.MachineService/Kubeconfig",
	"/machine.MachineService/List",
	"/machine.MachineService/Logs",
	"/machine.MachineService/PacketCapture",
	"/machine.MachineService/Read",
	"/cluster.ClusterService/HealthCheck",
}

func isStreamed(method string) bool {
	return slices.Contains(streamed, method) || strings.HasSuffix(method, "Stream")
}

// director decides by a call's metadata which machines answer it.
type director struct {
	local    *localBackend
	peers    *peerBackends
	forwards bool
	isLocal  func(string) bool
}

func (direct *director) choose(ctx context.Context, method string) (proxy.Mode, []proxy.Backend, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	here := []proxy.Backend{direct.local}
	nodes, node := md.Get("nodes"), md.Get("node")

	if len(md.Get("proxyfrom")) > 0 || len(nodes)+len(node) == 0 {
		return proxy.One2One, here, nil
	}

	if len(node) > 1 {
		return proxy.One2One, nil, status.Error(codes.InvalidArgument, "node metadata must be single-valued")
	}

	if !direct.forwards {
		return direct.withoutForwarding(append(nodes, node...))
	}

	if len(nodes) > 0 {
		if strings.HasPrefix(method, "/cosi.") {
			return proxy.One2One, nil, status.Error(codes.InvalidArgument, "one-2-many proxying is not supported for COSI methods")
		}

		backends, err := direct.peers.get(nodes...)

		return proxy.One2Many, backends, err
	}

	backends, err := direct.peers.get(node...)

	return proxy.One2One, backends, err
}

// withoutForwarding answers calls for this machine, even when they name it, and no others.
func (direct *director) withoutForwarding(targets []string) (proxy.Mode, []proxy.Backend, error) {
	for _, target := range targets {
		if !direct.isLocal(target) {
			return proxy.One2One, nil, status.Error(codes.PermissionDenied, "no request forwarding")
		}
	}

	return proxy.One2One, []proxy.Backend{direct.local}, nil
}
