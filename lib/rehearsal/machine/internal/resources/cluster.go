package resources

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/etcd"
	"github.com/siderolabs/talos/pkg/machinery/version"
	"gopkg.in/yaml.v3"

	"talos-migrate.invalid/machine/internal/facts"
)

// clusterResources is what discovery tells: this machine and its neighbours, as affiliates and as members.
func clusterResources(m facts.Machine) []resource.Resource {
	if m.Config() == nil || m.Config().Cluster() == nil || m.Config().Machine() == nil {
		return nil
	}

	info := cluster.NewInfo()
	info.TypedSpec().ClusterID = m.Config().Cluster().ID()
	info.TypedSpec().ClusterName = m.Config().Cluster().Name()

	identity := cluster.NewIdentity(cluster.NamespaceName, cluster.LocalIdentity)
	identity.TypedSpec().NodeID = nodeID(m)

	all := []resource.Resource{info, identity}
	all = append(all, etcdResources(m)...)

	if !m.Config().Cluster().Discovery().Enabled() {
		return all
	}

	for _, seen := range discovered(m) {
		affiliate := cluster.NewAffiliate(cluster.NamespaceName, seen.NodeID)
		*affiliate.TypedSpec() = seen

		member := cluster.NewMember(cluster.NamespaceName, seen.Nodename)
		*member.TypedSpec() = cluster.MemberSpec{
			NodeID:          seen.NodeID,
			Addresses:       seen.Addresses,
			Hostname:        seen.Hostname,
			MachineType:     seen.MachineType,
			OperatingSystem: seen.OperatingSystem,
			ControlPlane:    seen.ControlPlane,
		}

		all = append(all, affiliate, member)
	}

	return all
}

// discovered lists the machine itself first. Of two machines with one name the live one is the member, as a member's
// ID is its node name.
func discovered(m facts.Machine) []cluster.AffiliateSpec {
	all := []cluster.AffiliateSpec{affiliateSpec(m, facts.Neighbour{
		NodeID:   nodeID(m),
		Hostname: m.Hostname(),
		Address:  m.File().Address,
		Type:     m.Config().Machine().Type().String(),
	})}

	taken := map[string]struct{}{m.Hostname(): {}, nodeID(m): {}}

	for _, alive := range []bool{true, false} {
		for _, neighbour := range m.Neighbours() {
			_, nameTaken := taken[neighbour.Hostname]
			_, idTaken := taken[neighbour.NodeID]

			if neighbour.Alive != alive || nameTaken || idTaken {
				continue
			}

			taken[neighbour.Hostname], taken[neighbour.NodeID] = struct{}{}, struct{}{}
			all = append(all, affiliateSpec(m, neighbour))
		}
	}

	return all
}

func affiliateSpec(m facts.Machine, neighbour facts.Neighbour) cluster.AffiliateSpec {
	spec := cluster.AffiliateSpec{
		NodeID:          neighbour.NodeID,
		Hostname:        neighbour.Hostname,
		Nodename:        neighbour.Hostname,
		OperatingSystem: fmt.Sprintf("%s (%s)", version.Name, version.Tag),
	}

	if address, err := netip.ParseAddr(neighbour.Address); err == nil {
		spec.Addresses = []netip.Addr{address}
	}

	spec.MachineType, _ = machine.ParseType(neighbour.Type)

	if spec.MachineType.IsControlPlane() {
		spec.ControlPlane = &cluster.ControlPlane{APIServerPort: m.Config().Cluster().LocalAPIServerPort()}
	}

	return spec
}

func etcdResources(m facts.Machine) []resource.Resource {
	if !isControlPlane(m) {
		return nil
	}

	addresses := []netip.Addr{m.File().IP()}

	spec := etcd.NewSpec(etcd.NamespaceName, etcd.SpecID)
	*spec.TypedSpec() = etcd.SpecSpec{
		Name:                  m.Hostname(),
		AdvertisedAddresses:   addresses,
		ListenPeerAddresses:   addresses,
		ListenClientAddresses: addresses,
		Image:                 m.Config().Cluster().Etcd().Image(),
		ExtraArgs:             m.Config().Cluster().Etcd().ExtraArgs(),
	}

	all := []resource.Resource{spec}

	if id, known := m.EtcdMemberID(); known {
		member := etcd.NewMember(etcd.NamespaceName, etcd.LocalMemberID)
		member.TypedSpec().MemberID = etcd.FormatMemberID(id)
		all = append(all, member)
	}

	return all
}

// nodeID is the machine's own identity in the cluster, which Talos keeps in a file of the STATE partition.
func nodeID(m facts.Machine) string {
	content, err := os.ReadFile(filepath.Join(m.File().State(), constants.NodeIdentityFilename))
	if err != nil {
		return ""
	}

	var identity cluster.IdentitySpec
	if yaml.Unmarshal(content, &identity) != nil {
		return ""
	}

	return identity.NodeID
}
