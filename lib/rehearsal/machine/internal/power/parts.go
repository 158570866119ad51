package power

import (
	"context"
	"fmt"
	"log"
	"path/filepath"
	"reflect"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"talos-migrate.invalid/machine/internal/controlplane"
	"talos-migrate.invalid/machine/internal/etcd"
	"talos-migrate.invalid/machine/internal/kubelet"
	"talos-migrate.invalid/machine/internal/services"
	"talos-migrate.invalid/machine/internal/timeline"
)

// parts are what runs on a machine besides its API. Their groups are stopped in the order of a shutdown.
type parts struct {
	kubelet      *group
	controlPlane *group // on a worker: what keeps its access to the control plane
	etcd         *group
}

// start starts one part and keeps its group, so that it can be stopped.
func (b *boot) start(place **group, work func(context.Context)) {
	part, ctx := newGroup(b.ctx)

	b.mu.Lock()
	*place = part
	b.mu.Unlock()

	part.run(func() { work(ctx) })
}

func (b *boot) startParts() {
	b.start(&b.parts.kubelet, b.runKubelet)

	if b.etcd == nil {
		b.start(&b.parts.controlPlane, b.keepWorkerKubeconfig)

		return
	}

	b.start(&b.parts.etcd, b.etcd.Run)
	b.start(&b.parts.controlPlane, b.runControlPlane)
}

func (b *boot) part(place **group) *group {
	b.mu.Lock()
	defer b.mu.Unlock()

	return *place
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
	disk, marks := b.machine.disk, b.machine.timeline

	service := controlplane.New(controlplane.Options{
		Config: provider, Binaries: b.machine.file.Binaries, Hostname: b.machine.Hostname(), Address: b.machine.file.Address,
		Folder: filepath.Join(disk.memory(), "kubernetes"), Log: disk.log, Cable: b.machine.cable,
		APIReady:  func() { marks.Mark(timeline.APIServerReady) },
		Ready:     func() { marks.Mark(timeline.ControlPlaneReady) },
		NodeReady: func() { marks.Mark(timeline.NodeReady) },
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
