// Package resources serves the COSI resources of the practice machine, as machined's State service does.
package resources

import (
	"context"
	"reflect"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/protobuf/server"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/grpc"

	"talos-migrate.invalid/machine/internal/facts"
)

// Register adds the State service to the server, and keeps its resources in step with the machine until ctx ends.
func Register(ctx context.Context, registrar *grpc.Server, m facts.Machine) error {
	resources, err := newState(ctx)
	if err != nil {
		return err
	}

	projection := projection{state: resources, owned: map[string]resource.Resource{}}

	// the first answer must already be a whole one
	changed := m.Changed()
	if err = projection.update(ctx, everything(m, nodeView{})); err != nil {
		return err
	}

	tell := statusTeller()
	tell(m, projection.machineStatus())

	views := watchNode(ctx, m)

	go func() {
		view := nodeView{}

		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				changed = m.Changed()
			case view = <-views:
			}

			// the in-memory state fails only when ctx has ended
			_ = projection.update(ctx, everything(m, view))
			tell(m, projection.machineStatus())
		}
	}()

	v1alpha1.RegisterStateServer(registrar, server.NewState(state.WrapCore(state.Filter(resources, readable(resources)))))

	return nil
}

// everything is the whole of the machine as resources.
func everything(m facts.Machine, view nodeView) []resource.Resource {
	all := hardwareResources(m)
	all = append(all, diskResources(m)...)
	all = append(all, networkResources(m)...)
	all = append(all, runtimeResources(m, view)...)
	all = append(all, clusterResources(m)...)

	return append(all, kubernetesResources(m, view)...)
}

// statusListener is a machine that wants to know of its MachineStatus, from which Talos makes events.
type statusListener interface {
	MachineStatusChanged(status runtime.MachineStatusSpec)
}

// statusTeller tells each status once.
func statusTeller() func(facts.Machine, *runtime.MachineStatus) {
	var last *runtime.MachineStatusSpec

	return func(m facts.Machine, status *runtime.MachineStatus) {
		listener, listens := m.(statusListener)
		if !listens || status == nil || last != nil && reflect.DeepEqual(*last, *status.TypedSpec()) {
			return
		}

		spec := status.TypedSpec().DeepCopy()
		last = &spec

		listener.MachineStatusChanged(spec)
	}
}
