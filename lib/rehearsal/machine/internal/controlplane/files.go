package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/constants"

	"talos-migrate.invalid/machine/internal/identity"
)

const certificateLifetime = 365 * 24 * time.Hour

// folder holds the rendered files of the control plane.
type folder string

func (dir folder) path(name string) string { return filepath.Join(string(dir), name) }

func (dir folder) write(name string, content []byte) error {
	return os.WriteFile(dir.path(name), content, 0o600)
}

func (dir folder) writeJSON(name string, object any) error {
	content, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return err
	}

	return dir.write(name, content)
}

func (dir folder) writePair(name string, pair *x509.PEMEncodedCertificateAndKey) error {
	if err := dir.write(name+".crt", pair.Crt); err != nil {
		return err
	}

	return dir.write(name+".key", pair.Key)
}

func (dir folder) issue(name string, ca *x509.PEMEncodedCertificateAndKey, request identity.Request) error {
	request.Lifetime = certificateLifetime

	pair, err := identity.Issue(ca, request)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}

	return dir.writePair(name, pair)
}

// render writes what Talos renders for the static pods.
func (service *Service) render() error {
	dir, cluster := service.files, service.options.Config.Cluster()

	if cluster.IssuingCA() == nil || len(cluster.IssuingCA().Key) == 0 || cluster.AggregatorCA() == nil || cluster.ServiceAccount() == nil {
		return errors.New("the machine config lacks one of cluster.ca, cluster.aggregatorCA and cluster.serviceAccount")
	}

	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return err
	}

	for _, step := range []func() error{service.renderCertificates, service.renderServiceAccount, service.renderConfigs, service.renderKubeconfigs} {
		if err := step(); err != nil {
			return err
		}
	}

	return nil
}

func (service *Service) renderCertificates() error {
	dir, cluster := service.files, service.options.Config.Cluster()

	names, err := service.serverNames()
	if err != nil {
		return err
	}

	return errors.Join(
		dir.writePair("ca", &x509.PEMEncodedCertificateAndKey{
			Crt: cluster.IssuingCA().Crt, Key: cluster.IssuingCA().Key,
		}),
		dir.write("client-ca.crt", acceptedCAs(cluster.AcceptedCAs(), cluster.IssuingCA())),
		dir.write("aggregator-ca.crt", cluster.AggregatorCA().Crt),
		dir.write("etcd-client-ca.crt", cluster.Etcd().CA().Crt),
		dir.issue("etcd-client", cluster.Etcd().CA(), identity.Request{CommonName: "kube-apiserver", Client: true}),
		dir.issue("apiserver", cluster.IssuingCA(), identity.Request{
			CommonName: "kube-apiserver", Organization: "kube-master", Names: names, Server: true,
		}),
		dir.issue("apiserver-kubelet-client", cluster.IssuingCA(), identity.Request{
			CommonName: constants.KubernetesAPIServerKubeletClientCommonName, Organization: constants.KubernetesAdminCertOrganization, Client: true,
		}),
		dir.issue("front-proxy-client", cluster.AggregatorCA(), identity.Request{CommonName: "front-proxy-client", Client: true}),
	)
}

func (service *Service) serverNames() ([]string, error) {
	cluster := service.options.Config.Cluster()

	services, err := cluster.Network().APIServerIPs()
	if err != nil {
		return nil, err
	}

	names := []string{
		cluster.Endpoint().Hostname(),
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + cluster.Network().DNSDomain(),
		"localhost", "127.0.0.1", service.options.Cable.Localhost(), service.options.Hostname, service.options.Address,
	}

	for _, address := range services {
		names = append(names, address.String())
	}

	return append(names, cluster.CertSANs()...), nil
}

func (service *Service) renderServiceAccount() error {
	key, err := service.options.Config.Cluster().ServiceAccount().GetKey()
	if err != nil {
		return fmt.Errorf("cluster.serviceAccount.key: %w", err)
	}

	return errors.Join(
		service.files.write("service-account.pub", key.GetPublicKeyPEM()),
		service.files.write("service-account.key", key.GetPrivateKeyPEM()),
	)
}

func (service *Service) renderConfigs() error {
	dir, cluster := service.files, service.options.Config.Cluster()

	scheduler := map[string]any{}
	for key, value := range cluster.Scheduler().Config() {
		scheduler[key] = value
	}

	connection, _ := scheduler["clientConnection"].(map[string]any)
	if connection == nil {
		connection = map[string]any{"qps": clientQPS, "burst": clientBurst}
	}

	connection["kubeconfig"] = dir.path("scheduler.kubeconfig")
	scheduler["clientConnection"] = connection
	scheduler["apiVersion"] = "kubescheduler.config.k8s.io/v1"
	scheduler["kind"] = "KubeSchedulerConfiguration"

	plugins := []any{}
	for _, plugin := range cluster.APIServer().AdmissionControl() {
		plugins = append(plugins, map[string]any{"name": plugin.Name(), "configuration": plugin.Configuration()})
	}

	return errors.Join(
		dir.writeJSON("encryptionconfig.yaml", encryption(service.options.Config)),
		dir.writeJSON("auditpolicy.yaml", cluster.APIServer().AuditPolicy()),
		dir.writeJSON("authorization-config.yaml", authorization(service.options.Config)),
		dir.writeJSON("scheduler-config.yaml", scheduler),
		dir.writeJSON("admission-control-config.yaml", map[string]any{
			"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins,
		}),
	)
}

// encryption has the key names that Talos gives, which etcd keeps in front of every encrypted value.
func encryption(cfg config.Provider) any {
	providers := []any{}
	key := func(name, secret string) any {
		return map[string]any{"keys": []any{map[string]any{"name": name, "secret": secret}}}
	}

	if secret := cfg.Cluster().SecretboxEncryptionSecret(); secret != "" {
		providers = append(providers, map[string]any{"secretbox": key("key2", secret)})
	}

	if secret := cfg.Cluster().AESCBCEncryptionSecret(); secret != "" {
		providers = append(providers, map[string]any{"aescbc": key("key1", secret)})
	}

	providers = append(providers, map[string]any{"identity": map[string]any{}})

	return map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1",
		"kind":       "EncryptionConfiguration",
		"resources":  []any{map[string]any{"resources": []string{"secrets"}, "providers": providers}},
	}
}

func authorization(cfg config.Provider) any {
	authorizers := []any{}
	present := map[string]bool{}

	for _, one := range cfg.Cluster().APIServer().AuthorizationConfig() {
		authorizer := map[string]any{"type": one.Type(), "name": one.Name()}
		if one.Webhook() != nil {
			authorizer["webhook"] = one.Webhook()
		}

		authorizers = append(authorizers, authorizer)
		present[one.Type()] = true
	}

	front := []any{}

	for kind, name := range map[string]string{"Node": "node", "RBAC": "rbac"} {
		if !present[kind] {
			front = append(front, map[string]any{"type": kind, "name": name})
		}
	}

	return map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration", "authorizers": append(front, authorizers...),
	}
}

func (service *Service) renderKubeconfigs() error {
	local := "https://" + netip.AddrPortFrom(netip.MustParseAddr(service.options.Cable.Localhost()), uint16(service.port())).String()

	for name, who := range map[string][2]string{
		"controller-manager": {constants.KubernetesControllerManagerOrganization, constants.KubernetesControllerManagerOrganization},
		"scheduler":          {constants.KubernetesSchedulerOrganization, constants.KubernetesSchedulerOrganization},
		"admin":              {constants.KubernetesTalosAdminCertCommonName, constants.KubernetesAdminCertOrganization},
	} {
		content, err := kubeconfig(service.options.Config, clientRequest{
			server: local, user: name, commonName: who[0], organization: who[1], lifetime: certificateLifetime,
		})
		if err != nil {
			return err
		}

		if err = service.files.write(name+".kubeconfig", content); err != nil {
			return err
		}
	}

	return nil
}
