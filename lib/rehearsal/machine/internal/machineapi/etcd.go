package machineapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

const chunkSize = 32 * 1024

// etcdClient refuses workers and gives a client that the caller closes.
func (s *server) etcdClient(ctx context.Context, what string, local bool) (*clientv3.Client, error) {
	if err := s.controlPlaneOnly(what); err != nil {
		return nil, err
	}

	connect := s.machine.Etcd().ClusterClient
	if local {
		connect = s.machine.Etcd().LocalClient
	}

	client, err := connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to create etcd client: %w", err)
	}

	return client, nil
}

// EtcdMemberList lists the members of the cluster.
func (s *server) EtcdMemberList(ctx context.Context, in *machine.EtcdMemberListRequest) (*machine.EtcdMemberListResponse, error) {
	client, err := s.etcdClient(ctx, "member list", in.GetQueryLocal())
	if err != nil {
		return nil, err
	}

	defer client.Close() //nolint:errcheck

	list, err := client.MemberList(clientv3.WithRequireLeader(ctx))
	if err != nil {
		return nil, err
	}

	members := &machine.EtcdMembers{}

	for _, member := range list.Members {
		members.LegacyMembers = append(members.LegacyMembers, member.Name)
		members.Members = append(members.Members, &machine.EtcdMember{
			Id: member.ID, Hostname: member.Name, PeerUrls: member.PeerURLs, ClientUrls: member.ClientURLs, IsLearner: member.IsLearner,
		})
	}

	return &machine.EtcdMemberListResponse{Messages: []*machine.EtcdMembers{members}}, nil
}

// EtcdStatus tells the state of this machine's member.
func (s *server) EtcdStatus(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdStatusResponse, error) {
	client, err := s.etcdClient(ctx, "etcd status", true)
	if err != nil {
		return nil, err
	}

	defer client.Close() //nolint:errcheck

	state, err := client.Status(ctx, s.machine.Etcd().LocalEndpoint())
	if err != nil {
		return nil, fmt.Errorf("failed to query etcd status: %w", err)
	}

	return &machine.EtcdStatusResponse{Messages: []*machine.EtcdStatus{{MemberStatus: &machine.EtcdMemberStatus{
		MemberId:         state.Header.MemberId,
		ProtocolVersion:  state.Version,
		StorageVersion:   state.StorageVersion,
		DbSize:           state.DbSize,
		DbSizeInUse:      state.DbSizeInUse,
		Leader:           state.Leader,
		RaftIndex:        state.RaftIndex,
		RaftTerm:         state.RaftTerm,
		RaftAppliedIndex: state.RaftAppliedIndex,
		Errors:           state.Errors,
		IsLearner:        state.IsLearner,
	}}}}, nil
}

// EtcdSnapshot streams a snapshot of this machine's member.
func (s *server) EtcdSnapshot(_ *machine.EtcdSnapshotRequest, stream machine.MachineService_EtcdSnapshotServer) error {
	client, err := s.etcdClient(stream.Context(), "etcd snapshot", true)
	if err != nil {
		return err
	}

	defer client.Close() //nolint:errcheck

	reader, err := client.Snapshot(stream.Context())
	if err != nil {
		return fmt.Errorf("failed reading etcd snapshot: %w", err)
	}

	defer reader.Close() //nolint:errcheck

	return sendChunks(reader, stream.Send)
}

func sendChunks(from io.Reader, send func(*common.Data) error) error {
	for {
		chunk := make([]byte, chunkSize)

		n, err := io.ReadFull(from, chunk)
		if n > 0 {
			if sendErr := send(&common.Data{Bytes: chunk[:n]}); sendErr != nil {
				return sendErr
			}
		}

		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}

		if err != nil {
			return err
		}
	}
}

// EtcdRecover takes a snapshot, from which a following Bootstrap recovers.
func (s *server) EtcdRecover(stream machine.MachineService_EtcdRecoverServer) error {
	if err := s.controlPlaneOnly("etcd recover"); err != nil {
		return err
	}

	if _, err := os.Stat(filepath.Dir(s.machine.SnapshotPath())); err != nil {
		return status.Error(codes.FailedPrecondition, "etcd service is not ready for recovery yet")
	}

	if err := receive(stream, s.machine.SnapshotPath()); err != nil {
		os.Remove(s.machine.SnapshotPath()) //nolint:errcheck

		return err
	}

	s.machine.Uploaded()

	return stream.SendAndClose(&machine.EtcdRecoverResponse{Messages: []*machine.EtcdRecover{{}}})
}

func receive(stream machine.MachineService_EtcdRecoverServer, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("error creating etcd recovery snapshot: %w", err)
	}

	defer file.Close() //nolint:errcheck

	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return file.Sync()
		}

		if err != nil {
			return err
		}

		if _, err = file.Write(message.GetBytes()); err != nil {
			return fmt.Errorf("error writing snapshot: %w", err)
		}
	}
}

func alarms(list []*etcdserverpb.AlarmMember) []*machine.EtcdMemberAlarm {
	result := make([]*machine.EtcdMemberAlarm, 0, len(list))

	for _, alarm := range list {
		// the two enumerations have the same names
		kind := machine.EtcdMemberAlarm_AlarmType_value[alarm.Alarm.String()]
		result = append(result, &machine.EtcdMemberAlarm{MemberId: alarm.MemberID, Alarm: machine.EtcdMemberAlarm_AlarmType(kind)})
	}

	return result
}

// EtcdAlarmList lists the alarms that etcd has raised.
func (s *server) EtcdAlarmList(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdAlarmListResponse, error) {
	client, err := s.etcdClient(ctx, "etcd alarm list", true)
	if err != nil {
		return nil, err
	}

	defer client.Close() //nolint:errcheck

	list, err := client.AlarmList(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to list etcd alarms: %w", err)
	}

	return &machine.EtcdAlarmListResponse{Messages: []*machine.EtcdAlarm{{MemberAlarms: alarms(list.Alarms)}}}, nil
}

// EtcdAlarmDisarm takes all alarms back.
func (s *server) EtcdAlarmDisarm(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdAlarmDisarmResponse, error) {
	client, err := s.etcdClient(ctx, "etcd alarm disarm", true)
	if err != nil {
		return nil, err
	}

	defer client.Close() //nolint:errcheck

	list, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	if err != nil {
		return nil, fmt.Errorf("failed to disarm etcd alarm: %w", err)
	}

	return &machine.EtcdAlarmDisarmResponse{Messages: []*machine.EtcdAlarmDisarm{{MemberAlarms: alarms(list.Alarms)}}}, nil
}

// EtcdDefragment gives unused space of this machine's database back.
func (s *server) EtcdDefragment(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdDefragmentResponse, error) {
	client, err := s.etcdClient(ctx, "etcd defragment", true)
	if err != nil {
		return nil, err
	}

	defer client.Close() //nolint:errcheck

	if _, err = client.Defragment(ctx, s.machine.Etcd().LocalEndpoint()); err != nil {
		return nil, fmt.Errorf("failed to defragment etcd: %w", err)
	}

	return &machine.EtcdDefragmentResponse{Messages: []*machine.EtcdDefragment{{}}}, nil
}

// EtcdRemoveMemberByID removes any member.
func (s *server) EtcdRemoveMemberByID(ctx context.Context, in *machine.EtcdRemoveMemberByIDRequest) (*machine.EtcdRemoveMemberByIDResponse, error) {
	client, err := s.etcdClient(ctx, "etcd remove member", false)
	if err != nil {
		return nil, err
	}

	defer client.Close() //nolint:errcheck

	if _, err = client.MemberRemove(clientv3.WithRequireLeader(ctx), in.GetMemberId()); err != nil {
		if errors.Is(err, rpctypes.ErrMemberNotFound) {
			return nil, status.Error(codes.NotFound, err.Error())
		}

		return nil, fmt.Errorf("failed to remove member: %w", err)
	}

	return &machine.EtcdRemoveMemberByIDResponse{Messages: []*machine.EtcdRemoveMemberByID{{}}}, nil
}

// EtcdLeaveCluster removes this machine's own member and its data.
func (s *server) EtcdLeaveCluster(ctx context.Context, _ *machine.EtcdLeaveClusterRequest) (*machine.EtcdLeaveClusterResponse, error) {
	if err := s.controlPlaneOnly("etcd leave"); err != nil {
		return nil, err
	}

	if err := s.machine.Etcd().Leave(ctx); err != nil {
		return nil, fmt.Errorf("failed to leave cluster: %w", err)
	}

	return &machine.EtcdLeaveClusterResponse{Messages: []*machine.EtcdLeaveCluster{{}}}, nil
}

// EtcdForfeitLeadership hands the leadership over to another member.
func (s *server) EtcdForfeitLeadership(ctx context.Context, _ *machine.EtcdForfeitLeadershipRequest) (*machine.EtcdForfeitLeadershipResponse, error) {
	if err := s.controlPlaneOnly("etcd forfeit leadership"); err != nil {
		return nil, err
	}

	leader, err := s.machine.Etcd().Forfeit(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to forfeit leadership: %w", err)
	}

	log.Printf("etcd: leadership forfeited to %q", leader)

	return &machine.EtcdForfeitLeadershipResponse{Messages: []*machine.EtcdForfeitLeadership{{Member: leader}}}, nil
}
