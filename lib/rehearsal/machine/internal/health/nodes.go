package health

import (
	"context"
	"net/netip"
	"slices"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/cluster"
	"github.com/siderolabs/talos/pkg/cluster/check"
	clusterapi "github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	clusterres "github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodeList is a cluster whose nodes are known by address and type.
type nodeList map[machine.Type][]cluster.NodeInfo

func (list nodeList) Nodes() []cluster.NodeInfo {
	return slices.Concat(list[machine.TypeInit], list[machine.TypeControlPlane], list[machine.TypeWorker])
}

func (list nodeList) NodesByType(kind machine.Type) []cluster.NodeInfo { return list[kind] }

// nodesToCheck are the nodes that the caller names, else those of discovery, else those of Kubernetes.
func nodesToCheck(
	ctx context.Context, named *clusterapi.ClusterInfo, talos cluster.ClientProvider, kubernetes cluster.K8sProvider,
) (cluster.Info, error) {
	if len(named.GetControlPlaneNodes())+len(named.GetWorkerNodes()) > 0 {
		return namedNodes(named)
	}

	client, err := talos.Client()
	if err != nil {
		return nil, err
	}

	found, err := safe.StateListAll[*clusterres.Member](ctx, client.COSI)
	if err == nil && found.Len() > 0 {
		return check.NewDiscoveredClusterInfo(safe.ToSlice(found, func(member *clusterres.Member) *clusterres.Member { return member }))
	}

	return kubernetesNodes(ctx, kubernetes)
}

func namedNodes(named *clusterapi.ClusterInfo) (cluster.Info, error) {
	controlPlane, err := cluster.IPsToNodeInfos(named.GetControlPlaneNodes())
	if err != nil {
		return nil, err
	}

	workers, err := cluster.IPsToNodeInfos(named.GetWorkerNodes())
	if err != nil {
		return nil, err
	}

	return nodeList{machine.TypeControlPlane: controlPlane, machine.TypeWorker: workers}, nil
}

func kubernetesNodes(ctx context.Context, kubernetes cluster.K8sProvider) (cluster.Info, error) {
	client, err := kubernetes.K8sClient(ctx)
	if err != nil {
		return nil, err
	}

	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}

	list := nodeList{}

	for _, node := range nodes.Items {
		kind := machine.TypeWorker
		if _, controlPlane := node.Labels[constants.LabelNodeRoleControlPlane]; controlPlane {
			kind = machine.TypeControlPlane
		}

		var info cluster.NodeInfo

		for _, address := range node.Status.Addresses {
			parsed, err := netip.ParseAddr(address.Address)
			if err != nil {
				continue // a host name
			}

			if address.Type == corev1.NodeInternalIP {
				info.InternalIP = parsed
			}

			info.IPs = append(info.IPs, parsed)
		}

		list[kind] = append(list[kind], info)
	}

	return list, nil
}

func addresses(nodes []cluster.NodeInfo) []string {
	all := make([]string, 0, len(nodes))
	for _, node := range nodes {
		all = append(all, node.InternalIP.String())
	}

	return all
}
