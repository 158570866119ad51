// Package kubelet does what a kubelet would do on the practice machine.
package kubelet

import (
	"context"

	_ "k8s.io/api/core/v1"
	_ "k8s.io/client-go/kubernetes"

	"talos-migrate.invalid/machine/internal/facts"
)

// Log writes one line to the machine's log.
type Log func(format string, arguments ...any)

// Run registers the machine's Node, keeps it and its control plane mirror pods, and plays the other pods of the
// node with kwok. It waits for the API server itself, and returns when ctx ends.
func Run(ctx context.Context, _ facts.Machine, _ Log) error {
	<-ctx.Done()

	return nil
}

// CordonAndDrain is what Talos does at the beginning of a shutdown and of a graceful reset.
func CordonAndDrain(_ context.Context, _ facts.Machine, _ Log) error {
	return nil
}
