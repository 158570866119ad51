import type { PracticeCluster } from '../practice-cluster.ts'
import type { PracticeMachine } from '../practice-machine.ts'
import { processesBelow } from '../processes.ts'
import type { Hands } from './hands.ts'
import type { Running, Tool } from './tool.ts'

/** What a fault can lay hands on. */
export interface Scene {
  readonly cluster: PracticeCluster
  readonly hands: Hands
  readonly tool: Tool
  /** The command that it strikes; it may have ended just before. */
  readonly command: Running
  /** Notes that a line of the journal has been torn. */
  tore(): void
}

/** The control plane machine that runs now; the new one, when both do. */
export function machineOf({ cluster }: Pick<Scene, 'cluster'>): PracticeMachine | undefined {
  return cluster.machines.findLast(({ running }) => running)
}

/** Sends a signal to a program that a machine runs, such as etcd. @returns the process ids that got it */
export function signalProgram(machine: PracticeMachine | undefined, program: string, signal: NodeJS.Signals): number[] {
  const all = machine?.pid === undefined ? [] : processesBelow(machine.pid)
  const pids = all.filter(({ command }) => command.split(' ')[0]?.endsWith(`/${program}`)).map(({ pid }) => pid)
  for (const pid of pids) signalIfThere(pid, signal)
  return pids
}

export function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
