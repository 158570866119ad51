import type { KubernetesApi } from '../kubernetes/api.ts'
import { isRebuilt } from '../kubernetes/rebuilt.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { isConverging, type NamedFinding } from './comparison.ts'
import type { Look, Seen } from './look.ts'

/**
 * Whether a drain of this run is not taken back. What it quieted does not come back by waiting, but by resume. A cluster that was
 * rebuilt from Git was never drained.
 */
export async function isQuieted(migration: Migration, api: KubernetesApi): Promise<boolean> {
  if (await isRebuilt(migration, api)) return false
  return migration.journal.changes({ phase: 'drain' }).some(({ undo, state }) => undo !== null && state !== 'undone')
}

/**
 * Looks until nothing is newly broken, or nothing that is broken can come right by itself, or CONVERGE_TIMEOUT is
 * over. While a drain of this run is not taken back, it looks once.
 * @returns what was seen last, however it ended
 */
export async function converge(migration: Migration, api: KubernetesApi, look: Look): Promise<Seen> {
  let last: Seen | undefined
  const quieted = await isQuieted(migration, api)
  const condition = {
    name: 'nothing is newly broken',
    timeoutSeconds: migration.settings.convergeTimeout,
    everyMs: 2000,
    probe: async () => {
      last = await look()
      const broken = last.newlyBroken
      if (broken.length === 0 || quieted || !isConverging(last)) return { met: true as const, value: last }
      return { met: false as const, saw: `${broken.length} newly broken: ${firstOf(broken)}` }
    },
  }
  try {
    return await migration.wait(condition)
  } catch (error) {
    if (error instanceof OperatorError && last !== undefined) return last
    throw error
  }
}

function firstOf(findings: readonly NamedFinding[]): string {
  const shown = findings.slice(0, 3).map(({ subject, evidence }) => `${subject}: ${evidence}`)
  return shown.join('; ')
}
