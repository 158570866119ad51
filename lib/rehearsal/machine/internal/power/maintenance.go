package power

import (
	"context"
	"fmt"
	"log"
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"

	"talos-migrate.invalid/machine/internal/apid"
	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/identity"
	"talos-migrate.invalid/machine/internal/machineapi"
	"talos-migrate.invalid/machine/internal/machinefile"
	"talos-migrate.invalid/machine/internal/resources"
	"talos-migrate.invalid/machine/internal/services"
	"talos-migrate.invalid/machine/internal/timeline"
)

// maintain waits for a config, as a machine does that has none.
func (b *boot) maintain(ctx context.Context) (outcome, error) {
	serving, err := identity.MaintenanceTLS(b.machine.file.Address)
	if err != nil {
		return off, err
	}

	b.setStage(facts.StageMaintenance)

	for _, id := range []string{"machined", "containerd", "udevd", "syslogd", "auditd", "dashboard"} {
		b.registry.Set(id, services.Running, "Service started")
		b.registry.Health(id, true, "")
	}

	if err = b.startAPI(apid.Options{
		TLS:   serving,
		Roles: func(context.Context) role.Set { return role.MakeSet(role.Reader) },
		// no apid yet: every call is taken to be for this machine
		IsLocal: func(string) bool { return true },
		Register: func(server *grpc.Server) error {
			machineapi.RegisterMaintenance(server, b.machine)

			return resources.Register(b.ctx, server, b.machine)
		},
	}); err != nil {
		return off, err
	}

	b.machine.timeline.Mark(timeline.MaintenanceReady)

	select {
	case <-ctx.Done():
		return off, nil
	case next := <-b.ended:
		return next, nil
	}
}

// Provision takes the first config, installs and reboots. Where the disk to install on is not there, the installation
// fails and the machine comes back without a config.
func (m *Machine) Provision(provider config.Provider) error {
	b := m.current()

	if m.installable(provider) {
		if err := m.disk.storeConfig(provider); err != nil {
			return fmt.Errorf("store the config: %w", err)
		}

		m.timeline.Mark(timeline.ConfigApplied)
	}

	b.finish(reboot)

	return nil
}

// finish ends the boot; the first to do so decides what follows.
func (b *boot) finish(next outcome) {
	select {
	case b.ended <- next:
	default:
	}
}

func (m *Machine) installable(provider config.Provider) bool {
	install := provider.Machine().Install()

	// a selector has been checked against the disks when the config was applied
	if selector, err := install.DiskMatchExpression(); err == nil && selector != nil {
		return true
	}

	if slices.ContainsFunc(m.file.Disks, func(one machinefile.Disk) bool { return one.Name == install.Disk() }) {
		return true
	}

	log.Printf("installation failed: the disk %q does not exist", install.Disk())

	return false
}
