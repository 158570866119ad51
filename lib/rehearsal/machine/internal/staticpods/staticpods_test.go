package staticpods

import (
	"testing"

	"github.com/siderolabs/talos/pkg/machinery/constants"
)

func TestVersion(t *testing.T) {
	for image, version := range map[string]string{
		"registry.example/kube-apiserver:v1.34.0":           "1.34.0",
		"registry.example:5000/kubelet:v1.34.0@sha256:00ff": "1.34.0",
		"registry.example:5000/kubelet":                     constants.DefaultKubernetesVersion,
	} {
		if found := Version(image); found != version {
			t.Errorf("%s is %s, not %s", image, found, version)
		}
	}
}
