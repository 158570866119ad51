package controlplane

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/constants"
)

const (
	// a documentation address: the API server refuses a loopback one, and nobody is ever sent there
	advertiseAddress = "192.0.2.1"
	clientQPS        = 200
	clientBurst      = 400
	ciphers          = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256," +
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384," +
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
)

func (service *Service) port() int { return service.options.Config.Cluster().LocalAPIServerPort() }

func (service *Service) apiServerArguments() ([]string, error) {
	cluster, dir := service.options.Config.Cluster(), service.files
	localhost, endpoint := service.options.Cable.Localhost(), cluster.Endpoint().String()
	extra := cluster.APIServer().ExtraArgs()

	arguments := map[string]string{
		"admission-control-config-file":      dir.path("admission-control-config.yaml"),
		"advertise-address":                  advertiseAddress,
		"allow-privileged":                   "true",
		"anonymous-auth":                     "false",
		"api-audiences":                      endpoint,
		"audit-log-maxage":                   "30",
		"audit-log-maxbackup":                "10",
		"audit-log-maxsize":                  "100",
		"audit-log-path":                     service.options.Log("audit/kube-apiserver"),
		"audit-policy-file":                  dir.path("auditpolicy.yaml"),
		"bind-address":                       localhost,
		"client-ca-file":                     dir.path("client-ca.crt"),
		"enable-admission-plugins":           "NodeRestriction",
		"enable-bootstrap-token-auth":        "true",
		"encryption-provider-config":         dir.path("encryptionconfig.yaml"),
		"endpoint-reconciler-type":           "none",
		"etcd-cafile":                        dir.path("etcd-client-ca.crt"),
		"etcd-certfile":                      dir.path("etcd-client.crt"),
		"etcd-keyfile":                       dir.path("etcd-client.key"),
		"etcd-servers":                       "https://" + net.JoinHostPort(localhost, strconv.Itoa(constants.EtcdClientPort)),
		"kubelet-client-certificate":         dir.path("apiserver-kubelet-client.crt"),
		"kubelet-client-key":                 dir.path("apiserver-kubelet-client.key"),
		"kubelet-preferred-address-types":    "InternalIP,ExternalIP,Hostname",
		"profiling":                          "false",
		"proxy-client-cert-file":             dir.path("front-proxy-client.crt"),
		"proxy-client-key-file":              dir.path("front-proxy-client.key"),
		"requestheader-allowed-names":        "front-proxy-client",
		"requestheader-client-ca-file":       dir.path("aggregator-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        strconv.Itoa(service.port()),
		"service-account-issuer":             endpoint,
		"service-account-key-file":           dir.path("service-account.pub"),
		"service-account-signing-key-file":   dir.path("service-account.key"),
		"service-cluster-ip-range":           strings.Join(cluster.Network().ServiceCIDRs(), ","),
		"tls-cert-file":                      dir.path("apiserver.crt"),
		"tls-cipher-suites":                  ciphers,
		"tls-min-version":                    "VersionTLS12",
		"tls-private-key-file":               dir.path("apiserver.key"),
	}

	if namesAuthorization(extra) {
		arguments["authorization-mode"] = "Node,RBAC"
	} else {
		arguments["authorization-config"] = dir.path("authorization-config.yaml")
	}

	return service.merge(arguments, extra, rules{
		added: []string{"enable-admission-plugins", "feature-gates", "authorization-mode", "tls-cipher-suites"},
		denied: []string{
			"etcd-servers", "client-ca-file", "requestheader-client-ca-file", "proxy-client-cert-file", "proxy-client-key-file",
			"encryption-provider-config", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "kubelet-client-certificate",
			"kubelet-client-key", "service-account-key-file", "service-account-signing-key-file", "tls-cert-file",
			"tls-private-key-file", "authorization-config",
		},
	})
}

func namesAuthorization(extra map[string]string) bool {
	for name := range extra {
		if name == "authorization-mode" || strings.HasPrefix(name, "authorization-webhook-") {
			return true
		}
	}

	return false
}

// election is short, so that the lease of a machine that lost its power does not hold up the next one.
func election(arguments map[string]string) map[string]string {
	arguments["leader-elect"] = "true"
	arguments["leader-elect-lease-duration"] = "4s"
	arguments["leader-elect-renew-deadline"] = "3s"
	arguments["leader-elect-retry-period"] = "500ms"

	return arguments
}

func (service *Service) controllerManagerArguments() ([]string, error) {
	cluster, dir := service.options.Config.Cluster(), service.files

	arguments := election(map[string]string{
		"allocate-node-cidrs":              "true",
		"authentication-kubeconfig":        dir.path("controller-manager.kubeconfig"),
		"authorization-kubeconfig":         dir.path("controller-manager.kubeconfig"),
		"bind-address":                     service.options.Cable.Localhost(),
		"cluster-cidr":                     strings.Join(cluster.Network().PodCIDRs(), ","),
		"cluster-signing-cert-file":        dir.path("ca.crt"),
		"cluster-signing-key-file":         dir.path("ca.key"),
		"configure-cloud-routes":           "false",
		"controllers":                      "*,tokencleaner",
		"kube-api-burst":                   strconv.Itoa(clientBurst),
		"kube-api-qps":                     strconv.Itoa(clientQPS),
		"kubeconfig":                       dir.path("controller-manager.kubeconfig"),
		"profiling":                        "false",
		"root-ca-file":                     dir.path("ca.crt"),
		"service-account-private-key-file": dir.path("service-account.key"),
		"service-cluster-ip-range":         strings.Join(cluster.Network().ServiceCIDRs(), ","),
		"tls-min-version":                  "VersionTLS13",
		"use-service-account-credentials":  "true",
	})

	return service.merge(arguments, cluster.ControllerManager().ExtraArgs(), rules{
		added: []string{"controllers"},
		denied: []string{
			"cluster-signing-cert-file", "cluster-signing-key-file", "authentication-kubeconfig", "authorization-kubeconfig",
			"root-ca-file", "service-account-private-key-file",
		},
	})
}

func (service *Service) schedulerArguments() ([]string, error) {
	dir := service.files

	arguments := election(map[string]string{
		"authentication-kubeconfig":              dir.path("scheduler.kubeconfig"),
		"authentication-tolerate-lookup-failure": "false",
		"authorization-kubeconfig":               dir.path("scheduler.kubeconfig"),
		"bind-address":                           service.options.Cable.Localhost(),
		"config":                                 dir.path("scheduler-config.yaml"),
		// not Talos' own: of 1.34.0 a pod may miss the event that it waits for, and would be looked at again after five minutes
		"feature-gates":                          "SchedulerAsyncAPICalls=false",
		"pod-max-in-unschedulable-pods-duration": "20s",
		"profiling":                              "false",
		"tls-min-version":                        "VersionTLS13",
	})

	return service.merge(arguments, service.options.Config.Cluster().Scheduler().ExtraArgs(), rules{
		denied: []string{"kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig", "config"},
	})
}

// rules say how extra arguments of the machine config meet those that Talos sets; without a rule they replace them.
type rules struct {
	added  []string // a list, to which they are added
	denied []string // not to be touched
}

func (service *Service) merge(arguments, extra map[string]string, how rules) ([]string, error) {
	for name, value := range extra {
		present, set := arguments[name]

		switch {
		case slices.Contains(how.denied, name):
			return nil, fmt.Errorf("extra arg %q is not allowed to be overridden", name)
		case set && slices.Contains(how.added, name):
			arguments[name] = present + "," + value
		case strings.HasSuffix(name, "bind-address"):
			arguments[name] = service.options.Cable.OnMachine(value)
		default:
			arguments[name] = value
		}
	}

	list := make([]string, 0, len(arguments))
	for name, value := range arguments {
		list = append(list, "--"+name+"="+value)
	}

	slices.Sort(list)

	return list, nil
}
