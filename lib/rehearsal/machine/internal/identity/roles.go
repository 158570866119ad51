package identity

import (
	"context"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

var (
	everybody = role.MakeSet(role.Admin, role.Operator, role.Reader)
	operators = role.MakeSet(role.Admin, role.Operator)
	admins    = role.MakeSet(role.Admin)
)

// rules lists, per service, the methods that are open to more than administrators.
var rules = func() map[string]role.Set {
	all := map[string]role.Set{
		"/cluster.ClusterService/HealthCheck":                   everybody,
		"/inspect.InspectService/ControllerRuntimeDependencies": everybody,
		"/cosi.resource.State/Get":                              everybody,
		"/cosi.resource.State/List":                             everybody,
		"/cosi.resource.State/Watch":                            everybody,
		"/storage.StorageService/Disks":                         everybody,
		"/time.TimeService/Time":                                everybody,
		"/time.TimeService/TimeCheck":                           everybody,
		"/machine.MachineService/EtcdSnapshot":                  role.MakeSet(role.Admin, role.Operator, role.EtcdBackup),
	}

	for _, method := range []string{
		"CPUInfo", "CPUFreqStats", "Containers", "DiskStats", "DiskUsage", "Dmesg", "Events", "Hostname", "ImageList",
		"List", "LoadAvg", "Logs", "LogsContainers", "Memory", "Mounts", "NetworkDeviceStats", "Netstat", "Processes",
		"ServiceList", "Stats", "SystemStat", "Version",
	} {
		all["/machine.MachineService/"+method] = everybody
	}

	for _, method := range []string{"EtcdAlarmList", "EtcdMemberList", "EtcdStatus"} {
		all["/machine.MachineService/"+method] = role.MakeSet(role.Admin, role.Operator, role.Reader, role.EtcdBackup)
	}

	for _, method := range []string{
		"EtcdAlarmDisarm", "EtcdDefragment", "ImagePull", "PacketCapture", "Reboot", "Restart",
		"ServiceRestart", "ServiceStart", "ServiceStop", "Shutdown",
	} {
		all["/machine.MachineService/"+method] = operators
	}

	return all
}()

// Allowed tells whether a client with the given roles may call a method. Methods without a rule are the administrators'.
func Allowed(method string, roles role.Set) bool {
	allowed, known := rules[method]
	if !known {
		allowed = admins
	}

	return allowed.IncludesAny(roles)
}

// PeerRoles are the roles of the client at the other end of a connection: the organisations of its certificate.
// A client that may impersonate, as another machine's apid that passes a call on, names the roles in the metadata.
func PeerRoles(ctx context.Context) role.Set {
	client, ok := peer.FromContext(ctx)
	if !ok {
		return role.Zero
	}

	info, ok := client.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return role.Zero
	}

	roles, _ := role.Parse(info.State.PeerCertificates[0].Subject.Organization)

	if roles.Includes(role.Impersonator) {
		if named, ok := metadataRoles(ctx); ok {
			return named
		}
	}

	return roles
}

// ContextRoles are the roles that apid attached to a call before it handed it to the machine's services.
// Resources that Talos calls sensitive are for role.Admin only.
func ContextRoles(ctx context.Context) role.Set {
	roles, _ := metadataRoles(ctx)

	return roles
}

// SetRoles attaches roles to the metadata of a call that is passed on.
func SetRoles(md metadata.MD, roles role.Set) {
	md.Set(constants.APIAuthzRoleMetadataKey, roles.Strings()...)
}

func metadataRoles(ctx context.Context) (role.Set, bool) {
	named := metadata.ValueFromIncomingContext(ctx, constants.APIAuthzRoleMetadataKey)
	if len(named) == 0 {
		return role.Zero, false
	}

	roles, _ := role.Parse(named)

	return roles, true
}
