// Package etcd runs the real etcd of a control plane machine the way Talos does: bootstrapped, recovered from a
// snapshot, joined to the neighbours' cluster as a learner that is promoted, or started again with its data.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	"talos-migrate.invalid/machine/internal/cable"
	"talos-migrate.invalid/machine/internal/machinefile"
	"talos-migrate.invalid/machine/internal/process"
	"talos-migrate.invalid/machine/internal/services"
)

// ID is the name of the service.
const ID = "etcd"

const (
	pollInterval   = 100 * time.Millisecond
	healthInterval = time.Second
	restartDelay   = time.Second
	stopGrace      = 10 * time.Second
)

// Options describe one machine's etcd.
type Options struct {
	Config   config.Provider
	Binaries machinefile.Binaries
	Hostname string
	Address  string
	Data     string // the data directory
	PKI      string // the folder for certificates
	Snapshot string // where an uploaded snapshot lies
	LogFile  string
	Cable    *cable.Cable
	Services *services.Registry
	// Endpoints are the addresses of the other control plane machines of the cluster that are alive.
	Endpoints func() []string
	// Ready is called each time that etcd has become healthy.
	Ready func()
	// Changed is called when the member ID becomes known.
	Changed func()
}

// Service is etcd on one machine; safe for concurrent use.
type Service struct {
	options Options

	mu        sync.Mutex
	pki       *pki
	request   *Bootstrap
	interrupt context.CancelFunc // ends the present attempt
	halted    bool
	member    uint64
	ended     chan struct{}
	learner   uint64
	members   int
	isolated  bool
	child     *process.Process
}

// Bootstrap asks for a new cluster.
type Bootstrap struct {
	Recover       bool // from the uploaded snapshot
	SkipHashCheck bool
}

// New returns a service that has not been started.
func New(options Options) *Service {
	return &Service{options: options, ended: make(chan struct{})}
}

// HasData tells whether the data directory holds anything.
func (service *Service) HasData() bool {
	entries, err := os.ReadDir(service.options.Data)

	return err == nil && len(entries) > 0
}

// MemberID is the ID of this machine's member, once etcd has told it.
func (service *Service) MemberID() (uint64, bool) {
	service.mu.Lock()
	defer service.mu.Unlock()

	return service.member, service.member != 0
}

// Bootstrap stops waiting for a cluster to join and starts one. It returns before etcd has started, as Talos does.
func (service *Service) Bootstrap(request Bootstrap) error {
	if service.HasData() {
		return errors.New("etcd data directory is not empty")
	}

	service.mu.Lock()
	defer service.mu.Unlock()

	service.options.Services.Set(ID, services.Finished, "Bootstrap requested")
	service.request = &request
	service.halted = false

	if service.interrupt != nil {
		service.interrupt()
	}

	return nil
}

// Halt stops etcd until it is resumed or bootstrapped, and returns when it has ended.
func (service *Service) Halt(reason string) {
	service.mu.Lock()
	service.halted = true
	ended := service.ended

	if service.interrupt != nil {
		service.interrupt()
	}
	service.mu.Unlock()

	<-ended
	service.options.Services.Set(ID, services.Finished, reason)
}

// Run keeps etcd running until ctx ends, and returns when it has stopped.
func (service *Service) Run(ctx context.Context) {
	defer service.options.Services.Set(ID, services.Finished, "Service finished successfully")

	files, err := writePKI(service.options)
	if err != nil {
		service.options.Services.Set(ID, services.Failed, err.Error())
		<-ctx.Done()

		return
	}

	service.mu.Lock()
	service.pki = files
	service.mu.Unlock()

	for ctx.Err() == nil {
		service.attempt(ctx)

		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// attempt is one life of the etcd process, from the question how to start it until its end.
func (service *Service) attempt(ctx context.Context) {
	service.mu.Lock()
	if service.halted {
		service.mu.Unlock()

		return
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	request := service.request
	service.request = nil
	service.interrupt = cancel
	service.ended = make(chan struct{})
	ended := service.ended
	service.mu.Unlock()

	defer func() {
		service.mu.Lock()
		service.interrupt = nil
		service.mu.Unlock()
		close(ended)
	}()

	service.options.Services.Set(ID, services.Preparing, "Running pre state")

	arguments, err := service.prepare(ctx, request)
	if err != nil {
		if ctx.Err() == nil {
			service.options.Services.Set(ID, services.Failed, "Failed to run pre stage: "+err.Error())
			<-ctx.Done()
		}

		return
	}

	// as long as the process only crashes, it is started with the very same arguments: a data directory that it has
	// begun to fill says nothing about the cluster that it was to join
	for ctx.Err() == nil {
		service.live(ctx, arguments)
	}
}

func (service *Service) live(ctx context.Context, arguments []string) {
	child, err := process.Start(process.Command{
		Name: ID, Path: service.options.Binaries.Etcd, Args: arguments, LogFile: service.options.LogFile,
	})
	if err != nil {
		service.options.Services.Set(ID, services.Failed, err.Error())
		<-ctx.Done()

		return
	}

	service.adopt(child)

	service.options.Services.Set(ID, services.Running, "Started task etcd (PID "+pid(child)+") for container etcd")

	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()

	go service.watchHealth(watching)

	if service.learner != 0 {
		go service.promote(watching, service.learner)
	}

	defer service.options.Cable.Close(constants.EtcdClientPort)
	defer service.options.Cable.Close(constants.EtcdPeerPort)

	select {
	case <-ctx.Done():
		stopWatching()
		service.options.Services.Set(ID, services.Stopping, "Sending SIGTERM to task etcd (PID "+pid(child)+", container etcd)")
		child.Stop(stopGrace)
	case <-child.Done():
		service.options.Services.Set(ID, services.Waiting, fmt.Sprintf("Error running Containerd(etcd), going to restart forever: task %q failed: %v", ID, child.Err()))

		select {
		case <-ctx.Done():
		case <-time.After(restartDelay):
		}
	}
}
