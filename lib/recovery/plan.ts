import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import { restoreListText } from '../gitops/restore-list.ts'
import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Migration } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import { type Decision, decide, restoreListPath } from './decision.ts'
import { objectsOfCluster } from './objects.ts'
import { lostInAnyCase, showLosses, showRestored } from './show.ts'

/** What the plan has announced to be lost, for whoever wants to compare. */
export function lossesPath({ outputDir }: Pick<Settings, 'outputDir'>): string {
  return join(outputDir, 'losses.txt')
}

/**
 * The plan of a rebuild from Git, from the running cluster: what is restored, what will be lost. Writes the list for the operator to
 * edit, unless there is one, and what is announced. Neither holds a value.
 * @throws OperatorError when there is a list, and it cannot be read or names what the cluster does not have
 */
export async function planFromGit(migration: Migration, api: KubernetesApi): Promise<void> {
  const { settings, console, dryRun } = migration
  const decision = await decide(settings, objectsOfCluster(api))
  showRestored(migration, decision)
  showLosses(migration, decision)
  const list = restoreListPath(settings)
  if (decision.listed) console.info(`As ${list} says; it was left as it is. Remove it to have it worked out anew.`)
  if (dryRun) return console.change(`Write ${list} and ${lossesPath(settings)}`, 'would be made')
  await mkdir(settings.outputDir, { recursive: true, mode: 0o700 })
  await writeFileAtomic(lossesPath(settings), lossesText(decision), { mode: 0o600 })
  if (decision.listed) return
  await writeFileAtomic(list, restoreListText(decision.rebuild), { mode: 0o600 })
  console.info(
    `The list was written to ${list}. Edit it, and plan again: provision restores what it names, and nothing else.`,
  )
}

function lossesText({ losses, rebuild }: Decision): string {
  return [
    `# What RECOVERY=gitops loses, as migrate:plan has announced it. Worked out from ${rebuild.origin}.`,
    ...lostInAnyCase.map((line) => `# In any case: ${line}.`),
    ...losses.map(({ called, what, why }) => `${called}  # ${what}: ${why}`),
    '',
  ].join('\n')
}
