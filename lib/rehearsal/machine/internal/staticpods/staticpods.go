// Package staticpods describes the control plane's static pods, which Talos renders from the machine config.
package staticpods

import (
	"fmt"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const systemCriticalPriority int32 = 2000000000

// All are the static pods of a control plane machine, without a node name; none for a worker.
func All(provider config.Provider) []*corev1.Pod {
	if provider == nil || provider.Machine() == nil || !provider.Machine().Type().IsControlPlane() {
		return nil
	}

	cluster := provider.Cluster()

	return []*corev1.Pod{
		pod(k8s.APIServerID, cluster.APIServer().Image(), "200m", "512Mi", probe("/livez", int32(cluster.LocalAPIServerPort()))),
		pod(k8s.ControllerManagerID, cluster.ControllerManager().Image(), "50m", "256Mi", probe("/healthz", 10257)),
		pod(k8s.SchedulerID, cluster.Scheduler().Image(), "10m", "64Mi", probe("/healthz", 10259)),
	}
}

func pod(name, image, cpu, memory string, liveness *corev1.Probe) *corev1.Pod {
	priority, preemption := systemCriticalPriority, corev1.PreemptLowerPriority

	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      name,
			Namespace: metav1.NamespaceSystem,
			Labels: map[string]string{
				"tier":                         "control-plane",
				"k8s-app":                      name,
				"component":                    name,
				"app.kubernetes.io/name":       name,
				"app.kubernetes.io/version":    "v" + Version(image),
				"app.kubernetes.io/component":  "control-plane",
				"app.kubernetes.io/managed-by": "Talos",
			},
			Annotations: map[string]string{constants.AnnotationStaticPodConfigVersion: "1"},
		},
		Spec: corev1.PodSpec{
			Priority:           &priority,
			PriorityClassName:  "system-cluster-critical",
			PreemptionPolicy:   &preemption,
			HostNetwork:        true,
			RestartPolicy:      corev1.RestartPolicyAlways,
			DNSPolicy:          corev1.DNSClusterFirst,
			Tolerations:        []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}},
			EnableServiceLinks: new(bool),
			Containers: []corev1.Container{{
				Name:          name,
				Image:         image,
				Command:       []string{"/usr/local/bin/" + name},
				LivenessProbe: liveness,
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
					corev1.ResourceCPU:    resource.MustParse(cpu),
					corev1.ResourceMemory: resource.MustParse(memory),
				}},
			}},
		},
	}
}

func probe(path string, port int32) *corev1.Probe {
	action := &corev1.HTTPGetAction{Path: path, Scheme: corev1.URISchemeHTTPS}
	action.Port.IntVal = port

	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: action}, TimeoutSeconds: 15}
}

// Version is the version that an image's tag names, without the leading v.
func Version(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, found := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")

	if !found {
		return constants.DefaultKubernetesVersion
	}

	return strings.TrimPrefix(tag, "v")
}

// ID is the name that a static pod has on a node, as the StaticPodStatus resource shows it.
func ID(pod *corev1.Pod, nodeName string) string {
	return fmt.Sprintf("%s/%s-%s", pod.Namespace, pod.Name, nodeName)
}
