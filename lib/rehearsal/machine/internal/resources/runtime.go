package resources

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"
	"github.com/siderolabs/talos/pkg/machinery/resources/time"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
	"github.com/siderolabs/talos/pkg/machinery/version"
	corev1 "k8s.io/api/core/v1"

	"talos-migrate.invalid/machine/internal/facts"
)

// runtimeResources is the state of Talos itself on this machine.
func runtimeResources(m facts.Machine, view nodeView) []resource.Resource {
	release := runtime.NewVersion()
	release.TypedSpec().Version = version.Tag

	platform := runtime.NewPlatformMetadataSpec(runtime.NamespaceName, runtime.PlatformMetadataID)
	platform.TypedSpec().Platform = "metal"
	platform.TypedSpec().Hostname = m.Hostname()

	clock := time.NewStatus()
	clock.TypedSpec().Synced = true

	all := []resource.Resource{release, platform, clock, machineStatus(m, view)}

	for _, service := range m.Services() {
		if service.State != "Running" {
			continue
		}

		running := v1alpha1.NewService(service.ID)
		*running.TypedSpec() = v1alpha1.ServiceSpec{Running: true, Healthy: service.Healthy, Unknown: service.Unknown}
		all = append(all, running)
	}

	return append(all, configResources(m)...)
}

func configResources(m facts.Machine) []resource.Resource {
	if m.Config() == nil {
		return nil
	}

	all := []resource.Resource{
		config.NewMachineConfig(m.Config()),
		config.NewMachineConfigWithID(m.Config(), config.PersistentID),
	}

	if m.Config().Machine() == nil {
		return all
	}

	kind := config.NewMachineType()
	kind.SetMachineType(m.Config().Machine().Type())

	security := m.Config().Machine().Security()
	root := secrets.NewOSRoot(secrets.OSRootID)
	root.TypedSpec().IssuingCA = security.IssuingCA()
	root.TypedSpec().AcceptedCAs = security.AcceptedCAs()
	root.TypedSpec().Token = security.Token()
	root.TypedSpec().CertSANDNSNames = security.CertSANs()

	return append(all, kind, root)
}

func machineStatus(m facts.Machine, view nodeView) resource.Resource {
	status := runtime.NewMachineStatus()
	spec := status.TypedSpec()

	stage, err := runtime.MachineStageString(m.Stage())
	if err != nil {
		stage = runtime.MachineStageUnknown
	}

	spec.Stage = stage

	if stage == runtime.MachineStageBooting || stage == runtime.MachineStageRunning {
		spec.Status.UnmetConditions = unmetConditions(m, view)
	}

	spec.Status.Ready = len(spec.Status.UnmetConditions) == 0

	return status
}

// unmetConditions is what Talos waits for before it calls a machine ready.
func unmetConditions(m facts.Machine, view nodeView) []runtime.UnmetCondition {
	var unmet []runtime.UnmetCondition

	for _, condition := range []struct {
		name     string
		problems []string
	}{
		{"services", serviceProblems(m)},
		{"staticPods", view.podProblems()},
		{"nodeReady", view.nodeProblems(m)},
	} {
		if len(condition.problems) > 0 {
			unmet = append(unmet, runtime.UnmetCondition{Name: condition.name, Reason: strings.Join(condition.problems, ", ")})
		}
	}

	return unmet
}

func serviceProblems(m facts.Machine) []string {
	required := []string{"apid", "machined", "kubelet"}
	if isControlPlane(m) {
		required = append(required, "etcd", "trustd")
	}

	var problems []string

	for _, service := range m.Services() {
		switch {
		case service.State != "Running":
			continue
		case !service.Unknown && !service.Healthy:
			problems = append(problems, service.ID+" not healthy")
		}

		required = slices.DeleteFunc(required, func(id string) bool { return id == service.ID })
	}

	for _, id := range required {
		problems = append(problems, id+" not running")
	}

	return problems
}

func (view nodeView) podProblems() []string {
	var problems []string

	for _, pod := range view.pods {
		if pod.status.Phase != corev1.PodRunning {
			problems = append(problems, fmt.Sprintf("%s %s", pod.id, strings.ToLower(string(pod.status.Phase))))
		} else if !conditionTrue(pod.status.Conditions, corev1.PodReady) {
			problems = append(problems, pod.id+" not ready")
		}
	}

	return problems
}

func (view nodeView) nodeProblems(m facts.Machine) []string {
	switch {
	case m.Config() != nil && m.Config().Machine() != nil && m.Config().Machine().Kubelet().SkipNodeRegistration():
		return nil
	case view.node == nil:
		return []string{fmt.Sprintf("node %q status is not available yet", m.Hostname())}
	case !nodeReady(view.node):
		return []string{fmt.Sprintf("node %q is not ready", m.Hostname())}
	}

	return nil
}

func isControlPlane(m facts.Machine) bool {
	return m.Config() != nil && m.Config().Machine() != nil && m.Config().Machine().Type().IsControlPlane()
}

func conditionTrue(conditions []corev1.PodCondition, kind corev1.PodConditionType) bool {
	return slices.ContainsFunc(conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == kind && condition.Status == corev1.ConditionTrue
	})
}

func nodeReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
		return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
	})
}
