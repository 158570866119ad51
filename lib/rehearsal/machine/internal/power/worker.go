package power

import (
	"context"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	"talos-migrate.invalid/machine/internal/controlplane"
	"talos-migrate.invalid/machine/internal/identity"
	"talos-migrate.invalid/machine/internal/services"
	"talos-migrate.invalid/machine/internal/trustd"
)

const trustInterval = 300 * time.Millisecond

// serveTrust answers workers that want certificates.
func (b *boot) serveTrust() error {
	listener, err := net.Listen("tcp4", net.JoinHostPort(b.machine.cable.Localhost(), strconv.Itoa(constants.TrustdPort)))
	if err != nil {
		return err
	}

	serving := b.dynamicTLS()
	base := serving.GetConfigForClient
	serving.GetConfigForClient = withoutClientCertificate(base)

	b.mu.Lock()
	b.trust = listener
	b.mu.Unlock()

	go trustd.Serve(b.ctx, listener, serving, b.getConfig)

	b.machine.cable.Open(constants.TrustdPort)

	return nil
}

// trustClient asks the control plane endpoint of the config and the control plane machines that discovery knows.
func (b *boot) trustClient() trustd.Client {
	provider := b.getConfig()
	endpoints := []string{provider.Cluster().Endpoint().Hostname()}

	for _, address := range b.controlPlanePeers() {
		if !slices.Contains(endpoints, address) {
			endpoints = append(endpoints, address)
		}
	}

	return trustd.Client{Config: provider, Endpoints: endpoints}
}

// obtain asks until it is answered; a worker that cannot reach any control plane machine waits, as in Talos.
func obtain[T any](ctx context.Context, what string, ask func() (T, error)) (T, bool) {
	said := ""

	for {
		answer, err := ask()
		if err == nil {
			return answer, true
		}

		if problem := err.Error(); problem != said {
			log.Printf("%s: %v", what, err)

			said = problem
		}

		select {
		case <-ctx.Done():
			return answer, false
		case <-time.After(trustInterval):
		}
	}
}

// serveWorker starts apid as soon as a control plane machine has signed its certificate.
func (b *boot) serveWorker() {
	b.registry.Set("apid", services.Preparing, "Waiting for the certificate of a control plane machine")

	certificates, ok := obtain(b.ctx, "apid", b.workerCertificates)
	if !ok {
		return
	}

	b.mu.Lock()
	b.certificates = certificates
	b.mu.Unlock()

	if err := b.startAPI(b.runningAPI(nil)); err != nil {
		log.Printf("apid: %v", err)

		return
	}

	b.registry.Set("apid", services.Running, "Started task apid")
	b.registry.Health("apid", true, "")
}

func (b *boot) workerCertificates() (*identity.Certificates, error) {
	pair, err := b.trustClient().Machine(b.ctx, b.machine.Hostname(), b.machine.file.Address)
	if err != nil {
		return nil, err
	}

	return identity.WorkerCertificates(b.getConfig(), pair)
}

// keepWorkerKubeconfig gives the kubelet of a worker access, anew whenever the cluster's part of the config changes.
func (b *boot) keepWorkerKubeconfig(ctx context.Context) {
	for ctx.Err() == nil {
		provider := b.getConfig()

		lifetime, end := context.WithCancel(ctx)

		path, ok := obtain(lifetime, "kubelet", func() (string, error) { return b.workerKubeconfig(provider) })
		if ok {
			b.mu.Lock()
			b.kubeconfig = path
			b.mu.Unlock()
			b.machine.notify()
			b.endWhenClusterChanges(lifetime, provider, end)
		}

		end()
	}
}

func (b *boot) workerKubeconfig(provider config.Provider) (string, error) {
	pair, err := b.trustClient().Kubelet(b.ctx, constants.KubernetesTalosAdminCertCommonName, constants.KubernetesAdminCertOrganization)
	if err != nil {
		return "", err
	}

	content, err := controlplane.WorkerKubeconfig(provider, pair)
	if err != nil {
		return "", err
	}

	path := filepath.Join(b.machine.disk.memory(), "kubernetes", "kubelet.kubeconfig")

	if err = os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}

	return path, os.WriteFile(path, content, 0o600)
}
