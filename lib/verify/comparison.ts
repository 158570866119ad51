import type { Baseline } from './baseline.ts'
import type { Finding } from './check.ts'
import { clusterChecks } from './checks/cluster.ts'
import { gitopsChecks } from './checks/gitops.ts'
import type { Comparable, StateCheck } from './checks/state-check.ts'
import { storageChecks } from './checks/storage.ts'

/** Every check of a cluster's state, in the order of the guide's verification section. */
export const stateChecks: readonly StateCheck[] = [...clusterChecks, ...storageChecks, ...gitopsChecks]

/** The checks that compare with before, and which kind of loss shows in them. */
const lossesShowAs: Record<string, 'object' | 'changes' | undefined> = {
  'Nothing is missing': 'object',
  'Replica counts are as before': 'changes',
  'CronJobs are suspended only where they were': 'changes',
  'Flux is suspended only where it was': 'changes',
  'Argo CD syncs by itself where it did': 'changes',
}

export interface NamedFinding extends Finding {
  readonly check: string
}

/** What verify ends with. */
export interface Comparison {
  readonly newlyBroken: readonly NamedFinding[]
  readonly brokenBefore: readonly NamedFinding[]
  /** names of the checks that found nothing new */
  readonly fine: readonly string[]
  /** broken at the time of the backup, and not any more */
  readonly healed: readonly NamedFinding[]
  /** new, but no reason to call the evening failed */
  readonly warnings: readonly NamedFinding[]
  /** new, and said before the evening: a rebuild from Git loses it */
  readonly announced: readonly NamedFinding[]
}

/**
 * Runs the same checks on the state before and on the state now: what both find was broken before, what only the second
 * finds is new.
 * @param others findings of checks that look at the live cluster alone (machines, ingress); they count as new
 * @param announced what was said to be lost: `object Deployment media/plex`, or `changes …` for what was changed in it by hand
 */
export function compare(
  before: Baseline,
  now: Baseline,
  others: readonly NamedFinding[] = [],
  announced: ReadonlySet<string> = new Set(),
): Comparison {
  const then = findingsOf({ now: before, before })
  const found = [...findingsOf({ now, before }), ...others]
  const wasBroken = new Set(then.map(identity))
  const isBroken = new Set(found.map(identity))
  const news = found.filter((finding) => !wasBroken.has(identity(finding)))
  const isAnnounced = ({ check, subject }: NamedFinding) => announced.has(`${lossesShowAs[check]} ${subject}`)
  const fresh = news.filter((finding) => !isAnnounced(finding))
  const newlyBroken = fresh.filter((finding) => finding.severity === 'error')
  const unsettled = new Set(newlyBroken.map((finding) => finding.check))
  return {
    newlyBroken,
    brokenBefore: found.filter((finding) => wasBroken.has(identity(finding))),
    fine: stateChecks.map((check) => check.name).filter((name) => !unsettled.has(name)),
    healed: then.filter((finding) => !isBroken.has(identity(finding))),
    warnings: fresh.filter((finding) => finding.severity === 'warning'),
    announced: news.filter(isAnnounced),
  }
}

/** Findings of all state checks, each with the check's name. */
export function findingsOf(context: Comparable): NamedFinding[] {
  return stateChecks.flatMap((check) => check.run(context).map((finding) => ({ ...finding, check: check.name })))
}

/** Whether waiting may still help: something new is broken that a controller is at work on. */
export function isConverging(comparison: Comparison): boolean {
  return comparison.newlyBroken.some((finding) => finding.converging === true)
}

function identity(finding: NamedFinding): string {
  return `${finding.check}: ${finding.subject}`
}
