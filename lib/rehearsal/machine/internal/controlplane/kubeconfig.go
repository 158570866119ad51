package controlplane

import (
	"bytes"
	"encoding/base64"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"gopkg.in/yaml.v3"

	"talos-migrate.invalid/machine/internal/identity"
)

// clientRequest says whose kubeconfig is wanted.
type clientRequest struct {
	server       string
	user         string // the name inside of the kubeconfig
	commonName   string
	organization string
	lifetime     time.Duration
}

// AdminKubeconfig is what talosctl kubeconfig hands out.
func AdminKubeconfig(cfg config.Provider) ([]byte, error) {
	admin := cfg.Cluster().AdminKubeconfig()

	return kubeconfig(cfg, clientRequest{
		server:       cfg.Cluster().Endpoint().String(),
		user:         "admin",
		commonName:   admin.CommonName(),
		organization: admin.CertOrganization(),
		lifetime:     admin.CertLifetime(),
	})
}

func kubeconfig(cfg config.Provider, request clientRequest) ([]byte, error) {
	cluster := cfg.Cluster()

	client, err := identity.Issue(cluster.IssuingCA(), identity.Request{
		CommonName: request.commonName, Organization: request.organization, Lifetime: request.lifetime, Client: true,
	})
	if err != nil {
		return nil, err
	}

	return render(cfg, request.server, request.user, client)
}

// WorkerKubeconfig is for a worker, which goes to the control plane endpoint, with a client certificate that it was given.
func WorkerKubeconfig(cfg config.Provider, client *x509.PEMEncodedCertificateAndKey) ([]byte, error) {
	return render(cfg, cfg.Cluster().Endpoint().String(), "kubelet", client)
}

func render(cfg config.Provider, server, user string, client *x509.PEMEncodedCertificateAndKey) ([]byte, error) {
	cluster := cfg.Cluster()
	name := cluster.Name()
	entry := user + "@" + name

	return yaml.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{
			"server": server, "certificate-authority-data": encode(acceptedCAs(cluster.AcceptedCAs(), cluster.IssuingCA())),
		}}},
		"users": []any{map[string]any{"name": entry, "user": map[string]any{
			"client-certificate-data": encode(client.Crt), "client-key-data": encode(client.Key),
		}}},
		"contexts": []any{map[string]any{"name": entry, "context": map[string]any{
			"cluster": name, "namespace": "default", "user": entry,
		}}},
		"current-context": entry,
	})
}

func acceptedCAs(accepted []*x509.PEMEncodedCertificate, issuing *x509.PEMEncodedCertificateAndKey) []byte {
	all := make([][]byte, 0, len(accepted)+1)

	for _, ca := range accepted {
		all = append(all, ca.Crt)
	}

	return bytes.Join(append(all, issuing.Crt), nil)
}

func encode(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
