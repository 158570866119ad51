// Package health answers ClusterService.HealthCheck: the server side of `talosctl health`.
package health

import (
	"context"

	_ "github.com/siderolabs/talos/pkg/cluster/check"
	"github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"google.golang.org/grpc"

	"talos-migrate.invalid/machine/internal/facts"
)

type service struct {
	cluster.UnimplementedClusterServiceServer
}

// Register adds the ClusterService to the server.
func Register(_ context.Context, registrar *grpc.Server, _ facts.Machine) error {
	cluster.RegisterClusterServiceServer(registrar, service{})

	return nil
}
