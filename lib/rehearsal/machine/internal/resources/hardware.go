package resources

import (
	"fmt"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"

	"talos-migrate.invalid/machine/internal/facts"
)

// hardwareResources is what the firmware says of the machine.
func hardwareResources(m facts.Machine) []resource.Resource {
	file := m.File()

	system := hardware.NewSystemInformation(hardware.SystemInformationID)
	*system.TypedSpec() = hardware.SystemInformationSpec{
		Manufacturer: "Practice",
		ProductName:  "Practice Machine",
		Version:      "1",
		SerialNumber: serialNumber(file.UUID),
		UUID:         file.UUID,
		WakeUpType:   "Power Switch",
	}

	processor := hardware.NewProcessorInfo("CPU-0")
	*processor.TypedSpec() = hardware.ProcessorSpec{
		Socket:       "CPU 0",
		Manufacturer: "Practice",
		ProductName:  "Practice CPU",
		CoreCount:    uint32(file.CPUs),
		CoreEnabled:  uint32(file.CPUs),
		ThreadCount:  uint32(file.CPUs),
	}

	memory := hardware.NewMemoryModuleInfo("DIMM-0")
	*memory.TypedSpec() = hardware.MemoryModuleSpec{
		Size:          uint32(file.MemoryMB),
		DeviceLocator: "DIMM 0",
		Manufacturer:  "Practice",
	}

	return []resource.Resource{system, processor, memory}
}

func serialNumber(uuid string) string {
	tail := strings.ToUpper(uuid[strings.LastIndex(uuid, "-")+1:])

	return fmt.Sprintf("PM-%s", tail)
}
