package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/identity"
)

const clientLifetime = time.Hour

// localClient calls the API of this very machine. Its certificate may impersonate; the rights are the caller's, which
// each call carries in its metadata.
type localClient struct {
	machine facts.Machine
	client  *client.Client
}

func (local *localClient) Client(endpoints ...string) (*client.Client, error) {
	if len(endpoints) > 0 {
		return nil, errors.New("the server side check has no other endpoints than the machine's own")
	}

	if local.client != nil {
		return local.client, nil
	}

	config, err := clientTLS(local.machine)
	if err != nil {
		return nil, err
	}

	local.client, err = client.New(context.Background(),
		client.WithTLSConfig(config), client.WithEndpoints(local.machine.File().Address))

	return local.client, err
}

func (local *localClient) Close() error {
	if local.client == nil {
		return nil
	}

	err := local.client.Close()
	local.client = nil

	return err
}

func clientTLS(m facts.Machine) (*tls.Config, error) {
	security := m.Config().Machine().Security()

	authority := security.IssuingCA()
	if authority == nil || len(authority.Key) == 0 {
		return nil, status.Error(codes.Unimplemented, "the practice machine checks the cluster's health on control plane machines only")
	}

	issued, err := identity.Issue(authority, identity.Request{
		CommonName: m.Hostname(), Organization: string(role.Impersonator), Lifetime: clientLifetime, Client: true,
	})
	if err != nil {
		return nil, err
	}

	certificate, err := tls.X509KeyPair(issued.Crt, issued.Key)
	if err != nil {
		return nil, err
	}

	accepted := x509.NewCertPool()
	accepted.AppendCertsFromPEM(authority.Crt)

	for _, other := range security.AcceptedCAs() {
		accepted.AppendCertsFromPEM(other.Crt)
	}

	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: accepted, Certificates: []tls.Certificate{certificate}}, nil
}
