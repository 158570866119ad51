import type { Scenario } from '../../migration/phases.ts'

/** A step of the evening at which a fault can strike. */
export interface Place {
  readonly phase: string
  /** what the step's title begins with */
  readonly step: string
  /** whose etcd runs when it begins */
  readonly runs: 'old' | 'new' | 'neither'
}

/** The step's titles by phase, and whose etcd runs meanwhile; in the order of the evening. */
type Part = readonly [phase: string, runs: Place['runs'], ...steps: string[]]

const beforeTheSwap: readonly Part[] = [
  ['backup', 'old', 'Take the baseline', 'Back up etcd', 'Back up every API object', 'Seal the backup'],
  ['drain', 'old', 'Suspend Flux', 'Suspend Argo CD', 'Suspend CronJobs', 'Scale down stateful workloads', 'Cordon'],
  ['drain', 'old', 'Drain', 'See that all stays quiet'],
  ['shutdown', 'old', 'Check what must hold', 'Take the final etcd snapshot', 'Shut the old machine down'],
  ['shutdown', 'neither', 'Prove that it is off'],
]

const newMachine: readonly Part[] = [
  ['provision', 'neither', 'Give the new machine its config', 'Recover etcd from the snapshot'],
  [
    'provision',
    'new',
    'Fetch the kubeconfig',
    'Wait for the Kubernetes API',
    'Wait for the control plane and its Node',
  ],
]

const backToWork: readonly Part[] = [
  ['resume', 'new', 'Uncordon', 'Scale stateful workloads back', 'Resume CronJobs', 'Resume Argo CD', 'Resume Flux'],
  ['resume', 'new', 'Wait for workloads', 'Wait for Flux'],
]

const otherAddress: readonly Part[] = [
  ['rewrite-ip', 'new', 'Rewrite the repository', 'Point talosconfigs', 'Rewrite the hosts file'],
]

const joining = (node: string): Part => [
  ...(['join', 'old', `Look before ${node} joins`, `Give ${node} its config`] as const),
  ...[`Wait until ${node} is a learner`, `Wait until ${node} is a voter`, `Wait for the API server of ${node}`],
  ...[`Wait for Node ${node}`, `Add ${node} to talosconfig and kubeconfig`],
]

const parts: Record<Scenario, readonly Part[]> = {
  A: [...beforeTheSwap, ...newMachine, ...backToWork],
  B: [...beforeTheSwap, ...newMachine, ...otherAddress, ...backToWork],
  C: [['backup', 'old', 'Back up etcd', 'Seal the backup'], joining('talos01'), joining('talos02')],
}

/** The places of a scenario's evening, in its order. */
export function placesOf(scenario: Scenario): Place[] {
  return parts[scenario].flatMap(([phase, runs, ...steps]) => steps.map((step) => ({ phase, step, runs })))
}
