package kubelet

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/version"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"talos-migrate.invalid/machine/internal/staticpods"
)

const (
	kubeletPort        = 10250
	containerRuntime   = "containerd://2.1.4"
	kernelVersion      = "6.12.43-talos"
	defaultMaxPods     = 110
	reservedMemoryMB   = 512
	statusReportPeriod = 5 * time.Minute
)

// setStatus writes what the kubelet of this machine would report.
func (k *kubelet) setStatus(node *corev1.Node) {
	file := k.machine.File()

	node.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: file.Address},
		{Type: corev1.NodeHostName, Address: k.name},
	}

	node.Status.Capacity = k.capacity(file.MemoryMB)
	node.Status.Allocatable = k.capacity(file.MemoryMB - min(file.MemoryMB, reservedMemoryMB))
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = kubeletPort

	node.Status.NodeInfo = corev1.NodeSystemInfo{
		MachineID:               strings.ReplaceAll(file.UUID, "-", ""),
		SystemUUID:              file.UUID,
		BootID:                  k.machine.BootID(),
		KernelVersion:           kernelVersion,
		OSImage:                 fmt.Sprintf("%s (%s)", version.Name, version.Tag),
		ContainerRuntimeVersion: containerRuntime,
		KubeletVersion:          "v" + staticpods.Version(k.machine.Config().Machine().Kubelet().Image()),
		OperatingSystem:         "linux",
		Architecture:            "amd64",
	}

	setCondition(node, corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available")
	setCondition(node, corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
	setCondition(node, corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available")
	setCondition(node, corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
}

func (k *kubelet) capacity(memoryMB uint64) corev1.ResourceList {
	disk := uint64(0)
	for _, one := range k.machine.File().Disks {
		disk = max(disk, one.SizeBytes)
	}

	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(k.machine.File().CPUs), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(int64(memoryMB)<<20, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(int64(disk), resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(k.maxPods(), resource.DecimalSI),
	}
}

func (k *kubelet) maxPods() int64 {
	configured := fmt.Sprint(k.machine.Config().Machine().Kubelet().ExtraConfig()["maxPods"])

	if pods, err := strconv.ParseInt(configured, 10, 64); err == nil {
		return pods
	}

	return defaultMaxPods
}

// setCondition keeps the time of the last transition when nothing but the heartbeat is new.
func setCondition(node *corev1.Node, kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) {
	now := metav1.Now()

	for index := range node.Status.Conditions {
		condition := &node.Status.Conditions[index]
		if condition.Type != kind {
			continue
		}

		if condition.Status != status {
			condition.LastTransitionTime = now
		}

		condition.Status, condition.Reason, condition.Message, condition.LastHeartbeatTime = status, reason, message, now

		return
	}

	node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now,
	})
}

// statusWorthSending is false for a mere heartbeat, which the lease gives, until the report period is over.
func (k *kubelet) statusWorthSending(node, wanted *corev1.Node) bool {
	quiet := wanted.DeepCopy()
	oldest := time.Now()

	for index := range quiet.Status.Conditions {
		for _, before := range node.Status.Conditions {
			if before.Type == quiet.Status.Conditions[index].Type {
				quiet.Status.Conditions[index].LastHeartbeatTime = before.LastHeartbeatTime

				if before.LastHeartbeatTime.Time.Before(oldest) {
					oldest = before.LastHeartbeatTime.Time
				}
			}
		}
	}

	return !equality.Semantic.DeepEqual(node.Status, quiet.Status) || time.Since(oldest) > statusReportPeriod
}
