import { formatBytes } from '../migration/console/bytes.ts'
import { swap } from '../migration/durations.ts'
import type { Sizes } from './sizes.ts'

/** From so many seconds to so many. */
export type Range = readonly [from: number, to: number]

/** What is assumed of a phase that has never run here, and what of the cluster it was reckoned from. */
export interface Assumption {
  readonly seconds: Range
  readonly because: string
}

// What one unit takes, at best and at worst: the best as in rehearsals, the worst on ordinary boards with slow disks and a busy API server.
const perObject: Range = [0.001, 0.01]
const perWorkload: Range = [0.05, 1]
const perPod: Range = [0.05, 0.5]
const perGitOpsObject: Range = [0.05, 5]
/** bytes in a second: a gigabit that is used well, and one small files and a slow NAS share */
const copying: Range = [100e6, 15e6]
/** What is claimed is seldom full; how full, only the machine knows. */
const used: Range = [0.1, 1]
/** A pod that starts where no image is yet. */
const perImagePull = 5
/** Talos' own: installation to disk, one restart, image pulls, etcd. */
const machineStarts: Range = [120, 900]
const machineStops: Range = [20, 180]
/** Somebody unplugs one machine, and carries, connects and boots another. */
const handsSwap: Range = [600, 3600]

/** Every phase that has a time of its own, by its name. */
export const assumptions: Readonly<Record<string, (sizes: Sizes) => Assumption>> = {
  preflight: () => assume([2, 30], 'all checks at once; the slowest decides'),
  backup: ({ objects }) =>
    assume(plus([3, 15], times(objects, perObject)), `${objects} API objects, one etcd snapshot`),
  unpeer: () => assume([10, 300], "Liqo's controllers on both sides"),
  drain: (sizes) =>
    assume(
      plus([10, 20 + 2 * sizes.graceSeconds], quieting(sizes), copyTime(sizes)),
      `${sizes.stateful} workloads, ${sizes.pods} pods, up to ${sizes.graceSeconds}s of grace, twice 5s of watching GitOps${copied(sizes)}`,
    ),
  shutdown: () => assume(machineStops, 'final snapshot, Talos stops its services, power off'),
  [swap]: () => assume(handsSwap, 'you; nothing here can hurry it'),
  provision: () => assume(machineStarts, 'installation to disk, one restart, image pulls, etcd recovery'),
  'rewrite-ip': () => assume([5, 600], 'you read a diff and say yes'),
  resume: (sizes) =>
    assume(
      plus(
        [20, 120],
        [sizes.stateful * perWorkload[0], sizes.pods * perImagePull],
        reconciling(sizes),
        copyTime(sizes),
      ),
      `${sizes.pods} pods start with their images pulled anew, ${sizes.gitops} GitOps objects reconcile${copied(sizes)}`,
    ),
  repeer: () => assume([10, 600], "mesh, and Liqo's controllers on both sides"),
  join: ({ joining }) => assume(times(joining, machineStarts), `${joining} machines, one after the other`),
  verify: () => assume([2, 120], 'converges; at once if resume has waited well'),
}

function assume(seconds: Range, because: string): Assumption {
  return { seconds, because }
}

function quieting({ stateful, pods }: Sizes): Range {
  return plus(times(stateful, perWorkload), times(pods, perPod))
}

function reconciling({ gitops }: Sizes): Range {
  return [0, gitops * perGitOpsObject[1]]
}

function copyTime({ evacuatedBytes }: Sizes): Range {
  return [(evacuatedBytes * used[0]) / copying[0], (evacuatedBytes * used[1]) / copying[1]]
}

function copied({ evacuatedBytes }: Sizes): string {
  return evacuatedBytes === 0 ? '' : `, at most ${formatBytes(evacuatedBytes)} copied`
}

function times(count: number, [from, to]: Range): Range {
  return [count * from, count * to]
}

function plus(...ranges: Range[]): Range {
  return [ranges.reduce((sum, [from]) => sum + from, 0), ranges.reduce((sum, [, to]) => sum + to, 0)]
}
