package power

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"

	"talos-migrate.invalid/machine/internal/machinefile"
)

const nodeIDBytes = 32

// disk is the machine's system disk, a folder with one folder per partition.
type disk struct{ file machinefile.File }

func (d disk) config() string   { return filepath.Join(d.file.State(), "config.yaml") }
func (d disk) etcd() string     { return filepath.Join(d.file.Ephemeral(), "etcd") }
func (d disk) snapshot() string { return filepath.Join(d.file.Ephemeral(), "etcd.snapshot") }

// memory holds what Talos only keeps in memory, such as rendered secrets.
func (d disk) memory() string { return filepath.Join(d.file.Disk, "run") }

func (d disk) log(name string) string {
	return filepath.Join(d.file.Ephemeral(), "log", name+".log")
}

// loadConfig returns nil when the machine has never been given a config.
func (d disk) loadConfig() (config.Provider, error) {
	content, err := os.ReadFile(d.config())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	return configloader.NewFromBytes(content)
}

func (d disk) storeConfig(provider config.Provider) error {
	content, err := provider.Bytes()
	if err != nil {
		return err
	}

	if err = os.MkdirAll(d.file.State(), 0o700); err != nil {
		return err
	}

	partial := d.config() + ".partial"

	if err = os.WriteFile(partial, content, 0o600); err != nil {
		return err
	}

	return os.Rename(partial, d.config())
}

// nodeID is the machine's identity in its cluster; it lives as long as the STATE partition.
func (d disk) nodeID() (string, error) {
	path := filepath.Join(d.file.State(), "node-identity.yaml")

	content, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(strings.TrimPrefix(string(content), "nodeId:")), nil
	}

	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}

	random := make([]byte, nodeIDBytes)
	rand.Read(random) //nolint:errcheck

	id := base64.RawURLEncoding.EncodeToString(random)

	return id, os.WriteFile(path, []byte("nodeId: "+id+"\n"), 0o600)
}

// generatedHostname is stable for a piece of hardware, so that another one has another name.
func (d disk) generatedHostname() string {
	sum := sha256.Sum256([]byte(d.file.UUID))
	letters := hex.EncodeToString(sum[:3])

	return "talos-" + letters[:3] + "-" + letters[3:]
}

// wipe empties partitions; without labels the whole disk.
func (d disk) wipe(labels ...string) error {
	if len(labels) == 0 {
		entries, err := os.ReadDir(d.file.Disk)
		if err != nil {
			return err
		}

		for _, entry := range entries {
			labels = append(labels, entry.Name())
		}
	}

	var problems []error

	for _, label := range labels {
		problems = append(problems, os.RemoveAll(filepath.Join(d.file.Disk, label)))
	}

	return errors.Join(problems...)
}

// clear forgets what was only in memory.
func (d disk) clear() error { return os.RemoveAll(d.memory()) }

// mounts are the paths of the machine that lie on its disk, the longest first.
func (d disk) mounts() [][2]string {
	ephemeral := d.file.Ephemeral()

	return [][2]string{
		{"/opt/local-path-provisioner", filepath.Join(ephemeral, "local-path-provisioner")},
		{"/var/mnt/local-path-provisioner", filepath.Join(ephemeral, "local-path-provisioner")},
		{"/var/lib/etcd", d.etcd()},
		{"/system/state", d.file.State()},
		{"/var", ephemeral},
	}
}

// Path translates a path of the machine; only those on its disk exist.
func (m *Machine) Path(onMachine string) (string, bool) {
	clean := filepath.Clean("/" + onMachine)

	for _, mount := range m.disk.mounts() {
		if clean == mount[0] || strings.HasPrefix(clean, mount[0]+"/") {
			return filepath.Join(mount[1], strings.TrimPrefix(clean, mount[0])), true
		}
	}

	return "", false
}

// SnapshotPath is where an uploaded snapshot is kept.
func (m *Machine) SnapshotPath() string { return m.disk.snapshot() }
