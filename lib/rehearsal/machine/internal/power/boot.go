package power

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	"talos-migrate.invalid/machine/internal/apid"
	"talos-migrate.invalid/machine/internal/etcd"
	"talos-migrate.invalid/machine/internal/events"
	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/identity"
	"talos-migrate.invalid/machine/internal/neighbours"
	"talos-migrate.invalid/machine/internal/services"
)

// boot is the time from one start of the machine to the next.
type boot struct {
	machine  *Machine
	id       string
	bus      *events.Bus
	registry *services.Registry
	ended    chan outcome
	sequence sequenceLock

	ctx    context.Context //nolint:containedctx // the length of the boot, for what calls begin
	cancel context.CancelFunc

	mu           sync.Mutex
	stage        string
	config       config.Provider
	certificates *identity.Certificates
	discovery    *neighbours.Discovery
	etcd         *etcd.Service
	kubeconfig   string
	revert       *time.Timer
	unblocked    bool // the boot sequence waits for all services until etcd is bootstrapped
	apid         *apid.Server
	trust        net.Listener
	parts        parts
}

// newBoot begins a boot: everything that lived in memory is gone.
func (m *Machine) newBoot() (*boot, error) {
	if err := errors.Join(m.disk.clear(), os.MkdirAll(m.file.Disk, 0o700)); err != nil {
		return nil, err
	}

	b := &boot{machine: m, id: uuid.NewString(), bus: events.NewBus(), ended: make(chan outcome, 1), stage: facts.StageBooting}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.registry = services.NewRegistry(b.bus, b.changed)

	return b, nil
}

// end leaves nothing of the boot behind but the disk.
func (b *boot) end() {
	b.mu.Lock()
	server, trust := b.apid, b.trust

	if b.revert != nil {
		b.revert.Stop()
	}
	b.mu.Unlock()

	if server != nil {
		server.Stop()
	}

	b.cancel()

	// The next boot listens on the same port, and must find it free.
	if trust != nil {
		trust.Close() //nolint:errcheck
	}

	for _, place := range []**group{&b.parts.kubelet, &b.parts.controlPlane, &b.parts.etcd} {
		b.part(place).stop()
	}

	b.machine.cable.CloseAll()

	if err := b.machine.disk.clear(); err != nil {
		log.Printf("disk: %v", err)
	}
}

func (b *boot) changed() {
	b.publishStatus()
	b.machine.notify()
}

func (b *boot) setStage(stage string) {
	b.mu.Lock()
	b.stage = stage
	b.mu.Unlock()
	b.changed()
}

func (b *boot) getStage() string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.stage
}

func (b *boot) getConfig() config.Provider {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.config
}

func (b *boot) getDiscovery() *neighbours.Discovery {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.discovery
}

func (b *boot) getKubeconfig() string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.kubeconfig
}

// listen gives apid its place on the machine's localhost.
func (b *boot) listen() (net.Listener, error) {
	return net.Listen("tcp4", net.JoinHostPort(b.machine.cable.Localhost(), strconv.Itoa(constants.ApidPort)))
}

func (b *boot) startAPI(options apid.Options) error {
	listener, err := b.listen()
	if err != nil {
		return err
	}

	options.Listener = listener
	server, err := apid.Start(options)
	if err != nil {
		return err
	}

	b.mu.Lock()
	b.apid = server
	b.mu.Unlock()

	b.machine.cable.Open(constants.ApidPort)

	return nil
}

// group is a goroutine that is stopped by its context.
type group struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newGroup(parent context.Context) (*group, context.Context) {
	ctx, cancel := context.WithCancel(parent)

	return &group{cancel: cancel}, ctx
}

func (g *group) run(work func()) {
	g.done.Add(1)

	go func() {
		defer g.done.Done()

		work()
	}()
}

// stop ends the group's work and waits for it; stopping twice, or nothing, is harmless.
func (g *group) stop() {
	if g == nil {
		return
	}

	g.cancel()
	g.done.Wait()
}
