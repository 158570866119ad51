import { basename, join } from 'node:path'
import { isAgreed } from '../migration/consent.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Json, Migration } from '../migration/migration.ts'
import { applyRewrite, isBegun, rewriteKind } from './apply.ts'
import { findCandidates, firstLookFor, type PassedOver, sourcesFor } from './candidates.ts'
import { filesToSearch, type SearchedFiles } from './files.ts'
import { includedClasses } from './flags.ts'
import { describeMappings, type Mapping } from './mapping.ts'
import { type Plan, planEdits } from './plan.ts'
import { type Grep, grepTracked, type Repository, readRepository } from './repository.ts'
import { shown } from './repository-files.ts'
import { loadRules } from './rules.ts'
import { showPassedOver, showRewrite } from './show.ts'
import { spellingsOf } from './spellings.ts'
import { standsAsRewritten } from './standing.ts'
import { readUndoFile, writeUndoFile } from './undo-file.ts'

/**
 * Replaces addresses in the homelab's repository: shows what is where, asks, and changes it; the undo file is on the disk first.
 * A rewrite that was interrupted is brought to its end before.
 * @throws OperatorError when the tree is dirty and --dirty is not given, when the operator does not confirm, or a file cannot be replaced
 */
export async function rewriteRepository(migration: Migration, mappings: readonly Mapping[]): Promise<Json> {
  await finishInterrupted(migration)
  const { homelabDir } = migration.settings
  // The longest of what Git is asked comes first.
  const grep = grepTracked(homelabDir, firstLookFor(mappings))
  const repository = await readRepository(homelabDir)
  const plan = await planRewrite(migration, repository, grep, mappings)
  showRewrite(migration, repository.root, plan)
  const changed = plan.files.filter(({ edits }) => edits.length > 0)
  const left = plan.files.length - changed.length
  if (changed.length === 0) {
    migration.console.info(
      left > 0 ? `Nothing is left to change; ${left} files are left as they are.` : 'No file holds it.',
    )
    return { changed: 0, left }
  }
  refuseDirty(migration, repository)
  await confirm(migration, changed.length, mappings)
  await change(migration, repository, plan, mappings)
  return { changed: changed.length, left }
}

async function planRewrite(
  migration: Migration,
  repository: Repository,
  grep: Grep,
  mappings: readonly Mapping[],
): Promise<Plan> {
  const { settings, flags } = migration
  const { root } = repository
  const rules = loadRules(settings.homelabDir)
  const files = filesToSearch(repository, rules, settings)
  const fileNames = namesWithAddress(files, mappings)
  const passedOver: PassedOver = { unreadable: [], folders: [] }
  const plan = await planEdits(findCandidates(root, files, grep, firstLookFor(mappings), passedOver), {
    ...{ root, rules, ignored: files.ignored, fileNames },
    spellings: mappings.flatMap(spellingsOf),
    include: includedClasses(flags),
    secrets: isAgreed(migration, 'secrets'),
  })
  showPassedOver(migration, [...passedOver.folders, ...files.otherRepositories], [...fileNames])
  return { ...plan, unreadable: [...passedOver.unreadable, ...plan.unreadable] }
}

/** Parts of paths, of files and folders, that hold an address. */
function namesWithAddress(files: SearchedFiles, mappings: readonly Mapping[]): Set<string> {
  const source = sourcesFor(mappings).join('|')
  const holds = new RegExp(source)
  return new Set(files.paths(source).flatMap((path) => path.split('/').filter((name) => holds.test(name))))
}

function refuseDirty(migration: Migration, { root, dirty }: Repository): void {
  if (migration.flags.dirty === true || dirty.length === 0) return
  const own = standsAsRewritten(migration, root)
  const foreign = dirty.filter((path) => !own.has(path)).map(shown)
  if (foreign.length === 0) return
  const some = foreign.slice(0, 5).join(', ') + (foreign.length > 5 ? ` and ${foreign.length - 5} more` : '')
  throw new OperatorError(`The tree is dirty: ${some} differ from what is committed.`, {
    means: 'What the rewrite changes could not be told from what you have changed. Nothing was changed.',
    next: 'Commit or stash it. To rewrite all the same: task migrate:rewrite-ip -- --dirty',
  })
}

async function confirm(
  { prompt, flags, dryRun }: Migration,
  files: number,
  mappings: readonly Mapping[],
): Promise<void> {
  if (dryRun || flags.yes === true) return
  const answer = await prompt.confirm(`Replace ${describeMappings(mappings)} in ${files} files?`)
  if (answer === true) return
  throw new OperatorError(answer === undefined ? 'There is no terminal to confirm at.' : 'Not confirmed.', {
    means: 'Nothing was changed.',
    next: 'Change it without asking: task migrate:rewrite-ip -- --yes. Look only: -- --dry-run',
  })
}

async function change(
  migration: Migration,
  repository: Repository,
  plan: Plan,
  mappings: readonly Mapping[],
): Promise<void> {
  const changed = plan.files.filter(({ edits }) => edits.length > 0)
  const time = migration.clock.now().toISOString().replace(/[-:.]/g, '')
  const file = join(migration.runFolder, `rewrite-${time}.jsonl`)
  if (!migration.dryRun) await writeUndoFile(file, repository, plan)
  await migration.change(
    `replace ${describeMappings(mappings)} in ${changed.length} files of ${repository.root} (${basename(file)})`,
    {
      undo: { kind: rewriteKind, file },
      apply: () => applyRewrite(readUndoFile(file)),
    },
  )
  if (!migration.dryRun) migration.console.info('To take it back: task migrate:rewrite-ip -- --undo')
}

/** A rewrite that was killed is brought to its end; one that was killed before its first file is forgotten and planned anew. */
async function finishInterrupted(migration: Migration): Promise<void> {
  const begun = migration.journal.changes({ kind: rewriteKind }).filter(({ state }) => state === 'begun')
  for (const interrupted of begun) {
    const undo = readUndoFile(String(interrupted.undo?.file))
    if (!isBegun(undo)) {
      await migration.undo(interrupted, async () => 'already')
      continue
    }
    migration.console.info(`Going on with what was interrupted: ${interrupted.what}`)
    await migration.change(interrupted.what, { apply: () => applyRewrite(undo) })
  }
}
