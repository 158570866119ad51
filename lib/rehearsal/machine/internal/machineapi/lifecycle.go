package machineapi

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/google/uuid"
	"github.com/rs/xid"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	machinetype "github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/version"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"talos-migrate.invalid/machine/internal/etcd"
	"talos-migrate.invalid/machine/internal/events"
	"talos-migrate.invalid/machine/internal/services"
)

// Version tells which Talos the machine plays.
func (s *server) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	return &machine.VersionResponse{Messages: []*machine.Version{{
		Version:  version.NewVersion(),
		Platform: &machine.PlatformInfo{Name: "metal", Mode: "metal"},
		Features: &machine.FeaturesInfo{Rbac: s.machine.Config().Machine().Features().RBACEnabled()},
	}}}, nil
}

// Reboot begins a reboot.
func (s *server) Reboot(context.Context, *machine.RebootRequest) (*machine.RebootResponse, error) {
	actor := uuid.NewString()
	log.Printf("reboot via API received. actor id: %s", actor)
	s.machine.Reboot(actor)

	return &machine.RebootResponse{Messages: []*machine.Reboot{{ActorId: actor}}}, nil
}

// Shutdown begins a shutdown.
func (s *server) Shutdown(_ context.Context, in *machine.ShutdownRequest) (*machine.ShutdownResponse, error) {
	actor := uuid.NewString()
	log.Printf("shutdown via API received. actor id: %s", actor)
	s.machine.Shutdown(actor, in.GetForce())

	return &machine.ShutdownResponse{Messages: []*machine.Shutdown{{ActorId: actor}}}, nil
}

// Reset begins to wipe the machine.
func (s *server) Reset(_ context.Context, in *machine.ResetRequest) (*machine.ResetResponse, error) {
	plan := ResetPlan{Graceful: in.GetGraceful(), Reboot: in.GetReboot()}

	if len(in.GetUserDisksToWipe()) > 0 {
		if in.GetMode() == machine.ResetRequest_SYSTEM_DISK {
			return nil, errors.New("reset failed: invalid input, wipe mode SYSTEM_DISK doesn't support UserDisksToWipe parameter")
		}

		if err := s.checkUserDisks(in.GetUserDisksToWipe()); err != nil {
			return nil, err
		}
	}

	for _, partition := range in.GetSystemPartitionsToWipe() {
		if in.GetMode() == machine.ResetRequest_USER_DISKS {
			return nil, errors.New("reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter")
		}

		switch partition.GetLabel() {
		case "STATE", "EPHEMERAL", "META", "EFI", "BOOT":
		default:
			return nil, fmt.Errorf("failed to get volume status with label %q: resource doesn't exist", partition.GetLabel())
		}

		if partition.GetWipe() {
			plan.Labels = append(plan.Labels, partition.GetLabel())
		}
	}

	plan.WholeDisk = in.GetMode() != machine.ResetRequest_USER_DISKS && len(in.GetSystemPartitionsToWipe()) == 0
	actor := uuid.NewString()

	log.Printf("reset request received. actorID: %s", actor)
	s.machine.Reset(actor, plan)

	return &machine.ResetResponse{Messages: []*machine.Reset{{ActorId: actor}}}, nil
}

func (s *server) checkUserDisks(names []string) error {
	for _, name := range names {
		known := false

		for index, disk := range s.machine.File().Disks {
			known = known || disk.Name == name

			if disk.Name == name && index == 0 {
				return fmt.Errorf("reset user disk failed: device %s is the system disk", name)
			}
		}

		if !known {
			return fmt.Errorf("reset user disk failed: device %s wasn't found", name)
		}
	}

	return nil
}

// Bootstrap begins a new etcd cluster and returns before it has started.
func (s *server) Bootstrap(_ context.Context, in *machine.BootstrapRequest) (*machine.BootstrapResponse, error) {
	log.Printf("bootstrap request received")

	if s.machine.Config().Machine().Type() == machinetype.TypeWorker {
		return nil, status.Error(codes.FailedPrecondition, "bootstrap can only be performed on a control plane node")
	}

	if s.machine.Etcd().HasData() {
		return nil, status.Error(codes.AlreadyExists, "etcd data directory is not empty")
	}

	if err := s.machine.Bootstrap(etcd.Bootstrap{Recover: in.GetRecoverEtcd(), SkipHashCheck: in.GetRecoverSkipHashCheck()}); err != nil {
		return nil, err
	}

	return &machine.BootstrapResponse{Messages: []*machine.Bootstrap{{}}}, nil
}

// Events streams what happens on the machine, after a greeting without content.
func (s *server) Events(in *machine.EventsRequest, stream machine.MachineService_EventsServer) error {
	tail := events.Tail{Count: int(in.GetTailEvents()), Since: time.Duration(in.GetTailSeconds()) * time.Second}

	if in.GetTailId() != "" {
		id, err := xid.FromString(in.GetTailId())
		if err != nil {
			return fmt.Errorf("error parsing tail_id: %w", err)
		}

		tail.After = id
	}

	send := func(event events.Event) error {
		message, err := event.Proto()
		if err != nil {
			return err
		}

		return stream.Send(message)
	}

	if err := send(events.Event{ID: xid.New(), ActorID: in.GetWithActorId()}); err != nil {
		return err
	}

	return s.machine.Events().Watch(stream.Context(), tail, func(event events.Event) error {
		if in.GetWithActorId() != "" && in.GetWithActorId() != event.ActorID {
			return nil
		}

		return send(event)
	})
}

// ServiceList lists Talos' services.
func (s *server) ServiceList(context.Context, *emptypb.Empty) (*machine.ServiceListResponse, error) {
	list := &machine.ServiceList{}

	for _, service := range s.machine.Registry().List() {
		list.Services = append(list.Services, services.Proto(service))
	}

	return &machine.ServiceListResponse{Messages: []*machine.ServiceList{list}}, nil
}

func (s *server) service(id string) (running bool, err error) {
	service, known := s.machine.Registry().Get(id)
	if !known {
		return false, fmt.Errorf("service %q not defined", id)
	}

	switch service.State {
	case services.Finished, services.Failed, services.Skipped, services.Initialized:
		return false, nil
	default:
		return true, nil
	}
}

// ServiceStart starts a service; of those here Talos only lets the kubelet be started.
func (s *server) ServiceStart(_ context.Context, in *machine.ServiceStartRequest) (*machine.ServiceStartResponse, error) {
	running, err := s.service(in.GetId())

	switch {
	case err != nil:
		return nil, err
	case running:
	case in.GetId() == "kubelet":
		err = s.machine.RestartKubelet()
	default:
		err = fmt.Errorf("service %q doesn't support start operation via API", in.GetId())
	}

	return &machine.ServiceStartResponse{Messages: []*machine.ServiceStart{{Resp: fmt.Sprintf("Service %q started", in.GetId())}}}, err
}

// ServiceStop stops a service, which Talos allows for none of those here.
func (s *server) ServiceStop(_ context.Context, in *machine.ServiceStopRequest) (*machine.ServiceStopResponse, error) {
	running, err := s.service(in.GetId())
	if err == nil && running {
		err = fmt.Errorf("service %q doesn't support stop operation via API", in.GetId())
	}

	return &machine.ServiceStopResponse{Messages: []*machine.ServiceStop{{Resp: fmt.Sprintf("Service %q stopped", in.GetId())}}}, err
}

// ServiceRestart restarts a service; of those here Talos only lets the kubelet be restarted.
func (s *server) ServiceRestart(_ context.Context, in *machine.ServiceRestartRequest) (*machine.ServiceRestartResponse, error) {
	_, err := s.service(in.GetId())
	if err == nil {
		if in.GetId() == "kubelet" {
			err = s.machine.RestartKubelet()
		} else {
			err = fmt.Errorf("service %q doesn't support restart operation via API", in.GetId())
		}
	}

	return &machine.ServiceRestartResponse{Messages: []*machine.ServiceRestart{{Resp: fmt.Sprintf("Service %q restarted", in.GetId())}}}, err
}
