// Package identity makes the certificates of a machine from its machine config, and knows who may call what.
package identity

import (
	"crypto/tls"
	stdx509 "crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/role"
)

const (
	apiLifetime = 24 * time.Hour
	clockSkew   = 10 * time.Second
)

// Certificates are what apid needs to serve and to call the apid of other machines.
type Certificates struct {
	server   tls.Certificate
	client   tls.Certificate
	accepted *stdx509.CertPool
	checkExt bool
}

// NewCertificates makes apid's certificates with the machine CA of the config.
// names are the host names and addresses of this machine; the config's certSANs are added.
func NewCertificates(cfg config.Provider, names ...string) (*Certificates, error) {
	security := cfg.Machine().Security()

	issuing := security.IssuingCA()
	if issuing == nil || len(issuing.Key) == 0 {
		return nil, errors.New("the machine config has no machine.ca key, which only control plane machines have")
	}

	certificates := accepting(cfg, issuing)

	server, err := Issue(issuing, Request{
		CommonName: names[0], Names: append(slices.Clone(names), security.CertSANs()...), Lifetime: apiLifetime, Server: true,
	})
	if err != nil {
		return nil, fmt.Errorf("apid's server certificate: %w", err)
	}

	client, err := Issue(issuing, Request{CommonName: names[0], Organization: string(role.Impersonator), Lifetime: apiLifetime, Client: true})
	if err != nil {
		return nil, fmt.Errorf("apid's client certificate: %w", err)
	}

	certificates.server, err = tls.X509KeyPair(server.Crt, server.Key)
	if err != nil {
		return nil, err
	}

	certificates.client, err = tls.X509KeyPair(client.Crt, client.Key)

	return certificates, err
}

// WorkerCertificates are those of a worker: what a control plane machine signed for it, and no way to call others.
func WorkerCertificates(cfg config.Provider, server *x509.PEMEncodedCertificateAndKey) (*Certificates, error) {
	certificates := accepting(cfg, cfg.Machine().Security().IssuingCA())

	var err error

	certificates.server, err = tls.X509KeyPair(server.Crt, server.Key)

	return certificates, err
}

func accepting(cfg config.Provider, issuing *x509.PEMEncodedCertificateAndKey) *Certificates {
	certificates := &Certificates{accepted: stdx509.NewCertPool(), checkExt: cfg.Machine().Features().ApidCheckExtKeyUsageEnabled()}

	for _, accepted := range cfg.Machine().Security().AcceptedCAs() {
		certificates.accepted.AppendCertsFromPEM(accepted.Crt)
	}

	certificates.accepted.AppendCertsFromPEM(issuing.Crt)

	return certificates
}

// ServerTLS demands a client certificate of the machine CA.
func (certificates *Certificates) ServerTLS() *tls.Config {
	cfg := &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"h2"},
		Certificates:           []tls.Certificate{certificates.server},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              certificates.accepted,
		SessionTicketsDisabled: true,
	}

	if certificates.checkExt {
		cfg.VerifyPeerCertificate = checkClientUsage
	}

	return cfg
}

// ClientTLS is for calls to the apid of other machines of the same cluster.
func (certificates *Certificates) ClientTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{certificates.client},
		RootCAs:      certificates.accepted,
	}
}

func checkClientUsage(_ [][]byte, chains [][]*stdx509.Certificate) error {
	if len(chains) == 0 {
		return errors.New("no verified chain")
	}

	leaf := chains[0][0]
	if !leaf.IsCA && !slices.Equal(leaf.ExtKeyUsage, []stdx509.ExtKeyUsage{stdx509.ExtKeyUsageClientAuth}) {
		return fmt.Errorf("certificate %q is not for client authentication only", leaf.Subject)
	}

	return nil
}

// MaintenanceTLS is what a machine without config serves with: a certificate of its own, and no client certificate asked.
func MaintenanceTLS(address string) (*tls.Config, error) {
	ca, err := x509.NewSelfSignedCertificateAuthority(x509.Organization("talos-maintenance"), x509.NotAfter(time.Now().Add(apiLifetime)))
	if err != nil {
		return nil, err
	}

	issued, err := Issue(x509.NewCertificateAndKeyFromCertificateAuthority(ca), Request{
		CommonName: "maintenance-service.talos.dev", Names: []string{"maintenance-service.talos.dev", address}, Lifetime: apiLifetime, Server: true,
	})
	if err != nil {
		return nil, err
	}

	certificate, err := tls.X509KeyPair(issued.Crt, issued.Key)
	if err != nil {
		return nil, err
	}

	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{certificate}}, nil
}

// Request says what a certificate is to hold.
type Request struct {
	CommonName   string
	Organization string
	Names        []string // host names and addresses
	Lifetime     time.Duration
	Server       bool
	Client       bool
}

// Issue makes a key and has its certificate signed by ca.
func Issue(ca *x509.PEMEncodedCertificateAndKey, request Request) (*x509.PEMEncodedCertificateAndKey, error) {
	authority, err := x509.NewCertificateAuthorityFromCertificateAndKey(ca)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}

	var (
		addresses []net.IP
		hosts     []string
		usages    []stdx509.ExtKeyUsage
	)

	for _, name := range request.Names {
		if address := net.ParseIP(name); address != nil {
			addresses = append(addresses, address)
		} else if name != "" && !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}

	if request.Server {
		usages = append(usages, stdx509.ExtKeyUsageServerAuth)
	}

	if request.Client {
		usages = append(usages, stdx509.ExtKeyUsageClientAuth)
	}

	options := []x509.Option{
		x509.CommonName(request.CommonName),
		x509.IPAddresses(addresses),
		x509.DNSNames(hosts),
		x509.NotBefore(time.Now().Add(-clockSkew)),
		x509.NotAfter(time.Now().Add(request.Lifetime)),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature | stdx509.KeyUsageKeyEncipherment),
		x509.ExtKeyUsage(usages),
	}

	if request.Organization != "" {
		options = append(options, x509.Organization(request.Organization))
	}

	pair, err := x509.NewKeyPair(authority, options...)
	if err != nil {
		return nil, err
	}

	return x509.NewCertificateAndKeyFromKeyPair(pair), nil
}
