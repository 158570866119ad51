package nodespec

import (
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	corev1 "k8s.io/api/core/v1"
)

func TestAnOperatorsCordonIsNotTalos(t *testing.T) {
	node := &corev1.Node{}
	node.Spec.Unschedulable = true

	Cordon(node)
	Uncordon(node)

	if !node.Spec.Unschedulable {
		t.Fatal("the operator's cordon is gone")
	}
}

func TestTalosUndoesItsOwnCordon(t *testing.T) {
	node := &corev1.Node{}

	Cordon(node)

	if !node.Spec.Unschedulable || node.Annotations[constants.AnnotationCordonedKey] != constants.AnnotationCordonedValue {
		t.Fatalf("not cordoned by Talos: %v", node.Annotations)
	}

	Uncordon(node)

	if _, marked := node.Annotations[constants.AnnotationCordonedKey]; marked || node.Spec.Unschedulable {
		t.Fatal("still cordoned")
	}
}

func TestPairsOfOthersStay(t *testing.T) {
	present := map[string]string{"theirs": "kept", "ours": "old", "dropped": "gone"}
	owned := set{"ours": {}, "dropped": {}}

	applyPairs(present, owned, map[string]string{"theirs": "wanted", "ours": "new", "fresh": "added"})

	for key, value := range map[string]string{"theirs": "kept", "ours": "new", "fresh": "added"} {
		if present[key] != value {
			t.Errorf("%s is %q, not %q", key, present[key], value)
		}
	}

	if _, still := present["dropped"]; still {
		t.Error("what the config no longer wants is still there")
	}
}

func TestTaintsOfOthersStay(t *testing.T) {
	node := &corev1.Node{}
	node.Spec.Taints = []corev1.Taint{{Key: "theirs", Effect: corev1.TaintEffectNoExecute}, {Key: "dropped", Effect: corev1.TaintEffectNoSchedule}}
	owned := set{"dropped": {}}

	applyTaints(node, owned, []corev1.Taint{{Key: "theirs", Effect: corev1.TaintEffectNoSchedule}, {Key: "ours", Effect: corev1.TaintEffectNoSchedule}})

	seen := map[string]corev1.TaintEffect{}
	for _, taint := range node.Spec.Taints {
		seen[taint.Key] = taint.Effect
	}

	if len(seen) != 2 || seen["theirs"] != corev1.TaintEffectNoExecute || seen["ours"] != corev1.TaintEffectNoSchedule {
		t.Errorf("taints are %v", seen)
	}
}
