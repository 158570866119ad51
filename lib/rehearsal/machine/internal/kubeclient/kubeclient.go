// Package kubeclient gives the practice machine's own parts a client of its Kubernetes API.
package kubeclient

import (
	"bytes"
	"context"
	"io"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"talos-migrate.invalid/machine/internal/facts"
)

// client-go complains of every API server that stops, which here is part of the game. What matters, the callers log.
func init() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
}

const reachableInterval = 200 * time.Millisecond

// Follow calls use whenever there is a kubeconfig, ends its context when that kubeconfig is gone or another one,
// and calls it again with the next one. It returns when ctx ends. When use returns early, it is called again after a second.
func Follow(ctx context.Context, m facts.Machine, use func(ctx context.Context, path string, client *kubernetes.Clientset) error, failed func(error)) {
	for ctx.Err() == nil {
		changed := m.Changed()

		path, content := kubeconfig(m)
		if content == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			}

			continue
		}

		err := useOne(ctx, m, path, content, use)
		if err == nil || ctx.Err() != nil {
			continue
		}

		failed(err)

		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func useOne(ctx context.Context, m facts.Machine, path string, content []byte, use func(context.Context, string, *kubernetes.Clientset) error) error {
	client, err := fromKubeconfig(content)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	go func() {
		for ctx.Err() == nil {
			changed := m.Changed()

			if _, now := kubeconfig(m); !bytes.Equal(now, content) {
				cancel()
			}

			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}()

	err = use(ctx, path, client)
	if ctx.Err() != nil {
		return nil
	}

	return err
}

// Reachable waits until the API server answers.
func Reachable(ctx context.Context, client kubernetes.Interface) error {
	for {
		if _, err := client.Discovery().ServerVersion(); err == nil {
			return nil
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reachableInterval):
		}
	}
}

// Now is a client for a single use; nil when there is no API to talk to.
func Now(m facts.Machine) (*kubernetes.Clientset, error) {
	_, content := kubeconfig(m)
	if content == nil {
		return nil, nil
	}

	return fromKubeconfig(content)
}

func kubeconfig(m facts.Machine) (string, []byte) {
	path, ok := m.KubernetesClientFiles()
	if !ok {
		return "", nil
	}

	content, err := os.ReadFile(path)
	if err != nil {
		return "", nil
	}

	return path, content
}

func fromKubeconfig(content []byte) (*kubernetes.Clientset, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(content)
	if err != nil {
		return nil, err
	}

	// client-go's default of five calls a second would be felt
	config.QPS, config.Burst = 200, 400
	config.UserAgent = "kubelet/practice"

	return kubernetes.NewForConfig(config)
}
