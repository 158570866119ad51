// Package services keeps the states of Talos' services as talosctl service shows them.
package services

import (
	"slices"
	"sync"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/types/known/timestamppb"

	"talos-migrate.invalid/machine/internal/events"
	"talos-migrate.invalid/machine/internal/facts"
)

// The states of a service.
const (
	Initialized = "Initialized"
	Preparing   = "Preparing"
	Waiting     = "Waiting"
	Pre         = "Pre"
	Starting    = "Starting"
	Running     = "Running"
	Stopping    = "Stopping"
	Finished    = "Finished"
	Failed      = "Failed"
	Skipped     = "Skipped"
)

const eventsKept = 10

// Registry holds the services of one boot; safe for concurrent use.
type Registry struct {
	mu       sync.Mutex
	services map[string]facts.Service
	bus      *events.Bus
	changed  func()
}

// NewRegistry returns an empty registry that publishes to bus and calls changed after every change.
func NewRegistry(bus *events.Bus, changed func()) *Registry {
	return &Registry{services: map[string]facts.Service{}, bus: bus, changed: changed}
}

// Set moves a service to a state, with the message that its history shows. The service comes into being by it.
func (registry *Registry) Set(id, state, message string) {
	registry.update(id, func(service *facts.Service) {
		service.State = state
		service.Events = append(slices.Clip(service.Events), facts.ServiceEvent{State: state, Message: message, At: time.Now()})

		if len(service.Events) > eventsKept {
			service.Events = service.Events[len(service.Events)-eventsKept:]
		}

		if state != Running {
			service.Healthy, service.Unknown, service.LastMessage = false, true, ""
		}

		registry.bus.Publish("", serviceEvent(*service, message))
	})
}

// Health records the result of a health check; repeating the same result changes nothing.
func (registry *Registry) Health(id string, healthy bool, message string) {
	registry.mu.Lock()
	before, known := registry.services[id]
	registry.mu.Unlock()

	if known && !before.Unknown && before.Healthy == healthy && before.LastMessage == message {
		return
	}

	registry.update(id, func(service *facts.Service) {
		service.Healthy, service.Unknown, service.LastMessage, service.LastChange = healthy, false, message, time.Now()

		if service.State == Running {
			registry.bus.Publish("", serviceEvent(*service, "Health check "+map[bool]string{true: "successful", false: "failed: " + message}[healthy]))
		}
	})
}

func (registry *Registry) update(id string, change func(*facts.Service)) {
	registry.mu.Lock()

	service, known := registry.services[id]
	if !known {
		service = facts.Service{ID: id, Unknown: true, LastChange: time.Now()}
	}

	change(&service)
	registry.services[id] = service
	registry.mu.Unlock()

	registry.changed()
}

// Get returns one service.
func (registry *Registry) Get(id string) (facts.Service, bool) {
	registry.mu.Lock()
	defer registry.mu.Unlock()

	service, ok := registry.services[id]

	return service, ok
}

// List returns all services, sorted by ID.
func (registry *Registry) List() []facts.Service {
	registry.mu.Lock()
	defer registry.mu.Unlock()

	list := make([]facts.Service, 0, len(registry.services))

	for _, service := range registry.services {
		list = append(list, service)
	}

	slices.SortFunc(list, func(a, b facts.Service) int {
		if a.ID < b.ID {
			return -1
		}

		return 1
	})

	return list
}

func serviceEvent(service facts.Service, message string) *machine.ServiceStateEvent {
	return &machine.ServiceStateEvent{
		Service: service.ID,
		Action:  actions[service.State],
		Message: message,
		Health:  healthProto(service),
	}
}

var actions = map[string]machine.ServiceStateEvent_Action{
	Initialized: machine.ServiceStateEvent_INITIALIZED,
	Preparing:   machine.ServiceStateEvent_PREPARING,
	Waiting:     machine.ServiceStateEvent_WAITING,
	Running:     machine.ServiceStateEvent_RUNNING,
	Stopping:    machine.ServiceStateEvent_STOPPING,
	Finished:    machine.ServiceStateEvent_FINISHED,
	Failed:      machine.ServiceStateEvent_FAILED,
	Skipped:     machine.ServiceStateEvent_SKIPPED,
	Starting:    machine.ServiceStateEvent_STARTING,
}

func healthProto(service facts.Service) *machine.ServiceHealth {
	return &machine.ServiceHealth{
		Unknown:     service.Unknown,
		Healthy:     service.Healthy,
		LastMessage: service.LastMessage,
		LastChange:  timestamppb.New(service.LastChange),
	}
}

// Proto renders a service as the machine API lists it.
func Proto(service facts.Service) *machine.ServiceInfo {
	history := make([]*machine.ServiceEvent, 0, len(service.Events))

	for _, event := range service.Events {
		history = append(history, &machine.ServiceEvent{Msg: event.Message, State: event.State, Ts: timestamppb.New(event.At)})
	}

	return &machine.ServiceInfo{
		Id:     service.ID,
		State:  service.State,
		Events: &machine.ServiceEvents{Events: history},
		Health: healthProto(service),
	}
}
