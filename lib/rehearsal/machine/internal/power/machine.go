// Package power is the life of a practice machine: power on, maintenance or running, and the sequences that end a boot.
package power

import (
	"context"
	"sync"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"

	"talos-migrate.invalid/machine/internal/cable"
	"talos-migrate.invalid/machine/internal/events"
	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/machinefile"
	"talos-migrate.invalid/machine/internal/services"
	"talos-migrate.invalid/machine/internal/timeline"
)

// Machine is one practice machine. It is what its API and its parts see of it.
type Machine struct {
	file     machinefile.File
	disk     disk
	cable    *cable.Cable
	timeline *timeline.Timeline

	mu      sync.Mutex
	boot    *boot
	changed chan struct{}
}

// New returns a machine that is off.
func New(file machinefile.File) *Machine {
	return &Machine{
		file:     file,
		disk:     disk{file: file},
		cable:    cable.New(file.Address, cable.Localhost(file.UUID+file.Disk)),
		timeline: timeline.New(file.Timeline),
		changed:  make(chan struct{}),
	}
}

// outcome is what follows a boot.
type outcome string

const (
	off    outcome = "off"
	reboot outcome = "reboot"
)

// Run powers the machine on and returns when it has switched itself off. When ctx ends, the power button is pressed.
func (m *Machine) Run(ctx context.Context) error {
	m.timeline.Mark(timeline.PowerOn)

	for {
		next, err := m.bootOnce(ctx)
		if err != nil {
			return err
		}

		if next == off {
			m.timeline.Mark(timeline.Stopped)

			return nil
		}
	}
}

func (m *Machine) bootOnce(ctx context.Context) (outcome, error) {
	b, err := m.newBoot()
	if err != nil {
		return off, err
	}

	m.mu.Lock()
	m.boot = b
	m.mu.Unlock()
	m.notify()

	defer b.end()

	select {
	case <-ctx.Done():
		return off, nil
	case <-time.After(m.file.BootDelay()):
	}

	provider, err := m.disk.loadConfig()
	if err != nil {
		return off, err
	}

	if provider == nil {
		return b.maintain(ctx)
	}

	return b.run(ctx, provider)
}

// notify wakes whoever waits on Changed.
func (m *Machine) notify() {
	m.mu.Lock()
	defer m.mu.Unlock()

	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Machine) current() *boot {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.boot
}

// File describes the hardware.
func (m *Machine) File() machinefile.File { return m.file }

// BootID is new at every start.
func (m *Machine) BootID() string { return m.current().id }

// Stage is one of the stages of facts.
func (m *Machine) Stage() string { return m.current().getStage() }

// Hostname is the machine's name.
func (m *Machine) Hostname() string {
	if provider := m.Config(); provider != nil {
		if name := provider.Machine().Network().Hostname(); name != "" {
			return name
		}
	}

	return m.disk.generatedHostname()
}

// Config is the config in force; nil in maintenance.
func (m *Machine) Config() config.Provider { return m.current().getConfig() }

// ConfigBytes is the config in force as it was applied.
func (m *Machine) ConfigBytes() []byte {
	provider := m.Config()
	if provider == nil {
		return nil
	}

	content, err := provider.Bytes()
	if err != nil {
		return nil
	}

	return content
}

// Services are Talos' services.
func (m *Machine) Services() []facts.Service { return m.current().registry.List() }

// Registry holds the services of this boot.
func (m *Machine) Registry() *services.Registry { return m.current().registry }

// Events is the event stream of this boot.
func (m *Machine) Events() *events.Bus { return m.current().bus }

// EtcdMemberID is the ID of this machine's member.
func (m *Machine) EtcdMemberID() (uint64, bool) {
	if service := m.Etcd(); service != nil {
		return service.MemberID()
	}

	return 0, false
}

// Neighbours are the other machines of the cluster.
func (m *Machine) Neighbours() []facts.Neighbour {
	discovery := m.current().getDiscovery()
	if discovery == nil {
		return nil
	}

	return discovery.List()
}

// KubernetesClientFiles is an administrator's kubeconfig for the machine's own use.
func (m *Machine) KubernetesClientFiles() (string, bool) {
	path := m.current().getKubeconfig()

	// a worker reaches the API over its cable
	if m.cable.Pulled() && m.Etcd() == nil {
		return "", false
	}

	return path, path != ""
}

// Changed is closed when anything of the above changes.
func (m *Machine) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.changed
}

// isControlPlane tells whether a config is for a control plane machine.
func isControlPlane(provider config.Provider) bool {
	return provider.Machine().Type() == machinetype.TypeControlPlane || provider.Machine().Type() == machinetype.TypeInit
}
