package resources

import (
	"context"

	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/cosi-project/runtime/pkg/state/registry"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"github.com/siderolabs/talos/pkg/machinery/resources/time"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
)

// namespaces are those of Talos that hold a resource type of this machine.
var namespaces = map[string]string{
	v1alpha1.NamespaceName:        "Runtime, block devices, services.",
	cluster.NamespaceName:         "Cluster identity and discovery.",
	config.NamespaceName:          "Machine configuration.",
	etcd.NamespaceName:            "The machine's etcd member.",
	hardware.NamespaceName:        "Hardware.",
	k8s.NamespaceName:             "Kubernetes on this node.",
	k8s.ControlPlaneNamespaceName: "Kubernetes control plane.",
	network.NamespaceName:         "Networking.",
	secrets.NamespaceName:         "Secret material.",
}

// types are the resource types that this machine has. A type that is not among them is refused as not supported,
// as Talos refuses a type that it does not know: the practice machine does not pretend to have an empty list of it.
var types = []meta.ResourceWithRD{
	&block.DiscoveredVolume{},
	&block.Disk{},
	&block.SystemDisk{},
	&block.VolumeStatus{},
	&cluster.Affiliate{},
	&cluster.Identity{},
	&cluster.Info{},
	&cluster.Member{},
	&config.MachineConfig{},
	&config.MachineType{},
	&etcd.Member{},
	&etcd.Spec{},
	&hardware.MemoryModule{},
	&hardware.Processor{},
	&hardware.SystemInformation{},
	&k8s.Endpoint{},
	&k8s.KubePrismEndpoints{},
	&k8s.NodeAnnotationSpec{},
	&k8s.NodeIP{},
	&k8s.NodeLabelSpec{},
	&k8s.Nodename{},
	&k8s.NodeStatus{},
	&k8s.NodeTaintSpec{},
	&k8s.StaticPod{},
	&k8s.StaticPodStatus{},
	&network.AddressStatus{},
	&network.HostnameStatus{},
	&network.LinkStatus{},
	&network.NodeAddress{},
	&network.Status{},
	&runtime.Diagnostic{},
	&runtime.ExtensionStatus{},
	&runtime.MachineStatus{},
	&runtime.PlatformMetadata{},
	&runtime.Version{},
	&secrets.OSRoot{},
	&time.Status{},
	&v1alpha1.Service{},
}

// newState is an empty in-memory state that knows the namespaces and the resource types.
func newState(ctx context.Context) (state.State, error) {
	resources := state.WrapCore(namespaced.NewState(inmem.Build))
	namespaceRegistry := registry.NewNamespaceRegistry(resources)
	resourceRegistry := registry.NewResourceRegistry(resources)

	if err := namespaceRegistry.RegisterDefault(ctx); err != nil {
		return nil, err
	}

	if err := resourceRegistry.RegisterDefault(ctx); err != nil {
		return nil, err
	}

	for name, description := range namespaces {
		if err := namespaceRegistry.Register(ctx, name, description); err != nil {
			return nil, err
		}
	}

	for _, definition := range types {
		if err := resourceRegistry.Register(ctx, definition); err != nil {
			return nil, err
		}
	}

	return resources, nil
}
