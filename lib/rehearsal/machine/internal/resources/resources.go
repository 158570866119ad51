// Package resources serves the COSI resources of the practice machine, as machined's State service does.
package resources

import (
	"context"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"google.golang.org/grpc"

	"talos-migrate.invalid/machine/internal/facts"
)

// Register adds the State service to the server, and keeps its resources in step with the machine until ctx ends.
func Register(_ context.Context, registrar *grpc.Server, _ facts.Machine) error {
	resources := state.WrapCore(namespaced.NewState(inmem.Build))

	v1alpha1.RegisterStateServer(registrar, server.NewState(resources))

	return nil
}
