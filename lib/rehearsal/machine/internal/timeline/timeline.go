// Package timeline appends what happens to a machine to a file of JSON lines, for whoever measures a rehearsal.
package timeline

import (
	"encoding/json"
	"log"
	"os"
	"sync"
	"time"
)

// Event names a line of the timeline.
type Event string

// The events of a machine's life.
const (
	PowerOn            Event = "power-on"
	MaintenanceReady   Event = "maintenance-ready"
	ConfigApplied      Event = "config-applied"
	Booted             Event = "booted"
	BootstrapRequested Event = "bootstrap-requested"
	RecoverUploaded    Event = "recover-uploaded"
	EtcdReady          Event = "etcd-ready"
	APIServerReady     Event = "apiserver-ready"
	ControlPlaneReady  Event = "controlplane-ready"
	NodeReady          Event = "node-ready"
	ShutdownRequested  Event = "shutdown-requested"
	Stopped            Event = "stopped"
)

// Timeline writes events to one file; safe for concurrent use.
type Timeline struct {
	mu   sync.Mutex
	path string
}

// New returns a timeline that appends to path; with an empty path nothing is written.
func New(path string) *Timeline { return &Timeline{path: path} }

// Mark appends event with the present time. A file that cannot be written is logged and otherwise ignored,
// as a machine does not stop because nobody watches it.
func (timeline *Timeline) Mark(event Event) {
	log.Printf("timeline: %s", event)

	if timeline.path == "" {
		return
	}

	line, err := json.Marshal(map[string]string{"at": time.Now().UTC().Format(time.RFC3339Nano), "event": string(event)})
	if err != nil {
		log.Printf("timeline: %v", err)

		return
	}

	timeline.mu.Lock()
	defer timeline.mu.Unlock()

	file, err := os.OpenFile(timeline.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Printf("timeline: %v", err)

		return
	}

	defer file.Close() //nolint:errcheck

	if _, err = file.Write(append(line, '\n')); err != nil {
		log.Printf("timeline: %v", err)
	}
}
