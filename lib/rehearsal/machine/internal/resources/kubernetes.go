package resources

import (
	"encoding/json"
	"net/netip"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/nodespec"
	"talos-migrate.invalid/machine/internal/staticpods"
)

// kubernetesResources is what Talos knows of Kubernetes on this node.
func kubernetesResources(m facts.Machine, view nodeView) []resource.Resource {
	if m.Config() == nil || m.Config().Machine() == nil || m.Config().Cluster() == nil {
		return nil
	}

	name := k8s.NewNodename(k8s.NamespaceName, k8s.NodenameID)
	name.TypedSpec().Nodename = m.Hostname()
	name.TypedSpec().HostnameVersion = "1"
	name.TypedSpec().SkipNodeRegistration = m.Config().Machine().Kubelet().SkipNodeRegistration()

	address := k8s.NewNodeIP(k8s.NamespaceName, k8s.KubeletID)
	address.TypedSpec().Addresses = []netip.Addr{m.File().IP()}

	all := []resource.Resource{name, address}
	all = append(all, nodeSpecs(m)...)
	all = append(all, endpoints(m)...)
	all = append(all, view.resources()...)

	// as in Talos, there are no static pods before etcd is healthy
	if _, etcdKnown := m.EtcdMemberID(); etcdKnown {
		for _, pod := range staticpods.All(m.Config()) {
			static := k8s.NewStaticPod(k8s.NamespaceName, pod.Name)
			static.TypedSpec().Pod = asMap(pod)
			all = append(all, static)
		}
	}

	return all
}

// nodeSpecs are the labels, annotations and taints that Talos wants its Node to have.
func nodeSpecs(m facts.Machine) []resource.Resource {
	var all []resource.Resource

	for key, value := range nodespec.Labels(m.Config()) {
		label := k8s.NewNodeLabelSpec(key)
		label.TypedSpec().Key, label.TypedSpec().Value = key, value
		all = append(all, label)
	}

	for key, value := range nodespec.Annotations(m.Config()) {
		annotation := k8s.NewNodeAnnotationSpec(key)
		annotation.TypedSpec().Key, annotation.TypedSpec().Value = key, value
		all = append(all, annotation)
	}

	for _, wanted := range nodespec.Taints(m.Config()) {
		taint := k8s.NewNodeTaintSpec(wanted.Key)
		taint.TypedSpec().Key, taint.TypedSpec().Value, taint.TypedSpec().Effect = wanted.Key, wanted.Value, string(wanted.Effect)
		all = append(all, taint)
	}

	return all
}

// endpoints are the control plane's addresses: as discovered, and as KubePrism balances over them.
func endpoints(m facts.Machine) []resource.Resource {
	cluster := m.Config().Cluster()

	found := k8s.NewEndpoint(k8s.ControlPlaneNamespaceName, k8s.ControlPlaneDiscoveredEndpointsID)
	prism := k8s.NewKubePrismEndpoints(k8s.NamespaceName, k8s.KubePrismEndpointsID)
	local := k8s.KubePrismEndpoint{Host: cluster.Endpoint().Hostname(), Port: uint32(controlPlanePort(m))}
	prism.TypedSpec().Endpoints = append(prism.TypedSpec().Endpoints, local)

	for _, member := range discovered(m) {
		if member.ControlPlane == nil {
			continue
		}

		for _, address := range member.Addresses {
			found.TypedSpec().Addresses = append(found.TypedSpec().Addresses, address)

			if address.String() != cluster.Endpoint().Hostname() {
				prism.TypedSpec().Endpoints = append(prism.TypedSpec().Endpoints,
					k8s.KubePrismEndpoint{Host: address.String(), Port: uint32(member.ControlPlane.APIServerPort)})
			}
		}
	}

	if !m.Config().Machine().Features().KubePrism().Enabled() {
		return []resource.Resource{found}
	}

	return []resource.Resource{found, prism}
}

func controlPlanePort(m facts.Machine) uint16 {
	if address, err := netip.ParseAddrPort(m.Config().Cluster().Endpoint().Host); err == nil {
		return address.Port()
	}

	return constants.DefaultControlPlanePort
}

// asMap is an object of the Kubernetes API as Talos' resources hold it.
func asMap(object any) map[string]any {
	content := map[string]any{}

	raw, err := json.Marshal(object)
	if err != nil {
		return content
	}

	_ = json.Unmarshal(raw, &content)

	return content
}
