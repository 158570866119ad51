package kubelet

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
)

const probeTimeout = time.Second

// prober asks a component on this very machine, as a kubelet's probes do, which check no certificates either.
var prober = &http.Client{
	Timeout: probeTimeout,
	Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec
		DisableKeepAlives: true,
	},
}

// probe tells whether a component of the control plane answers.
func (k *kubelet) probe(ctx context.Context, static *corev1.Pod) bool {
	action := static.Spec.Containers[0].LivenessProbe.HTTPGet

	if static.Name == k8s.APIServerID {
		// it accepts no anonymous requests
		return k.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
	}

	// the control plane listens where the machine's own API server does
	localhost := k.client.CoreV1().RESTClient().Get().URL().Hostname()
	address := net.JoinHostPort(localhost, strconv.Itoa(action.Port.IntValue()))

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+action.Path, nil)
	if err != nil {
		return false
	}

	response, err := prober.Do(request)
	if err != nil {
		return false
	}

	response.Body.Close() //nolint:errcheck

	return response.StatusCode == http.StatusOK
}

// setMirrorStatus reports a pod whose only container was started at this boot.
func (k *kubelet) setMirrorStatus(pod *corev1.Pod, ready bool) {
	address := k.machine.File().Address
	status := &pod.Status
	status.Phase = corev1.PodRunning
	status.HostIP, status.HostIPs = address, []corev1.HostIP{{IP: address}}
	status.PodIP, status.PodIPs = address, []corev1.PodIP{{IP: address}}
	status.QOSClass = corev1.PodQOSBurstable

	if status.StartTime == nil {
		status.StartTime = &metav1.Time{Time: k.started.Truncate(time.Second)}
	}

	state := corev1.ConditionFalse
	if ready {
		state = corev1.ConditionTrue
	}

	setPodCondition(status, corev1.PodReadyToStartContainers, corev1.ConditionTrue)
	setPodCondition(status, corev1.PodInitialized, corev1.ConditionTrue)
	setPodCondition(status, corev1.PodReady, state)
	setPodCondition(status, corev1.ContainersReady, state)
	setPodCondition(status, corev1.PodScheduled, corev1.ConditionTrue)

	container := pod.Spec.Containers[0]
	sum := sha256.Sum256([]byte(k.machine.BootID() + pod.Name))
	id := "containerd://" + hex.EncodeToString(sum[:])
	restarts := int32(0)

	if len(status.ContainerStatuses) == 1 && status.ContainerStatuses[0].ContainerID != "" {
		restarts = status.ContainerStatuses[0].RestartCount

		if status.ContainerStatuses[0].ContainerID != id {
			restarts++
		}
	}

	running := true
	status.ContainerStatuses = []corev1.ContainerStatus{{
		Name:         container.Name,
		Image:        container.Image,
		ImageID:      container.Image,
		ContainerID:  id,
		Ready:        ready,
		Started:      &running,
		RestartCount: restarts,
		State:        corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Time{Time: k.started.Truncate(time.Second)}}},
	}}
}

func setPodCondition(status *corev1.PodStatus, kind corev1.PodConditionType, state corev1.ConditionStatus) {
	for index := range status.Conditions {
		condition := &status.Conditions[index]
		if condition.Type != kind {
			continue
		}

		if condition.Status != state {
			condition.Status, condition.LastTransitionTime = state, metav1.Now()
		}

		return
	}

	status.Conditions = append(status.Conditions, corev1.PodCondition{Type: kind, Status: state, LastTransitionTime: metav1.Now()})
}
