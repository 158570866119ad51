package trustd

import (
	"context"
	"crypto/tls"
	stdx509 "crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/api/security"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

const requestLimit = 5 * time.Second

// Client asks the trustd of control plane machines.
type Client struct {
	Config config.Provider
	// Endpoints are addresses of control plane machines; the first that answers is taken.
	Endpoints []string
}

// Machine gets apid's server certificate for the given host names and addresses.
func (client Client) Machine(ctx context.Context, names ...string) (*x509.PEMEncodedCertificateAndKey, error) {
	var (
		addresses []net.IP
		hosts     []string
	)

	for _, name := range append(slices.Clone(names), client.Config.Machine().Security().CertSANs()...) {
		if address := net.ParseIP(name); address != nil {
			addresses = append(addresses, address)
		} else {
			hosts = append(hosts, name)
		}
	}

	return client.ask(ctx, client.Config.Machine().Security().IssuingCA(), "/securityapi.SecurityService/"+method,
		x509.CommonName(names[0]), x509.IPAddresses(addresses), x509.DNSNames(hosts))
}

// Kubelet gets a client certificate for the Kubernetes API.
func (client Client) Kubelet(ctx context.Context, commonName, organization string) (*x509.PEMEncodedCertificateAndKey, error) {
	return client.ask(ctx, client.Config.Cluster().IssuingCA(), "/"+kubeletService+"/"+method,
		x509.CommonName(commonName), x509.Organization(organization))
}

func (client Client) ask(
	ctx context.Context, ca *x509.PEMEncodedCertificateAndKey, call string, subject ...x509.Option,
) (*x509.PEMEncodedCertificateAndKey, error) {
	parsed, err := ca.GetCert()
	if err != nil {
		return nil, err
	}

	request, pair, err := x509.NewCSRAndIdentityFromCA(parsed, subject...)
	if err != nil {
		return nil, err
	}

	problems := []error{errors.New("no control plane machine has signed the certificate")}

	for _, endpoint := range client.Endpoints {
		answer, err := client.askOne(ctx, endpoint, call, request.X509CertificateRequestPEM)
		if err == nil {
			pair.Crt = answer.GetCrt()

			return pair, nil
		}

		problems = append(problems, fmt.Errorf("%s: %w", endpoint, err))
	}

	return nil, errors.Join(problems...)
}

func (client Client) askOne(ctx context.Context, endpoint, call string, request []byte) (*security.CertificateResponse, error) {
	pool := stdx509.NewCertPool()
	pool.AppendCertsFromPEM(client.Config.Machine().Security().IssuingCA().Crt)

	conn, err := grpc.NewClient(net.JoinHostPort(endpoint, strconv.Itoa(constants.TrustdPort)),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})), grpc.WithNoProxy())
	if err != nil {
		return nil, err
	}

	defer conn.Close() //nolint:errcheck

	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, "token", client.Config.Machine().Security().Token()), requestLimit)
	defer cancel()

	answer := new(security.CertificateResponse)

	return answer, conn.Invoke(ctx, call, &security.CertificateRequest{Csr: request}, answer)
}
