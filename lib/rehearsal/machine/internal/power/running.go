package power

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"

	"talos-migrate.invalid/machine/internal/apid"
	"talos-migrate.invalid/machine/internal/etcd"
	"talos-migrate.invalid/machine/internal/health"
	"talos-migrate.invalid/machine/internal/identity"
	"talos-migrate.invalid/machine/internal/machineapi"
	"talos-migrate.invalid/machine/internal/neighbours"
	"talos-migrate.invalid/machine/internal/resources"
	"talos-migrate.invalid/machine/internal/services"
	"talos-migrate.invalid/machine/internal/timeline"
)

// run is the boot of a machine that has a config.
func (b *boot) run(ctx context.Context, provider config.Provider) (outcome, error) {
	b.mu.Lock()
	b.config = provider
	b.mu.Unlock()

	for _, step := range []func() error{b.prepareDisk, b.discover, b.prepareEtcd, b.serve} {
		if err := step(); err != nil {
			return off, err
		}
	}

	b.startServices()
	b.machine.timeline.Mark(timeline.Booted)

	select {
	case <-ctx.Done():
		// Talos takes the power button for a shutdown that does not wait for a drain
		b.machine.Shutdown("", true)

		return <-b.ended, nil
	case next := <-b.ended:
		return next, nil
	}
}

func (b *boot) prepareDisk() error {
	for _, path := range []string{b.machine.file.State(), filepath.Join(b.machine.file.Ephemeral(), "local-path-provisioner")} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}

	return nil
}

func (b *boot) discover() error {
	id, err := b.machine.disk.nodeID()
	if err != nil {
		return err
	}

	kind := "worker"
	if isControlPlane(b.config) {
		kind = "controlplane"
	}

	file := b.machine.file
	discovery := neighbours.New(file.Neighbours, neighbours.Affiliate{
		UUID: file.UUID, NodeID: id, ClusterID: b.config.Cluster().ID(), Hostname: b.machine.Hostname(), Address: file.Address, Type: kind,
	}, func() bool { return !b.machine.cable.Pulled() }, b.machine.notify)

	b.mu.Lock()
	b.discovery = discovery
	b.mu.Unlock()

	go discovery.Run(b.ctx)

	return nil
}

// controlPlanePeers are the other control plane machines that are alive.
func (b *boot) controlPlanePeers() []string {
	var addresses []string

	for _, neighbour := range b.discovery.List() {
		if neighbour.Alive && neighbour.Type == "controlplane" && neighbour.Address != b.machine.file.Address {
			addresses = append(addresses, neighbour.Address)
		}
	}

	return addresses
}

func (b *boot) prepareEtcd() error {
	if !isControlPlane(b.config) {
		return nil
	}

	disk := b.machine.disk

	b.mu.Lock()
	defer b.mu.Unlock()

	b.etcd = etcd.New(etcd.Options{
		Config: b.config, Binaries: b.machine.file.Binaries, Hostname: b.hostname(), Address: b.machine.file.Address,
		Data: disk.etcd(), PKI: filepath.Join(disk.memory(), "etcd"), Snapshot: disk.snapshot(), LogFile: disk.log(etcd.ID),
		Cable: b.machine.cable, Services: b.registry, Endpoints: b.controlPlanePeers,
		Ready: func() { b.etcdReady() }, Changed: b.machine.notify,
	})

	return nil
}

// hostname is for where the lock is held.
func (b *boot) hostname() string {
	if name := b.config.Machine().Network().Hostname(); name != "" {
		return name
	}

	return b.machine.disk.generatedHostname()
}

func (b *boot) serve() error {
	if !isControlPlane(b.config) {
		go b.serveWorker()

		return nil
	}

	if err := b.renewCertificates(); err != nil {
		return err
	}

	if err := b.serveTrust(); err != nil {
		return err
	}

	return b.startAPI(b.runningAPI(b.certificates.ClientTLS()))
}

// runningAPI is the API of a machine with a config; without peers it passes no calls on.
func (b *boot) runningAPI(peers *tls.Config) apid.Options {
	roles := identity.PeerRoles
	if !b.config.Machine().Features().RBACEnabled() {
		roles = func(context.Context) role.Set { return role.All }
	}

	return apid.Options{
		TLS:       b.dynamicTLS(),
		Peers:     peers,
		Roles:     roles,
		IsLocal:   func(target string) bool { return target == b.machine.file.Address || target == b.machine.Hostname() },
		Authorize: true,
		Register: func(server *grpc.Server) error {
			machineapi.Register(server, b.machine)

			if err := health.Register(b.ctx, server, b.machine); err != nil {
				return err
			}

			return resources.Register(b.ctx, server, b.machine)
		},
	}
}

func (b *boot) startServices() {
	ids := []string{"machined", "containerd", "udevd", "syslogd", "auditd", "dashboard", "cri"}
	if isControlPlane(b.config) {
		ids = append(ids, "apid", "trustd")
	}

	for _, id := range ids {
		b.registry.Set(id, services.Running, "Started task "+id)
		b.registry.Health(id, true, "")
	}

	b.startParts()
}
