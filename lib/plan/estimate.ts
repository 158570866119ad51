import { formatSeconds } from '../migration/clock.ts'

/** How much there is to do, in the units that the time of a phase depends on. */
export interface Sizes {
  /** API objects, all kinds */
  readonly objects: number
  /** workloads that are scaled down and back */
  readonly stateful: number
  /** pods that are evicted */
  readonly pods: number
  /** longest terminationGracePeriodSeconds among them */
  readonly graceSeconds: number
  /** objects of Flux and Argo CD */
  readonly gitops: number
}

export interface PhaseEstimate {
  readonly phase: string
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly basedOn: string
}

// What one unit took in rehearsals, less and more. The machine's own times are those of ordinary server boards.
const perObject = [0.001, 0.01] as const
const perWorkload = [0.05, 1] as const
const perPod = [0.05, 0.5] as const
const perGitOpsObject = [0.05, 5] as const

/** How long each phase of the evening is going to take, from this cluster's sizes: a range, and what it comes from. */
export function estimate(sizes: Sizes): PhaseEstimate[] {
  const range = (phase: string, fromSeconds: number, toSeconds: number, basedOn: string): PhaseEstimate => ({
    phase,
    fromSeconds,
    toSeconds,
    basedOn,
  })
  const { objects, stateful, pods, graceSeconds, gitops } = sizes
  return [
    range('preflight', 2, 30, 'all checks at once; the slowest decides'),
    range(
      'backup',
      3 + objects * perObject[0],
      15 + objects * perObject[1],
      `${objects} API objects, one etcd snapshot`,
    ),
    range(
      'drain',
      10 + stateful * perWorkload[0] + pods * perPod[0],
      20 + stateful * perWorkload[1] + pods * perPod[1] + 2 * graceSeconds,
      `${stateful} workloads, ${pods} pods, up to ${graceSeconds}s of grace, twice 5s of watching GitOps`,
    ),
    range('shutdown', 20, 180, 'final snapshot, Talos stops its services, power off'),
    range('swap of the hardware', 600, 3600, 'you; nothing here can hurry it'),
    range('provision', 120, 900, 'installation to disk, one restart, image pulls, etcd recovery'),
    range(
      'resume',
      20 + stateful * perWorkload[0],
      120 + pods * 5 + gitops * perGitOpsObject[1],
      `${pods} pods start with their images pulled anew, ${gitops} GitOps objects reconcile`,
    ),
    range('verify', 2, 120, 'converges; at once if resume has waited well'),
  ]
}

/** `3m 20s – 12m 0s`. */
export function formatRange({ fromSeconds, toSeconds }: Pick<PhaseEstimate, 'fromSeconds' | 'toSeconds'>): string {
  return `${formatSeconds(fromSeconds)} – ${formatSeconds(toSeconds)}`
}

/** The whole evening, and the part of it in which the API is down (shutdown to provision). */
export function totals(phases: readonly PhaseEstimate[]): { evening: PhaseEstimate; downtime: PhaseEstimate } {
  const sum = (phase: string, of: readonly PhaseEstimate[]): PhaseEstimate => ({
    phase,
    fromSeconds: of.reduce((all, each) => all + each.fromSeconds, 0),
    toSeconds: of.reduce((all, each) => all + each.toSeconds, 0),
    basedOn: '',
  })
  const down = phases.filter(({ phase }) => ['shutdown', 'swap of the hardware', 'provision'].includes(phase))
  return { evening: sum('the whole evening', phases), downtime: sum('API down', down) }
}
