package power

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"

	"talos-migrate.invalid/machine/internal/apid"
	"talos-migrate.invalid/machine/internal/controlplane"
	"talos-migrate.invalid/machine/internal/etcd"
	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/health"
	"talos-migrate.invalid/machine/internal/identity"
	"talos-migrate.invalid/machine/internal/kubelet"
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
	if err := b.renewCertificates(); err != nil {
		return err
	}

	roles := identity.PeerRoles
	if !b.config.Machine().Features().RBACEnabled() {
		roles = func(context.Context) role.Set { return role.All }
	}

	return b.startAPI(apid.Options{
		TLS:       b.dynamicTLS(),
		Peers:     b.certificates.ClientTLS(),
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
	})
}

func (b *boot) startServices() {
	ids := []string{"machined", "containerd", "udevd", "syslogd", "auditd", "dashboard", "cri", "apid"}
	if isControlPlane(b.config) {
		ids = append(ids, "trustd")
	}

	for _, id := range ids {
		b.registry.Set(id, services.Running, "Started task "+id)
		b.registry.Health(id, true, "")
	}

	if b.etcd != nil {
		b.startEtcd()
	}

	b.startPods()
}

func (b *boot) startEtcd() {
	running, ctx := newGroup(b.ctx)

	b.mu.Lock()
	b.etcdRunning = running
	b.mu.Unlock()

	running.run(func() { b.etcd.Run(ctx) })
}

// startPods starts the kubelet, and with it the control plane as soon as etcd is healthy.
func (b *boot) startPods() {
	pods, ctx := newGroup(b.ctx)

	b.mu.Lock()
	b.pods = pods
	b.mu.Unlock()

	pods.run(func() { b.runKubelet(ctx) })

	if b.etcd != nil {
		pods.run(func() { b.runControlPlane(ctx) })
	}
}

func (b *boot) runKubelet(ctx context.Context) {
	b.registry.Set("kubelet", services.Running, "Started task kubelet")
	b.registry.Health("kubelet", true, "")

	if err := kubelet.Run(ctx, b.machine, log.Printf); err != nil && ctx.Err() == nil {
		log.Printf("kubelet: %v", err)
		b.registry.Set("kubelet", services.Failed, err.Error())

		return
	}

	b.registry.Set("kubelet", services.Finished, "Service finished successfully")
}

func (b *boot) etcdReady() {
	b.machine.timeline.Mark(timeline.EtcdReady)
	b.machine.notify()
}

// awaitEtcd waits until etcd is healthy.
func (b *boot) awaitEtcd(ctx context.Context) bool {
	for ctx.Err() == nil {
		changed := b.machine.Changed()

		if service, known := b.registry.Get(etcd.ID); known && service.Healthy {
			return true
		}

		select {
		case <-ctx.Done():
		case <-changed:
		}
	}

	return false
}

// runControlPlane runs the control plane, anew whenever the cluster's part of the config changes.
func (b *boot) runControlPlane(ctx context.Context) {
	for b.awaitEtcd(ctx) {
		provider := b.getConfig()
		lifetime, end := context.WithCancel(ctx)

		go b.endWhenClusterChanges(lifetime, provider, end)

		if err := b.runControlPlaneOnce(lifetime, provider); err != nil {
			log.Printf("control plane: %v", err)

			<-lifetime.Done()
		}

		end()
	}
}

func (b *boot) runControlPlaneOnce(ctx context.Context, provider config.Provider) error {
	disk := b.machine.disk

	service := controlplane.New(controlplane.Options{
		Config: provider, Binaries: b.machine.file.Binaries, Hostname: b.machine.Hostname(), Address: b.machine.file.Address,
		Folder: filepath.Join(disk.memory(), "kubernetes"), Log: disk.log, Cable: b.machine.cable,
		APIReady:  func() { b.machine.timeline.Mark(timeline.APIServerReady) },
		Ready:     func() { b.machine.timeline.Mark(timeline.ControlPlaneReady) },
		NodeReady: func() { b.machine.timeline.Mark(timeline.NodeReady) },
	})

	if err := service.Prepare(); err != nil {
		return fmt.Errorf("render: %w", err)
	}

	b.mu.Lock()
	b.kubeconfig = service.Kubeconfig()
	b.mu.Unlock()
	b.machine.notify()

	service.Run(ctx)

	return nil
}

func (b *boot) endWhenClusterChanges(ctx context.Context, before config.Provider, end context.CancelFunc) {
	for {
		changed := b.machine.Changed()

		if now := b.getConfig(); now != before && !reflect.DeepEqual(now.RawV1Alpha1().ClusterConfig, before.RawV1Alpha1().ClusterConfig) {
			end()

			return
		}

		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// Etcd is nil on workers and before the machine runs.
func (m *Machine) Etcd() *etcd.Service {
	b := m.current()

	b.mu.Lock()
	defer b.mu.Unlock()

	return b.etcd
}

// Bootstrap begins a new etcd cluster.
func (m *Machine) Bootstrap(request etcd.Bootstrap) error {
	b := m.current()
	m.timeline.Mark(timeline.BootstrapRequested)

	if err := m.Etcd().Bootstrap(request); err != nil {
		return err
	}

	b.mu.Lock()
	b.unblocked = true
	b.mu.Unlock()
	b.changed()

	return nil
}

// Uploaded records that a snapshot has come.
func (m *Machine) Uploaded() { m.timeline.Mark(timeline.RecoverUploaded) }

// RestartKubelet restarts what the kubelet runs, too: the control plane's pods come back at once.
func (m *Machine) RestartKubelet() error {
	b := m.current()
	if b.getStage() != facts.StageRunning && b.getStage() != facts.StageBooting {
		return fmt.Errorf("the machine is %s", b.getStage())
	}

	b.registry.Set("kubelet", services.Stopping, "Sending SIGTERM to task kubelet")
	b.registry.Set("kubelet", services.Running, "Started task kubelet")
	b.registry.Health("kubelet", true, "")

	return nil
}

// Store keeps a config for the next boot.
func (m *Machine) Store(provider config.Provider) error { return m.disk.storeConfig(provider) }

// Use puts a config in force at once.
func (m *Machine) Use(next config.Provider, revert time.Duration) {
	b := m.current()

	b.mu.Lock()
	before := b.config
	b.config = next

	if revert > 0 {
		b.revert = time.AfterFunc(revert, func() { m.Use(before, 0) })
	}
	b.mu.Unlock()

	if err := b.renewCertificates(); err != nil {
		log.Printf("apid: %v; the former certificates stay", err)
	}

	b.changed()
}

// KeepConfig ends the wait for a revert.
func (m *Machine) KeepConfig() {
	b := m.current()

	b.mu.Lock()
	defer b.mu.Unlock()

	if b.revert != nil {
		b.revert.Stop()
		b.revert = nil
	}
}
