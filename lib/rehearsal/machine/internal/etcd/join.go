package etcd

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	joinInterval   = 300 * time.Millisecond
	joinAttempt    = 30 * time.Second
	leaveLimit     = 5 * time.Minute
	promoteAttempt = 5 * time.Second
)

// join adds this machine as a learner to the cluster of its neighbours, as soon as one of them lets it.
// It returns the value of --initial-cluster and the new member's ID.
func (service *Service) join(ctx context.Context) (string, uint64, error) {
	lastProblem := ""

	for {
		if addresses := service.options.Endpoints(); len(addresses) > 0 {
			initial, id, err := service.addLearner(ctx, addresses)
			if err == nil {
				return initial, id, nil
			}

			if problem := err.Error(); problem != lastProblem && ctx.Err() == nil {
				log.Printf("etcd: not joined yet: %v", err)

				lastProblem = problem
			}
		}

		select {
		case <-ctx.Done():
			return "", 0, ctx.Err()
		case <-time.After(joinInterval):
		}
	}
}

func (service *Service) addLearner(ctx context.Context, addresses []string) (string, uint64, error) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), joinAttempt)
	defer cancel()

	endpoints := make([]string, 0, len(addresses))
	for _, address := range addresses {
		endpoints = append(endpoints, clientURL(address))
	}

	client, err := service.dial(ctx, endpoints...)
	if err != nil {
		return "", 0, err
	}

	defer client.Close() //nolint:errcheck

	members, err := client.MemberList(ctx)
	if err != nil {
		return "", 0, fmt.Errorf("list members: %w", err)
	}

	// the data directory is empty, so a member of the same name cannot be this machine any more
	for _, member := range members.Members {
		if member.Name == service.options.Hostname {
			if _, err = client.MemberRemove(ctx, member.ID); err != nil {
				return "", 0, fmt.Errorf("remove the former member %s: %w", member.Name, err)
			}
		}
	}

	added, err := client.MemberAddAsLearner(ctx, []string{peerURL(service.options.Address)})
	if err != nil {
		return "", 0, fmt.Errorf("add member: %w", err)
	}

	return initialCluster(added.Members, added.Member.ID, service.options.Hostname), added.Member.ID, nil
}

func initialCluster(members []*etcdserverpb.Member, self uint64, name string) string {
	var parts []string

	for _, member := range members {
		memberName := member.Name
		if member.ID == self {
			memberName = name
		}

		for _, url := range member.PeerURLs {
			parts = append(parts, memberName+"="+url)
		}
	}

	return strings.Join(parts, ",")
}

// promote makes the learner a voter, which the cluster refuses until it has caught up with the leader.
func (service *Service) promote(ctx context.Context, id uint64) {
	for ctx.Err() == nil {
		for _, address := range service.options.Endpoints() {
			err := service.promoteBy(ctx, address, id)
			if err == nil || errors.Is(err, rpctypes.ErrMemberNotLearner) {
				log.Printf("etcd: member %016x promoted", id)

				return
			}
		}

		select {
		case <-ctx.Done():
		case <-time.After(joinInterval):
		}
	}
}

func (service *Service) promoteBy(ctx context.Context, address string, id uint64) error {
	ctx, cancel := context.WithTimeout(ctx, promoteAttempt)
	defer cancel()

	client, err := service.dial(ctx, clientURL(address))
	if err != nil {
		return err
	}

	defer client.Close() //nolint:errcheck

	_, err = client.MemberPromote(ctx, id)

	return err
}

// removeUntilDone removes a member; the cluster refuses while the member has not been connected to the others for long enough.
func removeUntilDone(ctx context.Context, client *clientv3.Client, id uint64) error {
	ctx, cancel := context.WithTimeout(ctx, leaveLimit)
	defer cancel()

	for {
		_, err := client.MemberRemove(ctx, id)

		switch {
		case err == nil || errors.Is(err, rpctypes.ErrMemberNotFound):
			return nil
		case !errors.Is(err, rpctypes.ErrUnhealthy) && !errors.Is(err, rpctypes.ErrStopped):
			return fmt.Errorf("failed to remove member %d: %w", id, err)
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(joinInterval):
		}
	}
}
