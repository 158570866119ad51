package resources

import (
	"context"
	"errors"
	"reflect"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

// projection writes what the machine is into the state, and leaves alone what has not changed, so that versions
// and watches tell of real changes only.
type projection struct {
	state state.State
	owned map[string]resource.Resource
}

func (p *projection) update(ctx context.Context, desired []resource.Resource) error {
	var problems []error

	wanted := make(map[string]struct{}, len(desired))

	for _, next := range desired {
		key := keyOf(next)
		wanted[key] = struct{}{}

		current, exists := p.owned[key]

		var err error

		switch {
		case !exists:
			err = p.state.Create(ctx, next)
		case reflect.DeepEqual(current.Spec(), next.Spec()):
			continue
		default:
			next.Metadata().SetVersion(current.Metadata().Version())
			next.Metadata().SetCreated(current.Metadata().Created())
			err = p.state.Update(ctx, next)
		}

		if err == nil {
			p.owned[key] = next
		}

		problems = append(problems, err)
	}

	for key, gone := range p.owned {
		if _, stays := wanted[key]; !stays {
			problems = append(problems, p.state.Destroy(ctx, gone.Metadata()))
			delete(p.owned, key)
		}
	}

	return errors.Join(problems...)
}

func keyOf(one resource.Resource) string {
	return one.Metadata().Namespace() + "/" + one.Metadata().Type() + "/" + one.Metadata().ID()
}

// machineStatus is the last MachineStatus that was written.
func (p *projection) machineStatus() *runtime.MachineStatus {
	status, _ := p.owned[keyOf(runtime.NewMachineStatus())].(*runtime.MachineStatus)

	return status
}
