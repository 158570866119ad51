package etcd

import (
	"crypto/tls"
	stdx509 "crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/siderolabs/crypto/x509"

	"talos-migrate.invalid/machine/internal/identity"
)

const certificateLifetime = 87600 * time.Hour

// pki are the files of etcd's certificates and the client that Talos itself uses.
type pki struct {
	folder string
	client *tls.Config
}

func (files pki) path(name string) string { return filepath.Join(files.folder, name) }

// writePKI signs etcd's certificates with the etcd CA of the machine config and writes them.
func writePKI(options Options) (*pki, error) {
	ca := options.Config.Cluster().Etcd().CA()
	if ca == nil || len(ca.Key) == 0 {
		return nil, errors.New("the machine config has no cluster.etcd.ca")
	}

	files := &pki{folder: options.PKI}

	if err := os.MkdirAll(files.folder, 0o700); err != nil {
		return nil, err
	}

	if err := os.WriteFile(files.path("ca.crt"), ca.Crt, 0o600); err != nil {
		return nil, err
	}

	names := []string{options.Hostname, options.Address}

	server := append([]string{"localhost", "127.0.0.1", options.Cable.Localhost()}, names...)
	for name, request := range map[string]identity.Request{
		"server": {CommonName: options.Hostname, Names: server, Server: true, Client: true},
		"peer":   {CommonName: options.Hostname, Names: names, Server: true, Client: true},
	} {
		if _, err := files.issue(ca, name, request); err != nil {
			return nil, err
		}
	}

	admin, err := files.issue(ca, "admin", identity.Request{CommonName: "talos", Client: true})
	if err != nil {
		return nil, err
	}

	certificate, err := tls.X509KeyPair(admin.Crt, admin.Key)
	if err != nil {
		return nil, err
	}

	pool := stdx509.NewCertPool()
	pool.AppendCertsFromPEM(ca.Crt)

	files.client = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, RootCAs: pool}

	return files, nil
}

func (files pki) issue(ca *x509.PEMEncodedCertificateAndKey, name string, request identity.Request) (*x509.PEMEncodedCertificateAndKey, error) {
	request.Lifetime = certificateLifetime

	issued, err := identity.Issue(ca, request)
	if err != nil {
		return nil, err
	}

	if err = os.WriteFile(files.path(name+".crt"), issued.Crt, 0o600); err != nil {
		return nil, err
	}

	return issued, os.WriteFile(files.path(name+".key"), issued.Key, 0o600)
}
