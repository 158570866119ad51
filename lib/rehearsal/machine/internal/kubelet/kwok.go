package kubelet

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"time"

	"talos-migrate.invalid/machine/internal/process"
)

//go:embed stages.yaml
var stages string

const (
	kwokGrace   = 2 * time.Second
	kwokRestart = time.Second
	// as in a Talos config; a Node with a podCIDR of its own uses that
	podCIDR = "10.244.0.1/24"
)

// playPods keeps kwok running for the pods of this node.
func (k *kubelet) playPods(ctx context.Context, kubeconfig string) error {
	folder := filepath.Join(k.machine.File().Ephemeral(), "lib", "kubelet")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}

	config := filepath.Join(folder, "kwok.yaml")
	content := strings.ReplaceAll(stages, "{{ADDRESS}}", k.machine.File().Address)

	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		return err
	}

	for {
		child, err := process.Start(process.Command{
			Name: "kwok",
			Path: k.machine.File().Binaries.Kwok,
			Args: []string{
				"--config", config,
				"--kubeconfig", kubeconfig,
				"--manage-single-node", k.name,
				"--node-ip", k.machine.File().Address,
				"--cidr", podCIDR,
				"--node-lease-duration-seconds", "0",
			},
			// it would otherwise read settings of whoever started the machine
			Env:     []string{"HOME=" + folder, "KWOK_WORKDIR=" + folder},
			LogFile: filepath.Join(k.machine.File().Ephemeral(), "log", "kwok.log"),
		})
		if err != nil {
			return err
		}

		select {
		case <-ctx.Done():
			child.Stop(kwokGrace)

			return nil
		case <-child.Done():
			k.log("kubelet: kwok ended: %v", child.Err())
		}

		if !pause(ctx, kwokRestart) {
			return nil
		}
	}
}
