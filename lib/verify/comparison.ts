import type { Baseline } from './baseline.ts'
import type { CheckResult, Finding } from './check.ts'
import { clusterChecks } from './checks/cluster.ts'
import { connectivityChecks } from './checks/connectivity.ts'
import { gitopsChecks } from './checks/gitops.ts'
import { appeared, presenceChecks } from './checks/presence.ts'
import type { Comparable, StateCheck } from './checks/state-check.ts'
import { storageChecks } from './checks/storage.ts'

/** Every check of a cluster's state, in the order of the guide's verification section. */
export const stateChecks: readonly StateCheck[] = [
  ...presenceChecks,
  ...clusterChecks,
  ...storageChecks,
  ...gitopsChecks,
  ...connectivityChecks,
]

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
  /** objects that are there now and were not */
  readonly appeared: readonly string[]
  /** checks that could not look, and why */
  readonly notChecked: readonly { readonly name: string; readonly why: string }[]
}

/**
 * Runs the same checks on the state before and on the state now: what both find was broken before, what only the second
 * finds is new.
 * @param before null when nobody has noted it: then all that is broken is new
 * @param looked what the checks of the live machines have found, which no baseline holds; it counts as new
 * @param announced what was said to be lost: `object Deployment media/plex`, or `changes …` for what was changed in it by hand
 */
export function compare(
  before: Baseline | null,
  now: Baseline,
  looked: readonly CheckResult[] = [],
  announced: ReadonlySet<string> = new Set(),
): Comparison {
  const then = before === null ? [] : findingsOf({ now: before, before })
  const found = [...findingsOf({ now, before: before ?? now }), ...looked.flatMap(named)]
  const wasBroken = new Set(then.map(identity))
  const isBroken = new Set(found.map(identity))
  const news = found.filter((finding) => !wasBroken.has(identity(finding)))
  const isAnnounced = ({ check, subject }: NamedFinding) => announced.has(`${lossesShowAs[check]} ${subject}`)
  const fresh = news.filter((finding) => !isAnnounced(finding))
  const newlyBroken = fresh.filter((finding) => finding.severity === 'error')
  return {
    newlyBroken,
    brokenBefore: found.filter((finding) => wasBroken.has(identity(finding))),
    fine: namesWithout(newlyBroken, looked),
    healed: then.filter((finding) => !isBroken.has(identity(finding))),
    warnings: fresh.filter((finding) => finding.severity === 'warning'),
    announced: news.filter(isAnnounced),
    appeared: before === null ? [] : appeared(now, before),
    notChecked: looked.flatMap(({ name, notChecked }) => (notChecked === undefined ? [] : [{ name, why: notChecked }])),
  }
}

function named({ name, findings }: CheckResult): NamedFinding[] {
  return findings.map((finding) => ({ ...finding, check: name }))
}

/** Names of the checks that have looked, and found nothing that is newly broken. */
function namesWithout(newlyBroken: readonly NamedFinding[], looked: readonly CheckResult[]): string[] {
  const unsettled = new Set(newlyBroken.map(({ check }) => check))
  const live = looked.filter(({ notChecked }) => notChecked === undefined)
  return [...stateChecks, ...live].map(({ name }) => name).filter((name) => !unsettled.has(name))
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
