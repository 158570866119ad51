package power

import (
	"fmt"
	"log"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"talos-migrate.invalid/machine/internal/etcd"
	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/services"
	"talos-migrate.invalid/machine/internal/timeline"
)

// Etcd is nil on workers and before the machine runs.
func (m *Machine) Etcd() *etcd.Service {
	b := m.current()

	b.mu.Lock()
	defer b.mu.Unlock()

	return b.etcd
}

// Bootstrap begins a new etcd cluster.
func (m *Machine) Bootstrap(request etcd.Bootstrap) error {
	b := m.current()
	m.timeline.Mark(timeline.BootstrapRequested)

	if err := m.Etcd().Bootstrap(request); err != nil {
		return err
	}

	b.mu.Lock()
	b.unblocked = true
	b.mu.Unlock()
	b.changed()

	return nil
}

// Uploaded records that a snapshot has come.
func (m *Machine) Uploaded() { m.timeline.Mark(timeline.RecoverUploaded) }

// RestartKubelet starts the kubelet anew; the control plane's pods go on meanwhile.
func (m *Machine) RestartKubelet() error {
	b := m.current()

	if stage := b.getStage(); stage != facts.StageRunning && stage != facts.StageBooting {
		return fmt.Errorf("the machine is %s", stage)
	}

	b.registry.Set("kubelet", services.Stopping, "Sending SIGTERM to task kubelet")
	b.part(&b.parts.kubelet).stop()
	b.start(&b.parts.kubelet, b.runKubelet)

	return nil
}

// Store keeps a config for the next boot.
func (m *Machine) Store(provider config.Provider) error { return m.disk.storeConfig(provider) }

// Use puts a config in force at once.
func (m *Machine) Use(next config.Provider, revert time.Duration) {
	b := m.current()

	b.mu.Lock()
	before := b.config
	b.config = next

	if revert > 0 {
		b.revert = time.AfterFunc(revert, func() { m.Use(before, 0) })
	}
	b.mu.Unlock()

	if err := b.renewCertificates(); err != nil {
		log.Printf("apid: %v; the former certificates stay", err)
	}

	b.changed()
}

// KeepConfig ends the wait for a revert.
func (m *Machine) KeepConfig() {
	b := m.current()

	b.mu.Lock()
	defer b.mu.Unlock()

	if b.revert != nil {
		b.revert.Stop()
		b.revert = nil
	}
}
