// Package kubelet does what a kubelet would do on the practice machine: it registers the Node and keeps it Ready, shows
// the control plane's static pods as mirror pods, and has kwok play the other pods of the node.
package kubelet

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/kubeclient"
)

const (
	impatience = 150 * time.Millisecond // between attempts while the API is coming up
	heartbeat  = 10 * time.Second
)

// Log writes one line to the machine's log.
type Log func(format string, arguments ...any)

// kubelet serves one Node through one kubeconfig.
type kubelet struct {
	machine facts.Machine
	name    string
	client  kubernetes.Interface
	log     Log
	started time.Time
}

// Run serves the machine's Node until ctx ends, and leaves it then as it is, as a kubelet that is stopped. It waits for
// the API server itself, and starts anew when the machine gets another kubeconfig.
func Run(ctx context.Context, m facts.Machine, log Log) error {
	if m.Config() == nil || m.Config().Machine() == nil || m.Config().Machine().Kubelet().SkipNodeRegistration() {
		<-ctx.Done()

		return nil
	}

	started := time.Now()

	kubeclient.Follow(ctx, m, func(ctx context.Context, path string, client *kubernetes.Clientset) error {
		served := &kubelet{machine: m, name: m.Hostname(), client: client, log: log, started: started}

		return served.run(ctx, path)
	}, func(err error) { log("kubelet: %v", err) })

	return nil
}

func (k *kubelet) run(ctx context.Context, kubeconfig string) error {
	group, ctx := errgroup.WithContext(ctx)

	// kwok takes a moment to start, and waits for the API by itself
	group.Go(func() error { return k.playPods(ctx, kubeconfig) })
	group.Go(func() error {
		if err := k.registerWhenPossible(ctx); err != nil {
			return err
		}

		k.log("kubelet: node %s is registered", k.name)

		group.Go(func() error { return k.keepNode(ctx) })

		return k.keepMirrorPods(ctx)
	})

	return group.Wait()
}

// registerWhenPossible tries until the API server is up. Everything else that it answers is an error of ours.
func (k *kubelet) registerWhenPossible(ctx context.Context) error {
	said := ""

	for {
		err := k.register(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}

		if message := err.Error(); apierrors.ReasonForError(err) != "" && message != said {
			said = message
			k.log("kubelet: the node is not registered yet: %s", message)
		}

		if !pause(ctx, impatience) {
			return ctx.Err()
		}
	}
}

// pause tells whether the time passed; false when ctx ended.
func pause(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(duration)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
