package machineapi

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configdiff"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"talos-migrate.invalid/machine/internal/machinefile"
)

const (
	withReboot    = "Applied configuration with a reboot"
	withoutReboot = "Applied configuration without a reboot"
)

// ApplyConfiguration changes the config of a running machine.
func (s *server) ApplyConfiguration(_ context.Context, in *machine.ApplyConfigurationRequest) (*machine.ApplyConfigurationResponse, error) {
	if in.GetMode() != machine.ApplyConfigurationRequest_TRY {
		s.machine.KeepConfig()
	}

	next, warnings, err := s.parse(in.GetData())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	mode, details, err := s.decide(in.GetMode(), next)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	reply := &machine.ApplyConfiguration{Mode: mode, Warnings: warnings, ModeDetails: details}
	answer := &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{reply}}

	if in.GetDryRun() {
		difference, diffErr := configdiff.DiffToString(s.machine.Config(), next)
		if diffErr != nil {
			return nil, diffErr
		}

		if difference == "" {
			difference = "No changes."
		}

		reply.ModeDetails = fmt.Sprintf("Dry run summary:\n%s (skipped in dry-run).\nConfig diff:\n\n%s", details, difference)
		return answer, nil
	}

	if mode == machine.ApplyConfigurationRequest_TRY {
		timeout := constants.ConfigTryTimeout
		if in.GetTryModeTimeout() != nil {
			timeout = in.GetTryModeTimeout().AsDuration()
		}

		reply.ModeDetails += fmt.Sprintf("\nThe config is applied in 'try' mode and will be automatically reverted back in %s", timeout)
		s.machine.Use(next, timeout)

		return answer, nil
	}

	return answer, s.apply(mode, next)
}

func (s *server) apply(mode machine.ApplyConfigurationRequest_Mode, next config.Provider) error {
	if err := s.machine.Store(next); err != nil {
		return err
	}

	switch mode {
	case machine.ApplyConfigurationRequest_NO_REBOOT:
		s.machine.Use(next, time.Duration(0))
	case machine.ApplyConfigurationRequest_REBOOT:
		s.machine.Reboot("")
	}

	return nil
}

func (s *server) parse(data []byte) (config.Provider, []string, error) {
	next, err := configloader.NewFromBytes(data)
	if err != nil {
		return nil, nil, err
	}

	if next.RawV1Alpha1() == nil {
		return nil, nil, errors.New("the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine config instead?")
	}

	warnings, err := validate(next, s.machine.File(), true)

	return next, warnings, err
}

// decide settles what the mode comes to for this config.
func (s *server) decide(mode machine.ApplyConfigurationRequest_Mode, next config.Provider) (machine.ApplyConfigurationRequest_Mode, string, error) {
	immediate := applicableAtOnce(s.machine.Config(), next)

	switch mode {
	case machine.ApplyConfigurationRequest_TRY, machine.ApplyConfigurationRequest_NO_REBOOT:
		return mode, withoutReboot, immediate
	case machine.ApplyConfigurationRequest_STAGED:
		return mode, "Staged configuration to be applied after the next reboot", nil
	case machine.ApplyConfigurationRequest_AUTO:
		if immediate != nil {
			return machine.ApplyConfigurationRequest_REBOOT, withReboot + ": " + immediate.Error(), nil
		}

		return machine.ApplyConfigurationRequest_NO_REBOOT, withoutReboot, nil
	case machine.ApplyConfigurationRequest_REBOOT:
		return mode, withReboot, nil
	default:
		return mode, "", fmt.Errorf("incorrect mode '%s' specified for the apply config call", mode)
	}
}

// machineAtOnce are the sections below machine: that Talos puts in force without a reboot; of those below
// machine.features, see featuresAtOnce. All of cluster: and debug: belong to them too.
var (
	machineAtOnce = []string{
		"MachineCA", "MachineAcceptedCAs", "MachineTime", "MachineCertSANs", "MachineInstall", "MachineNetwork", "MachineSysfs",
		"MachineSysctls", "MachineLogging", "MachineControlPlane", "MachineKubelet", "MachineKernel", "MachineRegistries",
		"MachinePods", "MachineSeccompProfiles", "MachineNodeAnnotations", "MachineNodeLabels", "MachineNodeTaints",
	}
	featuresAtOnce = []string{
		"KubernetesTalosAPIAccessConfig", "KubePrismSupport", "HostDNSSupport", "ImageCacheSupport", "FeatureNodeAddressSortAlgorithm",
	}
)

// applicableAtOnce returns an error that shows the difference when the config needs a reboot.
func applicableAtOnce(present, next config.Provider) error {
	before, after := present.RawV1Alpha1(), next.RawV1Alpha1().DeepCopy()

	after.ConfigDebug = before.ConfigDebug
	after.ClusterConfig = before.ClusterConfig

	if before.MachineConfig != nil && after.MachineConfig != nil {
		copyFields(after.MachineConfig, before.MachineConfig, machineAtOnce)

		if before.MachineConfig.MachineFeatures != nil && after.MachineConfig.MachineFeatures != nil {
			copyFields(after.MachineConfig.MachineFeatures, before.MachineConfig.MachineFeatures, featuresAtOnce)
		}
	}

	if reflect.DeepEqual(before, after) {
		return nil
	}

	difference, err := configdiff.DiffToString(container.NewV1Alpha1(before), container.NewV1Alpha1(after))
	if err != nil {
		return err
	}

	return fmt.Errorf("this config change can't be applied in immediate mode\ndiff:\n%s", difference)
}

func copyFields[T any](to, from *T, names []string) {
	for _, name := range names {
		reflect.ValueOf(to).Elem().FieldByName(name).Set(reflect.ValueOf(from).Elem().FieldByName(name))
	}
}

// hardware is the little of the resource state that the validation of a config looks at: the disks.
func hardware(file machinefile.File) (state.State, error) {
	resources := state.WrapCore(namespaced.NewState(inmem.Build))

	for _, disk := range file.Disks {
		resource := block.NewDisk(block.NamespaceName, filepath.Base(disk.Name))
		*resource.TypedSpec() = block.DiskSpec{DevPath: disk.Name, Model: disk.Model, Serial: disk.Serial, Transport: transport(disk)}
		resource.TypedSpec().SetSize(disk.SizeBytes)

		if err := resources.Create(context.Background(), resource); err != nil {
			return nil, err
		}
	}

	return resources, nil
}

func transport(disk machinefile.Disk) string {
	if strings.HasPrefix(filepath.Base(disk.Name), "nvme") {
		return "nvme"
	}

	return "sata"
}

// validate returns the warnings about a config, or why it is refused: what talosctl validate refuses, and disks that
// the machine does not have.
func validate(provider config.Provider, file machinefile.File, installed bool) ([]string, error) {
	warnings, err := provider.Validate(metal{installed: installed})
	if err != nil {
		return nil, fmt.Errorf("configuration validation failed: %w", err)
	}

	resources, err := hardware(file)
	if err != nil {
		return nil, err
	}

	more, err := provider.RuntimeValidate(context.Background(), resources, metal{installed: installed})
	if err != nil {
		return nil, fmt.Errorf("runtime configuration validation failed: %w", err)
	}

	return slices.Concat(warnings, more), nil
}
