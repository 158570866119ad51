package kubelet

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"

	"golang.org/x/sync/errgroup"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/kubeclient"
	"talos-migrate.invalid/machine/internal/nodespec"
)

const (
	cordonTimeout = time.Minute
	// Talos gives five minutes; nobody who practises wants to wait that long for what is evicted by nobody
	drainTimeout     = time.Minute
	evictionGrace    = int64(60)
	evictionInterval = time.Second
	goneInterval     = 250 * time.Millisecond
)

// CordonAndDrain is what Talos does at the beginning of a shutdown and of a graceful reset. What cannot be evicted within
// the bound is only logged. An error of the API is returned, and ends Talos' shutdown sequence unless it is forced.
// A machine whose Node does not exist has nothing to drain.
func CordonAndDrain(ctx context.Context, m facts.Machine, log Log) error {
	client, err := kubeclient.Now(m)
	if client == nil || err != nil {
		return err
	}

	k := &kubelet{machine: m, name: m.Hostname(), client: client, log: log}

	if err = k.cordon(ctx); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}

		return fmt.Errorf("cordon: %w", err)
	}

	return k.drain(ctx)
}

func (k *kubelet) cordon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cordonTimeout)
	defer cancel()

	return alterNode(ctx, k, nodespec.Cordon)
}

func (k *kubelet) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()

	pods, err := k.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", k.name).String(),
	})
	if err != nil {
		return fmt.Errorf("drain: pods of node %s: %w", k.name, err)
	}

	var group errgroup.Group

	for _, pod := range pods.Items {
		if reason := notDrained(&pod); reason != "" {
			k.log("drain: %s/%s stays: %s", pod.Namespace, pod.Name, reason)

			continue
		}

		group.Go(func() error {
			if err := evict(ctx, k.client, &pod); err != nil {
				k.log("drain: %s/%s was not evicted: %v", pod.Namespace, pod.Name, err)
			}

			return nil
		})
	}

	return group.Wait()
}

func notDrained(pod *corev1.Pod) string {
	owner := metav1.GetControllerOf(pod)

	switch {
	case pod.Annotations[corev1.MirrorPodAnnotationKey] != "":
		return "mirror pod"
	case owner == nil:
		return "nothing manages it"
	case owner.Kind == "DaemonSet":
		return "pod of a DaemonSet"
	}

	return ""
}

// evict asks again while a disruption budget forbids it, and returns when the pod is gone.
func evict(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	grace := evictionGrace
	pods := client.CoreV1().Pods(pod.Namespace)

	for {
		err := pods.EvictV1(ctx, &policyv1.Eviction{
			ObjectMeta:    metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
			DeleteOptions: &metav1.DeleteOptions{GracePeriodSeconds: &grace},
		})

		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil:
			return waitUntilGone(ctx, client, pod)
		case !apierrors.IsTooManyRequests(err):
			return err
		case !pause(ctx, evictionInterval):
			return fmt.Errorf("%w: %v", ctx.Err(), err)
		}
	}
}

func waitUntilGone(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	for {
		present, err := client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})

		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil && present.UID != pod.UID:
			return nil
		case err != nil && ctx.Err() == nil:
			return err
		}

		if !pause(ctx, goneInterval) {
			return fmt.Errorf("it was not gone in time: %w", ctx.Err())
		}
	}
}
