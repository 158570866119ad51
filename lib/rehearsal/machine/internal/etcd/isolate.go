package etcd

import "talos-migrate.invalid/machine/internal/process"

// Isolate is called when the machine's cable is pulled (true) and plugged (false).
//
// Nobody reaches the member then, but its own connections to the others are not the cable's. A member of several stands
// still meanwhile: without the others it could not do anything anyway. The only member goes on.
func (service *Service) Isolate(isolated bool) {
	service.mu.Lock()
	defer service.mu.Unlock()

	service.isolated = isolated
	service.settle()
}

// settle is to be called with the lock held.
func (service *Service) settle() {
	switch {
	case service.child == nil:
	case service.isolated && service.members > 1:
		service.child.Freeze()
	default:
		service.child.Thaw()
	}
}

func (service *Service) adopt(child *process.Process) {
	service.mu.Lock()
	defer service.mu.Unlock()

	service.child = child
	service.settle()
}
