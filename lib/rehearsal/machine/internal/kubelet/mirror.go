package kubelet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"talos-migrate.invalid/machine/internal/staticpods"
)

const (
	hashAnnotation   = "kubernetes.io/config.hash"
	sourceAnnotation = "kubernetes.io/config.source"
	seenAnnotation   = "kubernetes.io/config.seen"
	// Talos serves its static pods to the kubelet over HTTP
	source       = "http"
	probeUnready = 300 * time.Millisecond
	probeReady   = 5 * time.Second
)

// keepMirrorPods shows the static pods in the API. A mirror pod that was deleted comes back; one that a snapshot brought
// keeps its identity, unless the static pod has become another one.
func (k *kubelet) keepMirrorPods(ctx context.Context) error {
	if len(staticpods.All(k.machine.Config())) == 0 {
		<-ctx.Done()

		return nil
	}

	dirty, err := k.watchMirrorPods(ctx)
	if err != nil {
		return err
	}

	said := ""

	for {
		changed := k.machine.Changed()

		allReady, err := k.syncMirrorPods(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			k.log("kubelet: mirror pods: %v", err)
		}

		again := probeReady
		if err != nil || !allReady {
			again = probeUnready
		}

		timer := time.NewTimer(again)

		select {
		case <-ctx.Done():
			timer.Stop()

			return nil
		case <-timer.C:
		case <-dirty:
		case <-changed:
		}

		timer.Stop()
	}
}

// watchMirrorPods tells when a mirror pod has been deleted, or is about to be.
func (k *kubelet) watchMirrorPods(ctx context.Context) (<-chan struct{}, error) {
	dirty := make(chan struct{}, 1)
	mark := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok && pod.Annotations[corev1.MirrorPodAnnotationKey] == "" {
			return
		}

		select {
		case dirty <- struct{}{}:
		default:
		}
	}

	informer := informers.NewSharedInformerFactoryWithOptions(k.client, 0, informers.WithNamespace(metav1.NamespaceSystem),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", k.name).String()
		})).Core().V1().Pods().Informer()

	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, now any) {
			if pod, ok := now.(*corev1.Pod); ok && pod.DeletionTimestamp != nil {
				mark(now)
			}
		},
		DeleteFunc: mark,
	})

	go informer.RunWithContext(ctx)

	return dirty, err
}

// syncMirrorPods makes the API show what runs, and tells whether all of it is ready.
func (k *kubelet) syncMirrorPods(ctx context.Context) (bool, error) {
	node, err := k.client.CoreV1().Nodes().Get(ctx, k.name, metav1.GetOptions{})
	if err != nil {
		return false, err
	}

	allReady := true

	for _, static := range staticpods.All(k.machine.Config()) {
		ready := k.probe(ctx, static)
		allReady = allReady && ready

		if err := k.syncMirrorPod(ctx, k.mirrorOf(static, node), ready); err != nil {
			return false, err
		}
	}

	return allReady, nil
}

// mirrorOf is the pod that stands for a static pod in the API.
func (k *kubelet) mirrorOf(static *corev1.Pod, node *corev1.Node) *corev1.Pod {
	mirror := static.DeepCopy()
	mirror.Name += "-" + k.name
	mirror.Spec.NodeName = k.name
	mirror.OwnerReferences = []metav1.OwnerReference{nodeOwner(node, true)}

	// the hash tells whether a mirror pod stands for the present static pod, on this machine and on a later one
	content, _ := json.Marshal(static)
	sum := sha256.Sum256(append(content, k.name...))
	hash := hex.EncodeToString(sum[:16])

	mirror.Annotations[hashAnnotation] = hash
	mirror.Annotations[corev1.MirrorPodAnnotationKey] = hash
	mirror.Annotations[sourceAnnotation] = source
	mirror.Annotations[seenAnnotation] = k.started.UTC().Format(time.RFC3339Nano)

	return mirror
}

func (k *kubelet) syncMirrorPod(ctx context.Context, wanted *corev1.Pod, ready bool) error {
	pods := k.client.CoreV1().Pods(wanted.Namespace)

	present, err := pods.Get(ctx, wanted.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}

	if err == nil && !standsFor(present, wanted) {
		if err = removeNow(ctx, k.client, present); err != nil {
			return err
		}

		present = nil
	} else if err != nil {
		present = nil
	}

	if present == nil {
		if present, err = pods.Create(ctx, wanted, metav1.CreateOptions{}); err != nil {
			return err
		}
	}

	reported := present.DeepCopy()
	k.setMirrorStatus(reported, ready)

	if equality.Semantic.DeepEqual(present.Status, reported.Status) {
		return nil
	}

	_, err = pods.UpdateStatus(ctx, reported, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return nil // the next round sees the newer one
	}

	return err
}

// standsFor tells whether a mirror pod can stay: same static pod, same Node, not being deleted.
func standsFor(present, wanted *corev1.Pod) bool {
	return present.DeletionTimestamp == nil &&
		present.Annotations[corev1.MirrorPodAnnotationKey] == wanted.Annotations[corev1.MirrorPodAnnotationKey] &&
		equality.Semantic.DeepEqual(present.OwnerReferences, wanted.OwnerReferences)
}

func removeNow(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	none := int64(0)

	err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &none, Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}

	return err
}
