// Package nodespec reads from a machine config what Talos wants of its Kubernetes Node, and applies it as Talos does:
// it takes over what nobody else has set, and remembers in annotations what it owns.
package nodespec

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	corev1 "k8s.io/api/core/v1"
)

// Labels of the Node.
func Labels(provider config.Provider) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, provider.Machine().NodeLabels())

	if provider.Machine().Type().IsControlPlane() {
		labels[constants.LabelNodeRoleControlPlane] = ""
	}

	return labels
}

// Annotations of the Node.
func Annotations(provider config.Provider) map[string]string {
	annotations := map[string]string{}
	maps.Copy(annotations, provider.Machine().NodeAnnotations())

	return annotations
}

// Taints of the Node. In the config a taint is KEY: VALUE:EFFECT, or KEY: EFFECT.
func Taints(provider config.Provider) []corev1.Taint {
	var taints []corev1.Taint

	if provider.Machine().Type().IsControlPlane() && !provider.Cluster().ScheduleOnControlPlanes() {
		taints = append(taints, corev1.Taint{Key: constants.LabelNodeRoleControlPlane, Effect: corev1.TaintEffectNoSchedule})
	}

	for _, key := range slices.Sorted(maps.Keys(provider.Machine().NodeTaints())) {
		value, effect, found := strings.Cut(provider.Machine().NodeTaints()[key], ":")
		if !found {
			value, effect = "", value
		}

		taints = append(taints, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)})
	}

	return taints
}

// Apply alters the node to what the config wants.
func Apply(node *corev1.Node, provider config.Provider) {
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}

	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}

	owned := readOwned(node, constants.AnnotationOwnedLabels)
	applyPairs(node.Labels, owned, Labels(provider))
	writeOwned(node, constants.AnnotationOwnedLabels, owned)

	owned = readOwned(node, constants.AnnotationOwnedAnnotations)
	applyPairs(node.Annotations, owned, Annotations(provider))
	writeOwned(node, constants.AnnotationOwnedAnnotations, owned)

	owned = readOwned(node, constants.AnnotationOwnedTaints)
	applyTaints(node, owned, Taints(provider))
	writeOwned(node, constants.AnnotationOwnedTaints, owned)
}

// Cordon marks the node as cordoned by Talos, unless somebody else has cordoned it before.
func Cordon(node *corev1.Node) {
	if node.Spec.Unschedulable {
		return
	}

	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}

	node.Spec.Unschedulable = true
	node.Annotations[constants.AnnotationCordonedKey] = constants.AnnotationCordonedValue
}

// Uncordon undoes Talos' own cordon, and nobody else's.
func Uncordon(node *corev1.Node) {
	if _, ours := node.Annotations[constants.AnnotationCordonedKey]; ours && node.Spec.Unschedulable {
		node.Spec.Unschedulable = false
		delete(node.Annotations, constants.AnnotationCordonedKey)
	}
}

type set map[string]struct{}

func applyPairs(present map[string]string, owned set, wanted map[string]string) {
	for key, value := range wanted {
		current, exists := present[key]
		_, ours := owned[key]

		if exists && current != value && !ours {
			continue
		}

		present[key], owned[key] = value, struct{}{}
	}

	for key := range owned {
		if _, stays := wanted[key]; !stays {
			delete(present, key)
			delete(owned, key)
		}
	}
}

func applyTaints(node *corev1.Node, owned set, wanted []corev1.Taint) {
	named := func(key string) func(corev1.Taint) bool {
		return func(taint corev1.Taint) bool { return taint.Key == key }
	}

	for _, taint := range wanted {
		index := slices.IndexFunc(node.Spec.Taints, named(taint.Key))
		_, ours := owned[taint.Key]

		switch {
		case index < 0:
			node.Spec.Taints = append(node.Spec.Taints, taint)
		case ours:
			node.Spec.Taints[index].Value, node.Spec.Taints[index].Effect = taint.Value, taint.Effect
		case node.Spec.Taints[index].Value != taint.Value || node.Spec.Taints[index].Effect != taint.Effect:
			continue
		}

		owned[taint.Key] = struct{}{}
	}

	for key := range owned {
		if !slices.ContainsFunc(wanted, named(key)) {
			node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, named(key))
			delete(owned, key)
		}
	}
}

func readOwned(node *corev1.Node, annotation string) set {
	var keys []string

	// what cannot be read counts as not owned
	_ = json.Unmarshal([]byte(node.Annotations[annotation]), &keys)

	owned := set{}
	for _, key := range keys {
		owned[key] = struct{}{}
	}

	return owned
}

func writeOwned(node *corev1.Node, annotation string, owned set) {
	if len(owned) == 0 {
		delete(node.Annotations, annotation)

		return
	}

	// a list of strings always marshals
	content, _ := json.Marshal(slices.Sorted(maps.Keys(owned)))
	node.Annotations[annotation] = string(content)
}
