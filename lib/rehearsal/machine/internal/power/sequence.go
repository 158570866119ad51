package power

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/protobuf/proto"
)

const (
	drainLimit    = time.Second
	takeoverLimit = time.Minute
)

// phase is a step of a sequence; Talos runs the tasks of one phase side by side, and so many here have one only.
type phase struct {
	name string
	task string
	run  func(context.Context) error
	// lenient phases log their failure and go on.
	lenient bool
}

// sequenceLock lets one sequence run at a time.
type sequenceLock struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// take returns nil when another sequence runs. With takeover that one is ended first.
func (lock *sequenceLock) take(parent context.Context, takeover bool) (context.Context, func()) {
	lock.mu.Lock()
	defer lock.mu.Unlock()

	if lock.cancel != nil {
		if !takeover {
			return nil, nil
		}

		lock.cancel()

		select {
		case <-lock.done:
		case <-time.After(takeoverLimit):
			return nil, nil
		}
	}

	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	lock.cancel, lock.done = cancel, done

	return ctx, func() {
		cancel()
		close(done)

		// a takeover waits on done with the lock held
		if lock.mu.TryLock() {
			lock.cancel = nil
			lock.mu.Unlock()
		}
	}
}

// sequence runs phases in the background and publishes their events under the actor ID.
type sequence struct {
	boot   *boot
	name   string
	actor  string
	stage  string
	phases []phase
}

func (s sequence) begin(takeover bool) {
	ctx, release := s.boot.sequence.take(s.boot.ctx, takeover)
	if ctx == nil {
		s.boot.bus.Publish("", &machine.SequenceEvent{
			Sequence: s.name, Action: machine.SequenceEvent_NOOP,
			Error: &common.Error{Code: common.Code_LOCKED, Message: "sequence not started: locked"},
		})

		return
	}

	before := s.boot.getStage()
	s.boot.setStage(s.stage)

	go func() {
		defer release()

		err := s.run(ctx)
		if err == nil {
			return
		}

		log.Printf("%s sequence: failed: %v", s.name, err)

		code := common.Code_FATAL
		if errors.Is(err, context.Canceled) {
			code = common.Code_CANCELED
		}

		s.publish(&machine.SequenceEvent{
			Sequence: s.name, Action: machine.SequenceEvent_NOOP,
			Error: &common.Error{Code: code, Message: "sequence failed: " + err.Error()},
		})
		s.boot.setStage(before)
	}()
}

func (s sequence) publish(event proto.Message) { s.boot.bus.Publish(s.actor, event) }

func (s sequence) run(ctx context.Context) error {
	s.publish(&machine.SequenceEvent{Sequence: s.name, Action: machine.SequenceEvent_START})
	defer s.publish(&machine.SequenceEvent{Sequence: s.name, Action: machine.SequenceEvent_STOP})

	for number, one := range s.phases {
		log.Printf("phase %s (%d/%d)", one.name, number+1, len(s.phases))
		s.publish(&machine.PhaseEvent{Phase: one.name, Action: machine.PhaseEvent_START})
		s.publish(&machine.TaskEvent{Task: one.task, Action: machine.TaskEvent_START})

		err := one.run(ctx)
		if err != nil && one.lenient {
			log.Printf("task %s failed: %v", one.task, err)

			err = nil
		}

		s.publish(&machine.TaskEvent{Task: one.task, Action: machine.TaskEvent_STOP})
		s.publish(&machine.PhaseEvent{Phase: one.name, Action: machine.PhaseEvent_STOP})

		if err != nil {
			return fmt.Errorf("error running phase %d in %s sequence: task %s: failed, %w", number+1, s.name, one.task, err)
		}

		if ctx.Err() != nil {
			return ctx.Err()
		}
	}

	return nil
}
