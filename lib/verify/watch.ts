import { ApiError } from '../kubernetes/api-error.ts'
import { renderTable } from '../migration/console/table.ts'
import { Interrupted, messageOf, RemoteError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { appeared } from './checks/presence.ts'
import type { NamedFinding } from './comparison.ts'
import { figuresOf } from './figures.ts'
import type { Look, Seen } from './look.ts'
import { showComparison } from './show.ts'

const everyMs = 2000

/**
 * Looks again and again until the operator ends it: a live table where there is a terminal, and a line for each change. What was seen last is
 * shown at the end. An API server that is away is seen as such, and waited for.
 * @throws Interrupted
 */
export async function watch(
  { console, clock, signal }: Pick<Migration, 'console' | 'clock' | 'signal'>,
  look: Look,
): Promise<never> {
  let last: Seen | undefined
  let away: string | undefined
  signal.addEventListener('abort', () => last && showComparison(console, last), { once: true })
  console.stepBegin('Watch the cluster')
  while (!signal.aborted) {
    try {
      const seen = await look()
      if (away !== undefined) console.info(`${timeOf(clock.now())}  the cluster answers again`)
      away = undefined
      for (const change of changes(last, seen)) console.info(`${timeOf(clock.now())}  ${change}`)
      console.live(tableOf(seen))
      last = seen
    } catch (error) {
      if (!(error instanceof RemoteError || error instanceof ApiError)) throw error
      if (away === undefined) console.info(`${timeOf(clock.now())}  no answer: ${messageOf(error)}`)
      away = messageOf(error)
      console.live(away)
    }
    await clock.sleep(everyMs, signal)
  }
  throw new Interrupted('watching the cluster')
}

/** What is otherwise than at the look before, a line each; at the first look, how things stand. */
export function changes(last: Seen | undefined, seen: Seen): string[] {
  if (last === undefined) return [summary(seen)]
  const lines = [
    ...newIn(last.newlyBroken, seen.newlyBroken).map((each) => `broken: ${describe(each)}`),
    ...newIn(last.warnings, seen.warnings).map((each) => `warning: ${describe(each)}`),
    ...newIn(allOf(seen), allOf(last)).map(({ check, subject }) => `well again: ${check}: ${subject}`),
    ...appeared(seen.now, last.now).map((key) => `appeared: ${key}`),
    ...appeared(last.now, seen.now).map((key) => `vanished: ${key}`),
  ]
  return lines.length === 0 ? [] : [...lines, summary(seen)]
}

function summary({ newlyBroken, warnings, brokenBefore, fine, now }: Seen): string {
  const figures = figuresOf(now).filter(([what]) => what === 'Workloads ready' || what === 'Pods ready')
  const counts = [
    `${newlyBroken.length} newly broken`,
    `${warnings.length} warnings`,
    `${brokenBefore.length} broken before`,
  ]
  return [...counts, `${fine.length} checks fine`, ...figures.map(([what, share]) => `${what}: ${share}`)].join(' · ')
}

function allOf({ newlyBroken, warnings, brokenBefore }: Seen): NamedFinding[] {
  return [...newlyBroken, ...warnings, ...brokenBefore]
}

function newIn(before: readonly NamedFinding[], now: readonly NamedFinding[]): NamedFinding[] {
  const known = new Set(before.map(({ check, subject }) => `${check}: ${subject}`))
  return now.filter(({ check, subject }) => !known.has(`${check}: ${subject}`))
}

function describe({ check, subject, evidence }: NamedFinding): string {
  return `${check}: ${subject} (${evidence})`
}

/** The summary, and below it what is not well. */
function tableOf(seen: Seen): string {
  const rows = [
    ...rowsOf('newly broken', seen.newlyBroken),
    ...rowsOf('warning', seen.warnings),
    ...rowsOf('broken before', seen.brokenBefore),
  ]
  const table = rows.length === 0 ? [] : renderTable(['', 'check', 'what', 'evidence'], rows)
  return [summary(seen), ...table].join('\n')
}

function rowsOf(how: string, findings: readonly NamedFinding[]): string[][] {
  return findings.map(({ check, subject, evidence }) => [how, check, subject, evidence])
}

/** 20:14:03, as the operator's clock has it. */
function timeOf(now: Date): string {
  return now.toTimeString().slice(0, 8)
}
