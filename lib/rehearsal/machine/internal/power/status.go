package power

import (
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/services"
)

var stageProto = map[string]machine.MachineStatusEvent_MachineStage{
	facts.StageBooting:      machine.MachineStatusEvent_BOOTING,
	facts.StageMaintenance:  machine.MachineStatusEvent_MAINTENANCE,
	facts.StageRunning:      machine.MachineStatusEvent_RUNNING,
	facts.StageRebooting:    machine.MachineStatusEvent_REBOOTING,
	facts.StageShuttingDown: machine.MachineStatusEvent_SHUTTING_DOWN,
	facts.StageResetting:    machine.MachineStatusEvent_RESETTING,
	facts.StageUpgrading:    machine.MachineStatusEvent_UPGRADING,
}

// publishStatus ends the boot stage when all services are up.
func (b *boot) publishStatus() {
	unmet := b.unhealthy()

	b.mu.Lock()
	defer b.mu.Unlock()

	if b.stage == facts.StageBooting && b.config != nil && (b.unblocked || (len(unmet) == 0 && b.parts.kubelet != nil)) {
		b.stage = facts.StageRunning
	}
}

// MachineStatusChanged tells watchers of events what the MachineStatus resource has become, as Talos does. Whoever waits for
// the end of a reboot waits for the event that says running and ready, which comes with the Node and the static pods.
func (m *Machine) MachineStatusChanged(status runtime.MachineStatusSpec) {
	event := &machine.MachineStatusEvent{
		Stage:  stageProto[status.Stage.String()],
		Status: &machine.MachineStatusEvent_MachineStatus{Ready: status.Status.Ready},
	}

	for _, unmet := range status.Status.UnmetConditions {
		event.Status.UnmetConditions = append(event.Status.UnmetConditions,
			&machine.MachineStatusEvent_MachineStatus_UnmetCondition{Name: unmet.Name, Reason: unmet.Reason})
	}

	m.current().bus.Publish("", event)
}

func (b *boot) unhealthy() []string {
	var unmet []string

	for _, service := range b.registry.List() {
		if service.State != services.Running || !service.Healthy {
			unmet = append(unmet, service.ID)
		}
	}

	return unmet
}
