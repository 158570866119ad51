package kubelet

import (
	"context"
	"encoding/json"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/util/retry"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/nodespec"
)

const leaseSeconds int32 = 40

// register makes the Node, or takes over the one that is there with all that others have written into it.
func (k *kubelet) register(ctx context.Context) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: k.name, Labels: k.ownLabels()}}
	k.setVolumeAnnotation(node)
	nodespec.Apply(node, k.machine.Config())

	_, err := k.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}

	if err = k.updateNode(ctx); err != nil {
		return err
	}

	if err = k.updateStatus(ctx); err != nil {
		return err
	}

	return k.renewLease(ctx)
}

func (k *kubelet) ownLabels() map[string]string {
	return map[string]string{
		corev1.LabelHostname:      k.name,
		corev1.LabelOSStable:      "linux",
		corev1.LabelArchStable:    "amd64",
		"beta.kubernetes.io/os":   "linux",
		"beta.kubernetes.io/arch": "amd64",
	}
}

func (k *kubelet) setVolumeAnnotation(node *corev1.Node) {
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}

	node.Annotations["volumes.kubernetes.io/controller-managed-attach-detach"] = "true"
}

// keepNode follows the machine's config and stage, and renews the lease. A Node that was deleted is not made again
// before the kubelet is restarted, as with a real one.
func (k *kubelet) keepNode(ctx context.Context) error {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()

	for {
		changed := k.machine.Changed()

		if err := k.updateNode(ctx); err != nil && ctx.Err() == nil {
			k.log("kubelet: update of the node: %v", err)
		}

		if err := k.updateStatus(ctx); err != nil && ctx.Err() == nil {
			k.log("kubelet: update of the node's status: %v", err)
		}

		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			// several facts change together
			if !pause(ctx, impatience) {
				return nil
			}
		case <-ticker.C:
			if err := k.renewLease(ctx); err != nil && ctx.Err() == nil {
				k.log("kubelet: renewal of the node's lease: %v", err)
			}
		}
	}
}

// updateNode sets what the kubelet and Talos own of the Node's metadata and spec, and touches nothing else.
func (k *kubelet) updateNode(ctx context.Context) error {
	return alterNode(ctx, k, func(node *corev1.Node) {
		if node.Labels == nil {
			node.Labels = map[string]string{}
		}

		for key, value := range k.ownLabels() {
			node.Labels[key] = value
		}

		k.setVolumeAnnotation(node)
		nodespec.Apply(node, k.machine.Config())

		switch k.machine.Stage() {
		case facts.StageBooting, facts.StageRunning:
			nodespec.Uncordon(node)
		case facts.StageShuttingDown, facts.StageResetting, facts.StageUpgrading:
			nodespec.Cordon(node)
		}
	})
}

func alterNode(ctx context.Context, k *kubelet, alter func(*corev1.Node)) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := k.client.CoreV1().Nodes().Get(ctx, k.name, metav1.GetOptions{})
		if err != nil {
			return err
		}

		wanted := node.DeepCopy()
		alter(wanted)

		if equality.Semantic.DeepEqual(node, wanted) {
			return nil
		}

		_, err = k.client.CoreV1().Nodes().Update(ctx, wanted, metav1.UpdateOptions{})

		return err
	})
}

func (k *kubelet) updateStatus(ctx context.Context) error {
	node, err := k.client.CoreV1().Nodes().Get(ctx, k.name, metav1.GetOptions{})
	if err != nil {
		return err
	}

	wanted := node.DeepCopy()
	k.setStatus(wanted)

	if !k.statusWorthSending(node, wanted) {
		return nil
	}

	before, err := json.Marshal(node)
	if err != nil {
		return err
	}

	after, err := json.Marshal(wanted)
	if err != nil {
		return err
	}

	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Node{})
	if err != nil {
		return err
	}

	patch, err = replaceAddresses(patch, wanted.Status.Addresses)
	if err != nil {
		return err
	}

	_, err = k.client.CoreV1().Nodes().Patch(ctx, k.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")

	return err
}

// replaceAddresses makes the addresses of a patch replace the old ones: their merge key is the type, under which a
// Node may have two addresses.
func replaceAddresses(patch []byte, addresses []corev1.NodeAddress) ([]byte, error) {
	content := map[string]any{}
	if err := json.Unmarshal(patch, &content); err != nil {
		return nil, err
	}

	status, ok := content["status"].(map[string]any)
	if !ok || status["addresses"] == nil {
		return patch, nil
	}

	list := []any{}
	for _, address := range addresses {
		list = append(list, address)
	}

	status["addresses"] = append(list, map[string]string{"$patch": "replace"})
	delete(status, "$setElementOrder/addresses")

	return json.Marshal(content)
}

// renewLease is the heartbeat that the node lifecycle controller looks at.
func (k *kubelet) renewLease(ctx context.Context) error {
	leases := k.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NowMicro()
	duration := leaseSeconds

	lease, err := leases.Get(ctx, k.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		node, nodeErr := k.client.CoreV1().Nodes().Get(ctx, k.name, metav1.GetOptions{})
		if nodeErr != nil {
			return nodeErr
		}

		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: k.name, OwnerReferences: []metav1.OwnerReference{nodeOwner(node, false)}},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &k.name, LeaseDurationSeconds: &duration, RenewTime: &now},
		}, metav1.CreateOptions{})

		return err
	}

	if err != nil {
		return err
	}

	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &k.name, &duration, &now

	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})

	return err
}

func nodeOwner(node *corev1.Node, controller bool) metav1.OwnerReference {
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}
	if controller {
		owner.Controller = &controller
	}

	return owner
}
