import { fullName, type Pod } from './kinds.ts'
import { isFinished } from './pods.ts'
import { claimsOfTemplate } from './workloads.ts'

/** How many reasons are told of while a drain waits, each with a pod by name. */
const shownReasons = 3
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
  const groups = new Map<string, { why: string; weight: number; names: string[] }>()
  for (const pod of pods) {
    const { why, weight } = whyStillThere(pod, refusals, now)
    const group = groups.get(why) ?? { why, weight, names: [] }
    groups.set(why, { ...group, names: [...group.names, fullName(pod)].sort() })
  }
  const told = [...groups.values()].sort((a, b) => b.weight - a.weight || a.why.localeCompare(b.why))
  const lines = told.slice(0, shownReasons).flatMap(({ names, why }) => inColumns(shortened(names), why))
  const more = tellTheRest(told.slice(shownReasons))
  return [`${pods.length} of ${of} still there`, ...[...lines, ...more].map((line) => `   ${line}`)].join('\n')
}

function tellTheRest(rest: readonly { weight: number; names: readonly string[] }[]): string[] {
  const count = rest.reduce((sum, { names }) => sum + names.length, 0)
  const ending = rest.reduce((sum, { names, weight }) => sum + (weight === 0 ? names.length : 0), 0)
  if (count === 0) return []
  return [`and ${count} more${ending === 0 ? '' : `, ${ending} of them ending in their grace`}`]
}

function shortened([first = '', ...others]: readonly string[]): string {
  return others.length === 0 ? first : `${first} and ${others.length} more`
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
