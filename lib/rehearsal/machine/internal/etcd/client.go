package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const dialTimeout = 5 * time.Second

func clientURL(host string) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(constants.EtcdClientPort))
}

func peerURL(host string) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(constants.EtcdPeerPort))
}

func (service *Service) dial(ctx context.Context, endpoints ...string) (*clientv3.Client, error) {
	service.mu.Lock()
	files := service.pki
	service.mu.Unlock()

	if files == nil {
		return nil, errors.New("etcd's certificates have not been made yet")
	}

	return clientv3.New(clientv3.Config{
		Endpoints:   endpoints,
		DialTimeout: dialTimeout,
		Context:     ctx,
		TLS:         files.client,
		Logger:      zap.NewNop(),
	})
}

// LocalClient is a client of this machine's own etcd. The caller closes it.
func (service *Service) LocalClient(ctx context.Context) (*clientv3.Client, error) {
	return service.dial(ctx, service.LocalEndpoint())
}

// LocalEndpoint is where this machine's own etcd answers on the machine itself.
func (service *Service) LocalEndpoint() string { return clientURL(service.options.Cable.Localhost()) }

// ClusterClient is a client of all control plane machines that discovery knows, this one included. The caller closes it.
func (service *Service) ClusterClient(ctx context.Context) (*clientv3.Client, error) {
	endpoints := []string{clientURL(service.options.Address)}

	for _, address := range service.options.Endpoints() {
		endpoints = append(endpoints, clientURL(address))
	}

	return service.dial(ctx, endpoints...)
}

// quorum reads a key, which needs a majority of the voters.
func quorum(ctx context.Context, client *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()

	_, err := client.Get(ctx, "health")

	return err
}

// Leave removes this machine's member from the cluster, stops etcd and deletes its data.
func (service *Service) Leave(ctx context.Context) error {
	id, known := service.MemberID()
	if !known {
		return errors.New("the ID of this machine's member is not known")
	}

	client, err := service.ClusterClient(ctx)
	if err != nil {
		return err
	}

	defer client.Close() //nolint:errcheck

	if err = removeUntilDone(clientv3.WithRequireLeader(ctx), client, id); err != nil {
		return err
	}

	service.Halt("Left the cluster")

	return service.wipe()
}

// Forfeit moves the leadership to another member and returns its name; it is empty when this member does not lead.
func (service *Service) Forfeit(ctx context.Context) (string, error) {
	client, err := service.LocalClient(ctx)
	if err != nil {
		return "", err
	}

	defer client.Close() //nolint:errcheck

	members, err := client.MemberList(ctx)
	if err != nil {
		return "", fmt.Errorf("failed to list etcd members: %w", err)
	}

	if len(members.Members) == 1 {
		return "", errors.New("cannot forfeit leadership, only one member")
	}

	state, err := client.Status(ctx, service.LocalEndpoint())
	if err != nil || state.Leader != state.Header.MemberId {
		return "", err
	}

	other := successor(members.Members, state.Leader)
	if other == nil {
		return "", errors.New("no other voting member")
	}

	_, err = client.MoveLeader(ctx, other.ID)

	return other.Name, err
}

func successor(members []*etcdserverpb.Member, leader uint64) *etcdserverpb.Member {
	for _, member := range members {
		if member.ID != leader && !member.IsLearner {
			return member
		}
	}

	return nil
}
