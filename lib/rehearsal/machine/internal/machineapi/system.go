package machineapi

import (
	"bufio"
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Hostname tells the machine's name.
func (s *server) Hostname(context.Context, *emptypb.Empty) (*machine.HostnameResponse, error) {
	return &machine.HostnameResponse{Messages: []*machine.Hostname{{Hostname: s.machine.Hostname()}}}, nil
}

// Memory tells the memory of the simulated hardware, in KiB; a quarter of it is said to be in use.
func (s *server) Memory(context.Context, *emptypb.Empty) (*machine.MemoryResponse, error) {
	total := s.machine.File().MemoryMB * 1024

	return &machine.MemoryResponse{Messages: []*machine.Memory{{Meminfo: &machine.MemInfo{
		Memtotal: total, Memfree: total / 2, Memavailable: total / 4 * 3, Cached: total / 4,
	}}}}, nil
}

// LoadAvg tells the load of this computer.
func (s *server) LoadAvg(context.Context, *emptypb.Empty) (*machine.LoadAvgResponse, error) {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}

	loads := [3]float64{}

	for index, field := range strings.Fields(string(content)) {
		if index < len(loads) {
			if loads[index], err = strconv.ParseFloat(field, 64); err != nil {
				return nil, err
			}
		}
	}

	return &machine.LoadAvgResponse{Messages: []*machine.LoadAvg{{Load1: loads[0], Load5: loads[1], Load15: loads[2]}}}, nil
}

// SystemStat tells the processor times of this computer.
func (s *server) SystemStat(context.Context, *emptypb.Empty) (*machine.SystemStatResponse, error) {
	file, err := os.Open("/proc/stat")
	if err != nil {
		return nil, err
	}

	defer file.Close() //nolint:errcheck

	stat := &machine.SystemStat{}
	counters := map[string]*uint64{
		"btime": &stat.BootTime, "ctxt": &stat.ContextSwitches, "processes": &stat.ProcessCreated,
		"procs_running": &stat.ProcessRunning, "procs_blocked": &stat.ProcessBlocked,
	}

	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}

		if counter, known := counters[fields[0]]; known {
			*counter, _ = strconv.ParseUint(fields[1], 10, 64)
		}

		if fields[0] == "cpu" {
			stat.CpuTotal = cpuTimes(fields[1:])
		} else if strings.HasPrefix(fields[0], "cpu") {
			stat.Cpu = append(stat.Cpu, cpuTimes(fields[1:]))
		}
	}

	return &machine.SystemStatResponse{Messages: []*machine.SystemStat{stat}}, nil
}

// cpuTimes reads the columns of a line of /proc/stat, which count hundredths of a second.
func cpuTimes(fields []string) *machine.CPUStat {
	times := &machine.CPUStat{}
	columns := []*float64{
		&times.User, &times.Nice, &times.System, &times.Idle, &times.Iowait, &times.Irq, &times.SoftIrq, &times.Steal,
		&times.Guest, &times.GuestNice,
	}

	for index, field := range fields {
		if index < len(columns) {
			ticks, _ := strconv.ParseFloat(field, 64)
			*columns[index] = ticks / 100
		}
	}

	return times
}

type storageServer struct {
	storage.UnimplementedStorageServiceServer

	machine Controller
}

// Disks lists the simulated disks; the first is the one that Talos is installed on.
func (s *storageServer) Disks(context.Context, *emptypb.Empty) (*storage.DisksResponse, error) {
	disks := &storage.Disks{}

	for index, disk := range s.machine.File().Disks {
		kind := storage.Disk_SSD
		if transport(disk) == "nvme" {
			kind = storage.Disk_NVME
		}

		disks.Disks = append(disks.Disks, &storage.Disk{
			DeviceName: disk.Name, Model: disk.Model, Serial: disk.Serial, Size: disk.SizeBytes, Type: kind,
			SystemDisk: index == 0 && s.machine.Config() != nil, Subsystem: "/sys/class/block",
		})
	}

	return &storage.DisksResponse{Messages: []*storage.Disks{disks}}, nil
}
