// Package health answers ClusterService.HealthCheck: the server side of `talosctl health`. The checks are Talos' own.
package health

import (
	"context"
	"fmt"
	"strings"

	"github.com/siderolabs/talos/pkg/cluster"
	"github.com/siderolabs/talos/pkg/cluster/check"
	"github.com/siderolabs/talos/pkg/conditions"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/identity"
)

type service struct {
	clusterapi.UnimplementedClusterServiceServer

	machine facts.Machine
}

// Register adds the ClusterService to the server.
func Register(_ context.Context, registrar *grpc.Server, m facts.Machine) error {
	clusterapi.RegisterClusterServiceServer(registrar, service{machine: m})

	return nil
}

// HealthCheck runs the checks with the rights of the caller, and reports what each of them waits for.
func (s service) HealthCheck(request *clusterapi.HealthCheckRequest, stream clusterapi.ClusterService_HealthCheckServer) error {
	if s.machine.Config() == nil || s.machine.Config().Machine() == nil {
		return status.Error(codes.FailedPrecondition, "the machine has no config")
	}

	local := &localClient{machine: s.machine}
	defer local.Close() //nolint:errcheck

	kubernetes := &cluster.KubernetesClient{ClientProvider: local, ForceEndpoint: request.GetClusterInfo().GetForceEndpoint()}
	defer kubernetes.K8sClose() //nolint:errcheck

	ctx, cancel := context.WithTimeout(stream.Context(), request.GetWaitTimeout().AsDuration())
	defer cancel()

	rights := metadata.MD{}
	identity.SetRoles(rights, identity.ContextRoles(stream.Context()))
	ctx = metadata.NewOutgoingContext(ctx, rights)

	nodes, err := nodesToCheck(ctx, request.GetClusterInfo(), local, kubernetes)
	if err != nil {
		return err
	}

	reporter := &reporter{stream: stream}
	reporter.say(fmt.Sprintf("discovered nodes: %q", addresses(nodes.Nodes())))

	target := struct {
		cluster.ClientProvider
		cluster.K8sProvider
		cluster.Info
	}{local, kubernetes, nodes}

	return check.Wait(ctx, &target, append(check.DefaultClusterChecks(), check.ExtraClusterChecks()...), reporter)
}

// reporter sends each new line once.
type reporter struct {
	stream clusterapi.ClusterService_HealthCheckServer
	last   string
}

func (r *reporter) Update(condition conditions.Condition) {
	r.say("waiting for " + strings.TrimSpace(condition.String()))
}

func (r *reporter) say(line string) {
	if line == r.last {
		return
	}

	r.last = line

	// a caller that has gone away ends the stream's context, which ends the checks
	_ = r.stream.Send(&clusterapi.HealthCheckProgress{Message: line})
}
