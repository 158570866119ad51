// Package events is the stream behind the Events call of the machine API.
package events

import (
	"context"
	"sort"
	"sync"
	"time"

	"github.com/rs/xid"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const history = 1000

// Event is one event; its ID sorts by time.
type Event struct {
	ID      xid.ID
	ActorID string
	Payload proto.Message
}

// Proto renders the event as the machine API sends it. An event without payload is the greeting of a stream.
func (event Event) Proto() (*machine.Event, error) {
	data := &anypb.Any{}

	if event.Payload != nil {
		value, err := proto.Marshal(event.Payload)
		if err != nil {
			return nil, err
		}

		data.TypeUrl = "talos/runtime/" + string(event.Payload.ProtoReflect().Descriptor().FullName())
		data.Value = value
	}

	return &machine.Event{Data: data, Id: event.ID.String(), ActorId: event.ActorID}, nil
}

// Bus keeps the last events of one boot and hands them to watchers.
type Bus struct {
	mu       sync.Mutex
	events   []Event
	dropped  int
	changed  chan struct{}
	watchers map[*int]struct{}
}

// NewBus returns an empty bus.
func NewBus() *Bus {
	return &Bus{changed: make(chan struct{}), watchers: map[*int]struct{}{}}
}

// Publish appends an event; actorID may be empty.
func (bus *Bus) Publish(actorID string, payload proto.Message) {
	bus.mu.Lock()
	defer bus.mu.Unlock()

	bus.events = append(bus.events, Event{ID: xid.New(), ActorID: actorID, Payload: payload})

	if len(bus.events) > 2*history {
		bus.dropped += history
		bus.events = append([]Event(nil), bus.events[history:]...)
	}

	bus.wake()
}

func (bus *Bus) wake() {
	close(bus.changed)
	bus.changed = make(chan struct{})
}

// Tail says which past events a watcher wants besides the coming ones. At most one field is set.
type Tail struct {
	Count int // negative: all there are
	After xid.ID
	Since time.Duration
}

func (bus *Bus) start(tail Tail) int {
	end := bus.dropped + len(bus.events)

	switch {
	case tail.Count < 0:
		return bus.dropped
	case tail.Count > 0:
		return max(bus.dropped, end-tail.Count)
	case !tail.After.IsNil():
		return bus.dropped + sort.Search(len(bus.events), func(i int) bool { return bus.events[i].ID.Compare(tail.After) > 0 })
	case tail.Since != 0:
		oldest := time.Now().Add(-tail.Since)

		return bus.dropped + sort.Search(len(bus.events), func(i int) bool { return bus.events[i].ID.Time().After(oldest) })
	default:
		return end
	}
}

// Watch calls send for each event until ctx ends (nil) or send fails (its error).
func (bus *Bus) Watch(ctx context.Context, tail Tail, send func(Event) error) error {
	bus.mu.Lock()
	position := bus.start(tail)
	bus.watchers[&position] = struct{}{}
	bus.mu.Unlock()

	defer func() {
		bus.mu.Lock()
		delete(bus.watchers, &position)
		bus.wake()
		bus.mu.Unlock()
	}()

	for {
		bus.mu.Lock()
		changed := bus.changed
		from := max(position-bus.dropped, 0)
		batch := append([]Event(nil), bus.events[from:]...)
		end := bus.dropped + len(bus.events)
		bus.mu.Unlock()

		for _, event := range batch {
			if err := send(event); err != nil {
				return err
			}
		}

		bus.mu.Lock()
		advanced := position != end
		position = end

		if advanced {
			bus.wake()
		}
		bus.mu.Unlock()

		if advanced {
			continue
		}

		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Drain waits until every watcher has been sent all that was published, at most for the given time.
func (bus *Bus) Drain(limit time.Duration) {
	deadline := time.After(limit)

	for {
		bus.mu.Lock()
		changed := bus.changed
		behind := false

		for position := range bus.watchers {
			behind = behind || *position < bus.dropped+len(bus.events)
		}
		bus.mu.Unlock()

		if !behind {
			return
		}

		select {
		case <-changed:
		case <-deadline:
			return
		}
	}
}
