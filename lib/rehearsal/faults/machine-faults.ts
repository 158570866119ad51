import type { PracticeMachine } from '../practice-machine.ts'
import { standingChanges } from './evening.ts'
import type { Fault } from './fault.ts'
import type { Place } from './places.ts'
import { machineOf, type Scene, signalProgram } from './scene.ts'

/** A machine whose etcd runs is there: not while the hardware is swapped. */
const isRunning = ({ runs, phase }: Place) => runs !== 'neither' && phase !== 'shutdown'
const isOn = ({ phase, step }: Place) => phase !== 'shutdown' || !step.startsWith('Prove')

/** Which machine a fault has struck, to be put right again. */
const struck = new WeakMap<Scene, PracticeMachine>()

function strikeMachine(scene: Scene): PracticeMachine | undefined {
  const machine = machineOf(scene)
  if (machine) struck.set(scene, machine)
  return machine
}

/** What happens to a control plane machine, its programs and its network. */
export const machineFaults: readonly Fault[] = [
  {
    name: 'kill -9 of etcd',
    strikes: isRunning,
    strike: async (scene) => void signalProgram(machineOf(scene), 'etcd', 'SIGKILL'),
  },
  {
    name: 'kill -9 of kube-apiserver',
    strikes: isRunning,
    strike: async (scene) => void signalProgram(machineOf(scene), 'kube-apiserver', 'SIGKILL'),
  },
  {
    name: 'power pulled',
    strikes: isOn,
    strike: async (scene) => strikeMachine(scene)?.cutPower(),
    takeAway: async (scene) => {
      const machine = struck.get(scene)
      if (machine && !machine.running && scene.hands.wantsOn(machine) && !isToBeOff(scene, machine)) machine.powerOn()
    },
  },
  {
    name: 'network cable pulled',
    strikes: isOn,
    strike: async (scene) => strikeMachine(scene)?.unplug(),
    takeAway: plugAgain,
  },
  {
    name: 'slow network',
    strikes: isOn,
    strike: async (scene) => strikeMachine(scene)?.goBad(),
    takeAway: plugAgain,
  },
]

async function plugAgain(scene: Scene): Promise<void> {
  const machine = struck.get(scene)
  // One that the operator has unplugged meanwhile stays so.
  if (machine?.running && scene.hands.wantsOn(machine)) await machine.plug().catch(ifGone(machine))
}

const ifGone = (machine: PracticeMachine) => (error: unknown) => {
  if (machine.running) throw error
}

/** The run has told the old machine to shut down: nobody gives it its power back. */
function isToBeOff({ cluster }: Scene, machine: PracticeMachine): boolean {
  return machine === cluster.old && standingChanges(cluster).some(({ undo }) => undo?.kind === 'power')
}
