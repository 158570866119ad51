package resources

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	blockpb "github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/block"
	"github.com/siderolabs/talos/pkg/machinery/cel/celenv"
	"github.com/siderolabs/talos/pkg/machinery/config/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/proto"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/machinefile"
)

const mebibyte = 1 << 20

// partition is one of those that Talos makes on its system disk. EPHEMERAL takes what is left.
type partition struct {
	label      string
	size       uint64
	filesystem block.FilesystemType
	format     string
}

var partitions = []partition{
	{label: constants.EFIPartitionLabel, size: 100 * mebibyte, filesystem: block.FilesystemTypeVFAT, format: "vfat"},
	{label: constants.BIOSGrubPartitionLabel, size: 1 * mebibyte},
	{label: constants.BootPartitionLabel, size: 1000 * mebibyte, filesystem: block.FilesystemTypeXFS, format: "xfs"},
	{label: constants.MetaPartitionLabel, size: 1 * mebibyte, format: "talosmeta"},
	{label: constants.StatePartitionLabel, size: 100 * mebibyte, filesystem: block.FilesystemTypeXFS, format: "xfs"},
	{label: constants.EphemeralPartitionLabel, filesystem: block.FilesystemTypeXFS, format: "xfs"},
}

// diskResources is what the machine sees of its disks, and of its own installation on one of them.
func diskResources(m facts.Machine) []resource.Resource {
	var all []resource.Resource

	disks := make([]*block.Disk, 0, len(m.File().Disks))

	for _, disk := range m.File().Disks {
		seen := diskResource(disk)
		disks = append(disks, seen)
		all = append(all, seen)
	}

	// Talos runs from a read-only image on a loop device, which is listed like a disk
	image := block.NewDisk(block.NamespaceName, "loop0")
	image.TypedSpec().DevPath = "/dev/loop0"
	image.TypedSpec().SetSize(75 * mebibyte)
	image.TypedSpec().IOSize, image.TypedSpec().SectorSize = 512, 512
	image.TypedSpec().Readonly = true
	all = append(all, image)

	system := systemDisk(m, disks)
	all = append(all, discoveredVolumes(disks, system)...)

	return append(all, volumeStatuses(system)...)
}

func diskResource(disk machinefile.Disk) *block.Disk {
	id := filepath.Base(disk.Name)
	seen := block.NewDisk(block.NamespaceName, id)
	spec := seen.TypedSpec()

	spec.DevPath = disk.Name
	spec.SetSize(disk.SizeBytes)
	spec.IOSize, spec.SectorSize = 512, 512
	spec.Model, spec.Serial = disk.Model, disk.Serial
	spec.SubSystem = "/sys/class/block"
	spec.BusPath = "/pci0000:00/0000:00:01.0/" + id
	spec.Transport = "sata"

	if strings.HasPrefix(id, "nvme") {
		spec.Transport = "nvme"
	}

	if disk.Serial != "" {
		spec.WWID = "eui." + disk.Serial
		spec.Symlinks = []string{"/dev/disk/by-id/" + spec.Transport + "-" + strings.ReplaceAll(disk.Model, " ", "_") + "_" + disk.Serial}
	}

	return seen
}

// systemDisk is the disk that Talos is installed on; nil while there is no machine config, or no disk that it names.
func systemDisk(m facts.Machine, disks []*block.Disk) *block.Disk {
	if m.Config() == nil || m.Config().Machine() == nil {
		return nil
	}

	install := m.Config().Machine().Install()

	for _, disk := range disks {
		if isInstallDisk(install, disk) {
			return disk
		}
	}

	return nil
}

func isInstallDisk(install config.Install, disk *block.Disk) bool {
	// a selector wins over the name, as in Talos' installer
	if expression, err := install.DiskMatchExpression(); err == nil && expression != nil {
		var spec blockpb.DiskSpec
		if proto.ResourceSpecToProto(disk, &spec) != nil {
			return false
		}

		matches, err := expression.EvalBool(celenv.DiskLocator(), map[string]any{"disk": &spec, "system_disk": false})

		return err == nil && matches
	}

	name := install.Disk()
	if name == disk.TypedSpec().DevPath {
		return true
	}

	for _, link := range disk.TypedSpec().Symlinks {
		if name == link {
			return true
		}
	}

	return false
}

func discoveredVolumes(disks []*block.Disk, system *block.Disk) []resource.Resource {
	var all []resource.Resource

	for _, disk := range disks {
		whole := block.NewDiscoveredVolume(block.NamespaceName, disk.Metadata().ID())
		whole.TypedSpec().DevPath = disk.TypedSpec().DevPath
		whole.TypedSpec().Type = "disk"
		whole.TypedSpec().SetSize(disk.TypedSpec().Size)
		whole.TypedSpec().SectorSize, whole.TypedSpec().IOSize = 512, 512
		all = append(all, whole)

		if disk != system {
			continue
		}

		whole.TypedSpec().Name = "gpt"

		for index, part := range partitions {
			id, location := partitionPath(disk, index+1)
			volume := block.NewDiscoveredVolume(block.NamespaceName, id)
			spec := volume.TypedSpec()
			spec.DevPath, spec.Type = location, "partition"
			spec.Parent, spec.ParentDevPath = disk.Metadata().ID(), disk.TypedSpec().DevPath
			spec.SetSize(partitionSize(disk, part))
			spec.SectorSize, spec.IOSize = 512, 512
			spec.Name = part.format
			spec.PartitionLabel, spec.PartitionIndex = part.label, uint(index+1)

			if part.filesystem == block.FilesystemTypeXFS {
				spec.Label = part.label
			}

			all = append(all, volume)
		}
	}

	if system != nil {
		resource := block.NewSystemDisk(block.NamespaceName, block.SystemDiskID)
		resource.TypedSpec().DiskID, resource.TypedSpec().DevPath = system.Metadata().ID(), system.TypedSpec().DevPath
		all = append(all, resource)
	}

	return all
}

// volumeStatuses are Talos' own volumes: ready when installed, and missing or waiting in maintenance.
func volumeStatuses(system *block.Disk) []resource.Resource {
	var all []resource.Resource

	for index, part := range partitions {
		switch part.label {
		case constants.MetaPartitionLabel, constants.StatePartitionLabel, constants.EphemeralPartitionLabel:
		default:
			continue
		}

		volume := block.NewVolumeStatus(block.NamespaceName, part.label)
		spec := volume.TypedSpec()
		spec.Type = block.VolumeTypePartition

		switch {
		case system != nil:
			spec.Phase = block.VolumePhaseReady
			_, spec.Location = partitionPath(system, index+1)
			spec.MountLocation = spec.Location
			spec.ParentID, spec.ParentLocation = system.Metadata().ID(), system.TypedSpec().DevPath
			spec.PartitionIndex = index + 1
			spec.Filesystem = part.filesystem
			spec.SetSize(partitionSize(system, part))
		case part.label == constants.EphemeralPartitionLabel:
			spec.Phase = block.VolumePhaseWaiting
		default:
			spec.Phase = block.VolumePhaseMissing
		}

		all = append(all, volume)
	}

	return all
}

func partitionPath(disk *block.Disk, number int) (id, location string) {
	suffix := strconv.Itoa(number)
	if last := disk.Metadata().ID(); last[len(last)-1] >= '0' && last[len(last)-1] <= '9' {
		suffix = "p" + suffix
	}

	return disk.Metadata().ID() + suffix, disk.TypedSpec().DevPath + suffix
}

func partitionSize(disk *block.Disk, part partition) uint64 {
	if part.size > 0 {
		return part.size
	}

	// the start and the end of the disk hold the partition table
	rest := disk.TypedSpec().Size - 2*mebibyte
	for _, other := range partitions {
		rest -= other.size
	}

	if rest > disk.TypedSpec().Size {
		return 0
	}

	return rest
}
