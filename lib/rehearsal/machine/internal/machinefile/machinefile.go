// Package machinefile reads the JSON file that describes one practice machine.
package machinefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Disk is one simulated block device.
type Disk struct {
	Name      string `json:"name"`
	SizeBytes uint64 `json:"sizeBytes"`
	Model     string `json:"model"`
	Serial    string `json:"serial"`
}

// Binaries are the paths of the real programs that the machine runs.
type Binaries struct {
	Etcd                  string `json:"etcd"`
	Etcdutl               string `json:"etcdutl"`
	KubeAPIServer         string `json:"kube-apiserver"`
	KubeControllerManager string `json:"kube-controller-manager"`
	KubeScheduler         string `json:"kube-scheduler"`
	Kwok                  string `json:"kwok"`
}

// File describes one practice machine; the field names are those of the JSON file.
type File struct {
	Name        string   `json:"name"`
	UUID        string   `json:"uuid"`
	MAC         string   `json:"mac"`
	Address     string   `json:"address"`
	Disk        string   `json:"disk"`
	Timeline    string   `json:"timeline"`
	Neighbours  string   `json:"neighbours"`
	BootDelayMs int      `json:"bootDelayMs"`
	Disks       []Disk   `json:"disks"`
	MemoryMB    uint64   `json:"memoryMB"`
	CPUs        int      `json:"cpus"`
	Binaries    Binaries `json:"binaries"`
	Control     string   `json:"control"`
}

// Read parses and checks the file at path. Unknown fields are refused, so that a misspelt one is noticed.
func Read(path string) (File, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}

	var file File

	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()

	if err = decoder.Decode(&file); err != nil {
		return File{}, fmt.Errorf("machine file %s: %w", path, err)
	}

	if err = file.check(); err != nil {
		return File{}, fmt.Errorf("machine file %s: %w", path, err)
	}

	return file, nil
}

func (file File) check() error {
	var problems []error

	if address, err := netip.ParseAddr(file.Address); err != nil {
		problems = append(problems, fmt.Errorf("address: %w", err))
	} else if !address.IsLoopback() {
		problems = append(problems, fmt.Errorf("address: %s is not a loopback address", address))
	}

	for field, value := range map[string]string{"name": file.Name, "uuid": file.UUID, "disk": file.Disk, "neighbours": file.Neighbours} {
		if value == "" {
			problems = append(problems, fmt.Errorf("%s: missing", field))
		}
	}

	return errors.Join(problems...)
}

// IP is the machine's only address.
func (file File) IP() netip.Addr { return netip.MustParseAddr(file.Address) }

// BootDelay is how long the machine takes from power-on until anything answers.
func (file File) BootDelay() time.Duration { return time.Duration(file.BootDelayMs) * time.Millisecond }

// State is the folder of the STATE partition.
func (file File) State() string { return filepath.Join(file.Disk, "STATE") }

// Ephemeral is the folder of the EPHEMERAL partition, which Talos mounts on /var.
func (file File) Ephemeral() string { return filepath.Join(file.Disk, "EPHEMERAL") }
