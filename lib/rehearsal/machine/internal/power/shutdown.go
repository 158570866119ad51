package power

import (
	"context"
	"log"
	"os"
	"path/filepath"

	"talos-migrate.invalid/machine/internal/etcd"
	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/kubelet"
	"talos-migrate.invalid/machine/internal/machineapi"
	"talos-migrate.invalid/machine/internal/services"
	"talos-migrate.invalid/machine/internal/timeline"
)

// Shutdown begins to switch the machine off; with force the node is not cordoned and drained.
func (m *Machine) Shutdown(actor string, force bool) {
	b := m.current()
	m.timeline.Mark(timeline.ShutdownRequested)

	phases := []phase{{name: "storeShutdown", task: "storeShutdownEmergency", run: nothing}}
	if !force {
		phases = append(phases, b.drain(false))
	}

	phases = append(phases, phase{name: "cleanup", task: "stopAllPods", run: b.stopPods})
	phases = append(phases, b.stopAll()...)
	phases = append(phases, phase{name: "shutdown", task: "shutdown", run: b.ending(off)})

	sequence{boot: b, name: "shutdown", actor: actor, stage: facts.StageShuttingDown, phases: phases}.begin(true)
}

// Reboot begins to start the machine again.
func (m *Machine) Reboot(actor string) {
	b := m.current()

	phases := []phase{{name: "cleanup", task: "stopAllPods", run: b.stopPods}}
	phases = append(phases, b.stopAll()...)
	phases = append(phases, phase{name: "reboot", task: "reboot", run: b.ending(reboot)})

	sequence{boot: b, name: "reboot", actor: actor, stage: facts.StageRebooting, phases: phases}.begin(actor == "")
}

// Reset begins to wipe the machine.
func (m *Machine) Reset(actor string, plan machineapi.ResetPlan) {
	b := m.current()

	var phases []phase

	if plan.Graceful {
		phases = append(phases, b.drain(true), phase{name: "cleanup", task: "removeAllPods", run: b.stopPods, lenient: true})

		if b.etcd != nil {
			phases = append(phases, phase{name: "leave", task: "leaveEtcd", run: b.leaveEtcd})
		}
	} else {
		phases = append(phases, phase{name: "cleanup", task: "stopAllPods", run: b.stopPods, lenient: true})
	}

	phases = append(phases, phase{name: "preReset", task: "sendResetSignal", run: func(context.Context) error {
		b.discovery.Leave()

		return nil
	}})
	phases = append(phases, b.stopAll()...)

	switch {
	case plan.WholeDisk:
		phases = append(phases, phase{name: "reset", task: "wipeSystemDisk", run: func(context.Context) error { return m.disk.wipe() }})
	case len(plan.Labels) > 0:
		phases = append(phases, phase{
			name: "resetSpec", task: "resetSystemDiskSpec", run: func(context.Context) error { return m.disk.wipe(plan.Labels...) },
		})
	}

	last := phase{name: "shutdown", task: "shutdown", run: b.ending(off)}
	if plan.Reboot {
		last = phase{name: "reboot", task: "reboot", run: b.ending(reboot)}
	}

	sequence{boot: b, name: "reset", actor: actor, stage: facts.StageResetting, phases: append(phases, last)}.begin(false)
}

func nothing(context.Context) error { return nil }

func (b *boot) drain(lenient bool) phase {
	return phase{name: "drain", task: "cordonAndDrainNode", lenient: lenient, run: func(ctx context.Context) error {
		return kubelet.CordonAndDrain(ctx, b.machine, log.Printf)
	}}
}

func (b *boot) stopPods(context.Context) error {
	b.part(&b.parts.kubelet).stop()

	// the API server waits for the watches of whoever still has the kubeconfig
	b.mu.Lock()
	b.kubeconfig = ""
	b.mu.Unlock()
	b.changed()

	b.part(&b.parts.controlPlane).stop()

	return nil
}

// stopAll is common to all sequences. Clients that wait for the end of a shutdown or a reset wait for its last task.
func (b *boot) stopAll() []phase {
	return []phase{
		{name: "stopServices", task: "stopServicesForUpgrade", run: func(context.Context) error {
			b.part(&b.parts.etcd).stop()

			return nil
		}},
		{name: "unmountSystem", task: "unmountEphemeralPartition", run: nothing},
		{name: "stopEverything", task: "stopAllServices", run: func(context.Context) error {
			for _, service := range b.registry.List() {
				if service.State != services.Finished {
					b.registry.Set(service.ID, services.Finished, "Service finished successfully")
				}
			}

			b.bus.Drain(drainLimit)

			return nil
		}},
	}
}

func (b *boot) leaveEtcd(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(b.machine.disk.etcd(), "member")); err != nil {
		return nil
	}

	if service, known := b.registry.Get(etcd.ID); !known || service.State == services.Finished {
		return nil
	}

	return b.etcd.Leave(ctx)
}

// ending lets what has been published reach its watchers before the machine is gone.
func (b *boot) ending(next outcome) func(context.Context) error {
	return func(context.Context) error {
		b.bus.Drain(drainLimit)
		b.finish(next)

		return nil
	}
}
