// Package machineapi answers Talos' MachineService and StorageService for the practice machine.
// Methods that are not here answer Unimplemented with their name.
package machineapi

import (
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	"github.com/siderolabs/talos/pkg/machinery/config"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"talos-migrate.invalid/machine/internal/etcd"
	"talos-migrate.invalid/machine/internal/events"
	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/services"
)

// Controller is what the API can do to the machine.
type Controller interface {
	facts.Machine

	// Events is the event stream of this boot.
	Events() *events.Bus
	// Registry holds the states of the services of this boot.
	Registry() *services.Registry
	// Etcd is nil on workers.
	Etcd() *etcd.Service
	// Path translates a path of the machine to one of this computer.
	Path(onMachine string) (string, bool)

	// Provision takes the first config; the machine then reboots into it.
	Provision(config.Provider) error
	// Store keeps a config for the next boot.
	Store(config.Provider) error
	// Use puts a config in force at once. With revert not zero the former one comes back after that time.
	Use(next config.Provider, revert time.Duration)
	// KeepConfig ends the wait for a revert.
	KeepConfig()

	// Reboot, Shutdown and Reset begin a sequence in the background; its events carry the actor ID.
	Reboot(actorID string)
	Shutdown(actorID string, force bool)
	Reset(actorID string, request ResetPlan)
	// Bootstrap begins a new etcd cluster.
	Bootstrap(etcd.Bootstrap) error
	// RestartKubelet starts the kubelet again.
	RestartKubelet() error
	// Uploaded records that a snapshot is ready to be recovered from, at SnapshotPath.
	Uploaded()
	// SnapshotPath is where an uploaded snapshot is kept.
	SnapshotPath() string
}

// ResetPlan says what a reset wipes.
type ResetPlan struct {
	Graceful bool
	Reboot   bool
	// WholeDisk wipes all of the system disk, Labels only these of its partitions.
	WholeDisk bool
	Labels    []string
}

type server struct {
	machine.UnimplementedMachineServiceServer

	machine Controller
}

// Register adds the services of a running machine.
func Register(registrar *grpc.Server, controller Controller) {
	machine.RegisterMachineServiceServer(registrar, &server{machine: controller})
	storage.RegisterStorageServiceServer(registrar, &storageServer{machine: controller})
}

// RegisterMaintenance adds the few services of a machine in maintenance mode.
func RegisterMaintenance(registrar *grpc.Server, controller Controller) {
	machine.RegisterMachineServiceServer(registrar, &maintenanceServer{machine: controller})
	storage.RegisterStorageServiceServer(registrar, &storageServer{machine: controller})
}

func (s *server) controlPlaneOnly(what string) error {
	if s.machine.Config().Machine().Type() == machinetype.TypeWorker {
		return status.Errorf(codes.Unimplemented, "%s is only available on control plane nodes", what)
	}

	return nil
}

// metal is the mode in which a config is validated: that of real hardware.
type metal struct{ installed bool }

func (metal) String() string { return "metal" }

func (mode metal) RequiresInstall() bool { return !mode.installed }

func (metal) InContainer() bool { return false }
