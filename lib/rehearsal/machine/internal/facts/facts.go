// Package facts is the view of the practice machine that its parts share.
package facts

import (
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"talos-migrate.invalid/machine/internal/machinefile"
)

// The stages of a machine, in the words of Talos' MachineStatus resource.
const (
	StageMaintenance  = "maintenance"
	StageBooting      = "booting"
	StageRunning      = "running"
	StageShuttingDown = "shutting down"
	StageResetting    = "resetting"
	StageRebooting    = "rebooting"
	StageUpgrading    = "upgrading"
)

// Machine is the view of this machine that resources, health and kubelet read.
// All methods are safe for concurrent use, and what they return is never altered afterwards.
type Machine interface {
	// File describes the hardware: address, uuid, mac, disks, memory.
	File() machinefile.File
	// BootID is new at every start of the machine.
	BootID() string
	// Stage is one of the Stage constants.
	Stage() string
	// Hostname comes from the machine config, or is generated.
	Hostname() string
	// Config is the machine config in force; nil in maintenance.
	Config() config.Provider
	// ConfigBytes is the machine config as it was applied; nil in maintenance.
	ConfigBytes() []byte
	// Services are Talos' services in the order that talosctl shows them; in maintenance only those that run there.
	Services() []Service
	// EtcdMemberID is the ID of this machine's etcd member, once it is known.
	EtcdMemberID() (uint64, bool)
	// Neighbours are the other machines that discovery knows of this cluster; this machine is not among them.
	Neighbours() []Neighbour
	// KubernetesClientFiles is the path of an admin kubeconfig on the machine's own disk; ok when this machine
	// is a control plane machine whose API server has been started, or a worker that a control plane machine trusts.
	KubernetesClientFiles() (kubeconfigPath string, ok bool)
	// Changed is closed as soon as anything above changes. Take the channel first, then read, then wait on it.
	Changed() <-chan struct{}
}

// Service is the state of one of Talos' services.
type Service struct {
	ID          string // apid, machined, containerd, cri, etcd, kubelet, trustd, udevd, auditd, syslogd, dashboard
	State       string // Initialized, Preparing, Waiting, Pre, Starting, Running, Stopping, Finished, Failed, Skipped
	Healthy     bool
	Unknown     bool // no health check has run yet
	LastMessage string
	LastChange  time.Time
	Events      []ServiceEvent
}

// ServiceEvent is one line of a service's history.
type ServiceEvent struct {
	State   string
	Message string
	At      time.Time
}

// Neighbour is what discovery knows of another machine of the same cluster.
type Neighbour struct {
	UUID     string
	NodeID   string // the cluster node identity, as in Affiliate and Member resources
	Hostname string
	Address  string
	Type     string // "controlplane" or "worker"
	Alive    bool
	LastSeen time.Time
}
