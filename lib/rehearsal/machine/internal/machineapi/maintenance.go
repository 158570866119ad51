package machineapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

var errMaintenance = status.Error(codes.Unimplemented, "API is not implemented in maintenance mode")

type maintenanceServer struct {
	machine.UnimplementedMachineServiceServer

	machine Controller
}

// ApplyConfiguration takes the machine's first config.
func (s *maintenanceServer) ApplyConfiguration(_ context.Context, in *machine.ApplyConfigurationRequest) (*machine.ApplyConfigurationResponse, error) {
	switch in.GetMode() {
	case machine.ApplyConfigurationRequest_TRY, machine.ApplyConfigurationRequest_REBOOT, machine.ApplyConfigurationRequest_AUTO:
	default:
		return nil, status.Errorf(codes.Unimplemented, "apply configuration --mode='%s' is not supported in maintenance mode",
			strings.ReplaceAll(strings.ToLower(in.GetMode().String()), "_", "-"))
	}

	provider, err := configloader.NewFromBytes(in.GetData())
	if err != nil {
		return nil, fmt.Errorf("failed to parse config: %w", err)
	}

	warnings, err := validate(provider, s.machine.File(), false)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	reply := &machine.ApplyConfiguration{Warnings: warnings}
	answer := &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{reply}}

	if in.GetDryRun() {
		reply.ModeDetails = "Dry run summary:\nNode is running in maintenance mode and does not have a config yet."

		return answer, nil
	}

	return answer, s.machine.Provision(provider)
}

// Version is only answered to administrators, whom maintenance mode cannot know.
func (*maintenanceServer) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	return nil, errMaintenance
}

// Upgrade is only for administrators.
func (*maintenanceServer) Upgrade(context.Context, *machine.UpgradeRequest) (*machine.UpgradeResponse, error) {
	return nil, errMaintenance
}

// Reset is only for administrators.
func (*maintenanceServer) Reset(context.Context, *machine.ResetRequest) (*machine.ResetResponse, error) {
	return nil, errMaintenance
}

// MetaWrite is only for administrators.
func (*maintenanceServer) MetaWrite(context.Context, *machine.MetaWriteRequest) (*machine.MetaWriteResponse, error) {
	return nil, errMaintenance
}

// MetaDelete is only for administrators.
func (*maintenanceServer) MetaDelete(context.Context, *machine.MetaDeleteRequest) (*machine.MetaDeleteResponse, error) {
	return nil, errMaintenance
}

// GenerateClientConfiguration needs a machine CA, which the machine does not have yet.
func (*maintenanceServer) GenerateClientConfiguration(
	context.Context, *machine.GenerateClientConfigurationRequest,
) (*machine.GenerateClientConfigurationResponse, error) {
	return nil, status.Error(codes.Unimplemented, "client configuration (talosconfig) can't be generated in the maintenance mode")
}
