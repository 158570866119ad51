package resources

import (
	"net"
	"net/netip"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/nethelpers"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"

	"talos-migrate.invalid/machine/internal/facts"
)

const (
	loopbackLink = "lo"
	cardLink     = "eth0"
	prefixLength = 24
)

// networkResources is one network card with the machine's address, and the loopback link.
func networkResources(m facts.Machine) []resource.Resource {
	address := netip.PrefixFrom(m.File().IP(), prefixLength)

	hostname := network.NewHostnameStatus(network.NamespaceName, network.HostnameID)
	hostname.TypedSpec().Hostname = m.Hostname()

	ready := network.NewStatus(network.NamespaceName, network.StatusID)
	*ready.TypedSpec() = network.StatusSpec{AddressReady: true, ConnectivityReady: true, HostnameReady: true, EtcFilesReady: true}

	all := []resource.Resource{
		hostname,
		ready,
		loopback(),
		card(m.File().MAC),
		addressStatus(loopbackLink, 1, netip.MustParsePrefix("127.0.0.1/8"), nethelpers.ScopeHost),
		addressStatus(cardLink, 2, address, nethelpers.ScopeGlobal),
	}

	for _, id := range nodeAddressIDs(m) {
		node := network.NewNodeAddress(network.NamespaceName, id)
		node.TypedSpec().Addresses = []netip.Prefix{address}
		node.TypedSpec().SortAlgorithm = nethelpers.AddressSortAlgorithmV2
		all = append(all, node)
	}

	return all
}

// nodeAddressIDs are the views of the machine's addresses; the ones filtered for Kubernetes appear with a config.
func nodeAddressIDs(m facts.Machine) []resource.ID {
	ids := []resource.ID{
		network.NodeAddressDefaultID, network.NodeAddressCurrentID,
		network.NodeAddressRoutedID, network.NodeAddressAccumulativeID,
	}

	if m.Config() == nil {
		return ids
	}

	for _, id := range []resource.ID{network.NodeAddressCurrentID, network.NodeAddressRoutedID, network.NodeAddressAccumulativeID} {
		ids = append(ids, network.FilteredNodeAddressID(id, k8s.NodeAddressFilterNoK8s))
	}

	return ids
}

func loopback() resource.Resource {
	link := network.NewLinkStatus(network.NamespaceName, loopbackLink)
	spec := link.TypedSpec()
	spec.Index, spec.Type, spec.MTU = 1, nethelpers.LinkLoopbck, 65536
	spec.HardwareAddr = make(nethelpers.HardwareAddr, 6)
	spec.Flags = nethelpers.LinkFlags(nethelpers.LinkUp | nethelpers.LinkLoopback | nethelpers.LinkRunning | nethelpers.LinkLowerUp)
	spec.OperationalState, spec.LinkState, spec.QueueDisc = nethelpers.OperStateUnknown, true, "noqueue"

	return link
}

func card(mac string) resource.Resource {
	link := network.NewLinkStatus(network.NamespaceName, cardLink)
	spec := link.TypedSpec()
	spec.Index, spec.Type, spec.MTU = 2, nethelpers.LinkEther, 1500
	spec.Flags = nethelpers.LinkFlags(nethelpers.LinkUp | nethelpers.LinkBroadcast | nethelpers.LinkRunning | nethelpers.LinkMulticase | nethelpers.LinkLowerUp)
	spec.OperationalState, spec.LinkState, spec.QueueDisc = nethelpers.OperStateUp, true, "pfifo_fast"
	spec.BusPath, spec.Driver, spec.SpeedMegabits = "0000:00:02.0", "virtio_net", 1000
	spec.Port, spec.Duplex = nethelpers.TwistedPair, nethelpers.Full

	if address, err := net.ParseMAC(mac); err == nil {
		spec.HardwareAddr, spec.PermanentAddr = nethelpers.HardwareAddr(address), nethelpers.HardwareAddr(address)
		spec.BroadcastAddr = nethelpers.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}

	return link
}

func addressStatus(link string, index uint32, address netip.Prefix, scope nethelpers.Scope) resource.Resource {
	status := network.NewAddressStatus(network.NamespaceName, network.AddressID(link, address))
	*status.TypedSpec() = network.AddressStatusSpec{
		Address:   address,
		Local:     address.Addr(),
		LinkIndex: index,
		LinkName:  link,
		Family:    nethelpers.FamilyInet4,
		Scope:     scope,
		Flags:     nethelpers.AddressFlags(nethelpers.AddressPermanent),
	}

	return status
}
