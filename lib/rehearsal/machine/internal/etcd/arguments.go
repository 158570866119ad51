package etcd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"talos-migrate.invalid/machine/internal/process"
)

// prepare makes the data directory what it has to be and returns etcd's command line.
func (service *Service) prepare(ctx context.Context, request *Bootstrap) ([]string, error) {
	if request != nil && request.Recover {
		if err := service.restore(*request); err != nil {
			return nil, err
		}
	}

	// etcd makes the directory itself, with the permissions that it wants
	if err := os.MkdirAll(filepath.Dir(service.options.Data), 0o700); err != nil {
		return nil, err
	}

	arguments := service.baseArguments()
	service.learner = 0

	if !service.HasData() {
		state, initial := "new", service.options.Hostname+"="+peerURL(service.options.Address)

		if request == nil {
			var err error

			state = "existing"

			if initial, service.learner, err = service.join(ctx); err != nil {
				return nil, err
			}
		}

		arguments["initial-cluster-state"] = state
		arguments["initial-cluster"] = initial
		arguments["initial-advertise-peer-urls"] = peerURL(service.options.Address)
	}

	return service.merge(arguments, service.options.Config.Cluster().Etcd().ExtraArgs())
}

func (service *Service) baseArguments() map[string]string {
	localhost, files := service.options.Cable.Localhost(), service.pki

	return map[string]string{
		"name":                           service.options.Hostname,
		"data-dir":                       service.options.Data,
		"listen-peer-urls":               peerURL(localhost),
		"listen-client-urls":             clientURL(localhost),
		"advertise-client-urls":          clientURL(service.options.Address),
		"client-cert-auth":               "true",
		"cert-file":                      files.path("server.crt"),
		"key-file":                       files.path("server.key"),
		"trusted-ca-file":                files.path("ca.crt"),
		"peer-client-cert-auth":          "true",
		"peer-cert-file":                 files.path("peer.crt"),
		"peer-key-file":                  files.path("peer.key"),
		"peer-trusted-ca-file":           files.path("ca.crt"),
		"watch-progress-notify-interval": "5s",
		"feature-gates":                  "InitialCorruptCheck=true,CompactHashCheck=true",
		// practice machines all call from this computer's address, which is in nobody's certificate
		"peer-skip-client-san-verification": "true",
		// a killed process loses nothing that it wrote; only the loss of this computer's power would
		"unsafe-no-fsync": "true",
		"logger":          "zap",
	}
}

// open are the arguments that Talos sets and lets the machine config override.
var open = []string{"initial-cluster", "initial-cluster-state", "initial-advertise-peer-urls", "advertise-client-urls"}

// merge adds the extra arguments of the machine config.
func (service *Service) merge(arguments, extra map[string]string) ([]string, error) {
	for name, value := range extra {
		if _, taken := arguments[name]; taken && !slices.Contains(open, name) {
			return nil, fmt.Errorf("extra arg %q is not allowed to be overridden", name)
		}

		arguments[name] = service.options.Cable.OnMachine(value)
	}

	list := make([]string, 0, len(arguments))
	for name, value := range arguments {
		list = append(list, "--"+name+"="+value)
	}

	slices.Sort(list)

	return list, nil
}

// restore makes the data directory from the uploaded snapshot; its members become this machine alone.
func (service *Service) restore(request Bootstrap) error {
	arguments := []string{
		"snapshot", "restore", service.options.Snapshot,
		"--name=" + service.options.Hostname,
		"--data-dir=" + service.options.Data,
		"--initial-advertise-peer-urls=" + peerURL(service.options.Address),
		"--initial-cluster=" + service.options.Hostname + "=" + peerURL(service.options.Address),
	}

	if request.SkipHashCheck {
		arguments = append(arguments, "--skip-hash-check")
	}

	for _, step := range []struct {
		problem   string
		arguments []string
	}{
		{"error verifying snapshot", []string{"snapshot", "status", service.options.Snapshot}},
		{"error recovering from the snapshot", arguments},
	} {
		if err := service.etcdutl(step.arguments); err != nil {
			return fmt.Errorf("%s: %w", step.problem, err)
		}
	}

	return os.Remove(service.options.Snapshot)
}

func (service *Service) etcdutl(arguments []string) error {
	output := filepath.Join(service.options.PKI, "etcdutl.log")
	os.Remove(output) //nolint:errcheck

	err := process.Run(process.Command{Name: "etcdutl", Path: service.options.Binaries.Etcdutl, Args: arguments, LogFile: output})
	if err == nil {
		return nil
	}

	said, _ := os.ReadFile(output) //nolint:errcheck
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")

	return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
}
