import * as z from 'zod'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import { isRolledOut, restart } from '../../kubernetes/rollout.ts'
import type { Migration } from '../../migration/migration.ts'
import type { NebulaFacts } from './facts.ts'
import { reasonOf, restarted } from './renew.ts'

const content = z.object({ is: z.string() })

/**
 * Restarts Nebula when this run has changed what it reads, and waits until its pods are back.
 * @param wouldRead what a dry run would have given it to read: of that the journal knows nothing
 */
export async function restartNebula(
  migration: Migration,
  api: KubernetesApi,
  facts: NebulaFacts,
  wouldRead: readonly string[],
): Promise<void> {
  const { journal, settings, console, dryRun } = migration
  const standing = journal
    .changes()
    .filter(({ undo, state }) => undo?.kind.startsWith('nebula-') && state !== 'undone')
    .map(({ undo }) => content.parse(undo).is)
  const reads = dryRun ? [...standing, ...wouldRead] : standing
  if (reads.length === 0) return
  if (facts.workloads.length === 0) {
    return console.warn('What runs Nebula was not found: restart it yourself, so that it reads what was changed.')
  }
  const reason = reasonOf(reads.join('\n'))
  for (const workload of restarted(facts)) {
    await migration.change(`restart ${workload.kind} ${workload.namespace}/${workload.name} (${reason})`, {
      apply: () => restart(api, workload, reason),
    })
    await migration.wait(isRolledOut(api, workload, settings.convergeTimeout))
  }
}
