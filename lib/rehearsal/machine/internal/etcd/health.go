package etcd

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/constants"

	"talos-migrate.invalid/machine/internal/process"
)

func pid(child *process.Process) string { return strconv.Itoa(child.Pid()) }

func (service *Service) wipe() error { return os.RemoveAll(service.options.Data) }

func (service *Service) listening(port int) bool {
	conn, err := net.DialTimeout("tcp4", net.JoinHostPort(service.options.Cable.Localhost(), strconv.Itoa(port)), time.Second)
	if err != nil {
		return false
	}

	conn.Close() //nolint:errcheck

	return true
}

// openPorts joins etcd to the network as soon as it listens. A member cannot become healthy before its peers reach it.
func (service *Service) openPorts(ctx context.Context) {
	for _, port := range []int{constants.EtcdPeerPort, constants.EtcdClientPort} {
		for !service.listening(port) {
			if !pause(ctx, pollInterval) {
				return
			}
		}

		service.options.Cable.Open(port)
	}
}

// watchHealth records etcd's health until ctx ends.
func (service *Service) watchHealth(ctx context.Context) {
	service.openPorts(ctx)

	client, err := service.LocalClient(ctx)
	if err != nil {
		return
	}

	defer client.Close() //nolint:errcheck

	for ready, interval := false, pollInterval; ; interval = healthInterval {
		err := quorum(ctx, client)
		if ctx.Err() != nil {
			return
		}

		if err != nil {
			service.options.Services.Health(ID, false, err.Error())

			interval = pollInterval
		} else {
			if status, statusErr := client.Status(ctx, service.LocalEndpoint()); statusErr == nil {
				service.setMember(status.Header.MemberId)
			}

			if list, listErr := client.MemberList(ctx); listErr == nil {
				service.setMembers(len(list.Members))
			}

			service.options.Services.Health(ID, true, "")
		}

		if err == nil && !ready {
			service.options.Ready()
		}

		ready = err == nil

		if !pause(ctx, interval) {
			return
		}
	}
}

func (service *Service) setMember(id uint64) {
	service.mu.Lock()
	changed := service.member != id
	service.member = id
	service.mu.Unlock()

	if changed {
		service.options.Changed()
	}
}

func (service *Service) setMembers(count int) {
	service.mu.Lock()
	defer service.mu.Unlock()

	service.members = count
}

func pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}
