import { fullName, type Pod } from './kinds.ts'
import { isFinished } from './pods.ts'
import { claimsOfTemplate } from './workloads.ts'

/** How many pods are told of by name while a drain waits. */
const shownPods = 3
const columns = 76

/**
 * Who is still there and why, in a handful of lines of a terminal's width: those first that will not go by themselves.
 * A pod that ends in its grace is told by when that ends, so that a log has one line for it and not one a second.
 * @param refusals by UID, what the API said when the pod was asked to go
 */
export function tellWhoIsLeft(
  pods: readonly Pod[],
  of: number,
  refusals: ReadonlyMap<string, string>,
  now: Date,
): string {
  const told = pods
    .map((pod) => ({ name: fullName(pod), ...whyStillThere(pod, refusals, now) }))
    .sort((a, b) => b.weight - a.weight || a.name.localeCompare(b.name))
  const lines = told.slice(0, shownPods).flatMap(({ name, why }) => inColumns(name, why))
  const rest = told.slice(shownPods)
  const ending = rest.filter(({ weight }) => weight === 0).length
  const more = rest.length === 0 ? [] : [`and ${rest.length} more, ${ending} of them ending in their grace`]
  return [`${pods.length} of ${of} still there`, ...[...lines, ...more].map((line) => `   ${line}`)].join('\n')
}

function whyStillThere(pod: Pod, refusals: ReadonlyMap<string, string>, now: Date): { why: string; weight: number } {
  const { deletionTimestamp, finalizers = [] } = pod.metadata
  if (deletionTimestamp === undefined) {
    const why =
      refusals.get(pod.metadata.uid ?? '') ?? (isFinished(pod) ? 'finished, not deleted yet' : 'not asked yet')
    return { why, weight: 3 }
  }
  const ends = clockTime(deletionTimestamp)
  if (Date.parse(deletionTimestamp) > now.getTime()) return { why: `its grace ends at ${ends}`, weight: 0 }
  const containers = pod.status.containerStatuses ?? []
  const running = containers.filter(({ state }) => state?.running !== undefined).map(({ name }) => name)
  if (finalizers.length > 0) return { why: `held by finalizer ${finalizers.join(', ')}`, weight: 2 }
  if (running.length > 0) return { why: `overdue since ${ends}: ${running.join(', ')} still runs`, weight: 1 }
  const claims = claimsOfTemplate(pod.spec)
  const volumes = claims.length > 0 ? `, but ${claims.join(', ')} is mounted` : ''
  return { why: `overdue since ${ends}: it has ended${volumes}`, weight: 1 }
}

/** 15:04:10, by the operator's own clock. */
function clockTime(timestamp: string): string {
  return new Date(timestamp).toTimeString().slice(0, 8)
}

/** One line if it fits; else the reason below the name, for half of either would be of no use. */
function inColumns(name: string, why: string): string[] {
  const line = `${name}: ${why}`
  return line.length <= columns ? [line] : [`${name}:`, `  ${why}`].map(cut)
}

function cut(line: string): string {
  return line.length > columns ? `${line.slice(0, columns - 1)}…` : line
}
