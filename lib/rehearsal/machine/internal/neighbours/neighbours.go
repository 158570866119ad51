// Package neighbours simulates Talos' discovery service: a directory in which each machine keeps a file about itself.
package neighbours

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"talos-migrate.invalid/machine/internal/facts"
)

const (
	interval = 500 * time.Millisecond
	// a machine that has not been seen for this long is taken to be off
	aliveFor = 5 * time.Second
	// discovery forgets a machine that was not reset after this long, as Talos' does
	keptFor = 30 * time.Minute
)

// Affiliate is what a machine tells of itself.
type Affiliate struct {
	UUID      string    `json:"uuid"`
	NodeID    string    `json:"nodeId"`
	ClusterID string    `json:"clusterId"`
	Hostname  string    `json:"hostname"`
	Address   string    `json:"address"`
	Type      string    `json:"type"`
	LastSeen  time.Time `json:"lastSeen"`
}

// Discovery keeps this machine's file and reads those of the others.
type Discovery struct {
	folder  string
	self    Affiliate
	online  func() bool
	changed func()

	mu    sync.Mutex
	known []facts.Neighbour
	left  bool
}

// New returns a discovery that has read the directory once. It is not kept up until Run; online tells whether the
// machine's cable is plugged, and changed is called when a neighbour comes, goes or alters.
func New(folder string, self Affiliate, online func() bool, changed func()) *Discovery {
	discovery := &Discovery{folder: folder, self: self, online: online, changed: changed}
	discovery.read()

	return discovery
}

// Run keeps the file up to date until ctx ends. The file stays, as in Talos a machine that is shut down stays known.
func (discovery *Discovery) Run(ctx context.Context) {
	for {
		if discovery.online() {
			discovery.announce()

			if discovery.read() {
				discovery.changed()
			}
		}

		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

// Leave removes the file: the machine is being reset.
func (discovery *Discovery) Leave() {
	discovery.mu.Lock()
	defer discovery.mu.Unlock()

	discovery.left = true

	_ = os.Remove(discovery.file(discovery.self.UUID))
}

// List returns the neighbours of the same cluster.
func (discovery *Discovery) List() []facts.Neighbour {
	discovery.mu.Lock()
	defer discovery.mu.Unlock()

	return discovery.known
}

func (discovery *Discovery) file(uuid string) string {
	return filepath.Join(discovery.folder, uuid+".json")
}

func (discovery *Discovery) announce() {
	discovery.mu.Lock()
	defer discovery.mu.Unlock()

	if discovery.left {
		return
	}

	self := discovery.self
	self.LastSeen = time.Now().UTC()

	content, err := json.Marshal(self)
	if err == nil {
		err = os.MkdirAll(discovery.folder, 0o700)
	}

	partial := discovery.file(self.UUID) + ".partial"

	if err == nil {
		err = os.WriteFile(partial, content, 0o600)
	}

	if err == nil {
		err = os.Rename(partial, discovery.file(self.UUID))
	}

	if err != nil {
		log.Printf("discovery: %v", err)
	}
}

// read tells whether anything but the time of the last sign of life changed.
func (discovery *Discovery) read() bool {
	entries, err := os.ReadDir(discovery.folder)
	if err != nil {
		return false
	}

	var found []facts.Neighbour

	for _, entry := range entries {
		if uuid, isFile := strings.CutSuffix(entry.Name(), ".json"); isFile && uuid != discovery.self.UUID {
			if neighbour, ok := discovery.readOne(uuid); ok {
				found = append(found, neighbour)
			}
		}
	}

	discovery.mu.Lock()
	defer discovery.mu.Unlock()

	same := slices.EqualFunc(found, discovery.known, func(a, b facts.Neighbour) bool {
		a.LastSeen = b.LastSeen

		return a == b
	})
	discovery.known = found

	return !same
}

func (discovery *Discovery) readOne(uuid string) (facts.Neighbour, bool) {
	content, err := os.ReadFile(discovery.file(uuid))
	if err != nil {
		return facts.Neighbour{}, false
	}

	var affiliate Affiliate

	if err = json.Unmarshal(content, &affiliate); err != nil || affiliate.ClusterID != discovery.self.ClusterID {
		return facts.Neighbour{}, false
	}

	age := time.Since(affiliate.LastSeen)

	return facts.Neighbour{
		UUID: affiliate.UUID, NodeID: affiliate.NodeID, Hostname: affiliate.Hostname, Address: affiliate.Address,
		Type: affiliate.Type, Alive: age < aliveFor, LastSeen: affiliate.LastSeen,
	}, age < keptFor
}
