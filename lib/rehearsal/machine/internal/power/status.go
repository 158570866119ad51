package power

import (
	"slices"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/services"
)

// machineStatus is what MachineStatus events tell.
type machineStatus struct {
	stage string
	unmet []string
}

var stageProto = map[string]machine.MachineStatusEvent_MachineStage{
	facts.StageBooting:      machine.MachineStatusEvent_BOOTING,
	facts.StageMaintenance:  machine.MachineStatusEvent_MAINTENANCE,
	facts.StageRunning:      machine.MachineStatusEvent_RUNNING,
	facts.StageRebooting:    machine.MachineStatusEvent_REBOOTING,
	facts.StageShuttingDown: machine.MachineStatusEvent_SHUTTING_DOWN,
	facts.StageResetting:    machine.MachineStatusEvent_RESETTING,
	facts.StageUpgrading:    machine.MachineStatusEvent_UPGRADING,
}

// publishStatus ends the boot stage when all services are up, and tells watchers what changed.
func (b *boot) publishStatus() {
	unmet := b.unhealthy()

	b.mu.Lock()

	if b.stage == facts.StageBooting && b.config != nil && (b.unblocked || (len(unmet) == 0 && b.parts.kubelet != nil)) {
		b.stage = facts.StageRunning
	}

	now := machineStatus{stage: b.stage, unmet: unmet}
	changed := now.stage != b.status.stage || !slices.Equal(now.unmet, b.status.unmet)
	b.status = now
	b.mu.Unlock()

	if !changed {
		return
	}

	event := &machine.MachineStatusEvent{
		Stage:  stageProto[now.stage],
		Status: &machine.MachineStatusEvent_MachineStatus{Ready: len(unmet) == 0},
	}

	if len(unmet) > 0 {
		event.Status.UnmetConditions = []*machine.MachineStatusEvent_MachineStatus_UnmetCondition{{Name: "services", Reason: reason(unmet)}}
	}

	b.bus.Publish("", event)
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

func reason(ids []string) string {
	text := ""

	for index, id := range ids {
		if index > 0 {
			text += ", "
		}

		text += id + " not healthy"
	}

	return text
}
