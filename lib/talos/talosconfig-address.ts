import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parse } from 'yaml'
import * as z from 'zod'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { withMemoryFolder } from '../migration/memory-folder.ts'
import type { JournaledChange, Migration, Undone } from '../migration/migration.ts'
import { distinctFiles, replaceFile } from '../migration/operator-files.ts'
import { type Move, movedHost } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'
import type { Talosctl } from './talosctl.ts'

const list = z
  .array(z.string())
  .nullish()
  .transform((entries) => entries ?? [])
const talosconfig = z.object({
  contexts: z.record(z.string(), z.looseObject({ endpoints: list, nodes: list })).nullish(),
})
type Contexts = NonNullable<z.output<typeof talosconfig>['contexts']>

/** What talosctl calls a context's lists, and the sub-command of `talosctl config` that sets each. */
const setBy = { endpoints: 'endpoint', nodes: 'node' } as const

export const talosconfigUndoKind = 'talosconfig'
const undoSchema = z.object({
  kind: z.literal(talosconfigUndoKind),
  path: z.string(),
  context: z.string(),
  lists: z.array(
    z.object({ list: z.enum(['endpoints', 'nodes']), before: z.array(z.string()), after: z.array(z.string()) }),
  ),
})
type Lists = z.output<typeof undoSchema>['lists']

/**
 * Points every context that holds an old address at the new one, in each of the talosconfigs; a file that several of them lead to is
 * edited once. An entry of a list is replaced when it is that address (a port stays); where the new one is there already, the old one is left out.
 * Through talosctl, on a copy in memory, so that a kill never leaves half a file with the operator's only keys.
 * Source: `talosctl config endpoint --help`, `talosctl config node --help`; neither keeps comments.
 * @param talosctl asked for only when there is something to change
 * @param paths those that are not there are passed over
 * @returns how many contexts were changed, or would be
 * @throws OperatorError when one is no talosconfig, before any is changed
 */
export async function pointTalosconfigs(
  migration: Migration,
  talosctl: (talosconfig: string) => Promise<Talosctl>,
  paths: readonly string[],
  moves: readonly Move[],
): Promise<number> {
  const files = await Promise.all(
    (await distinctFiles(paths)).map(async (path) => ({ path, ...(await readFileAt(path)) })),
  )
  let changed = 0
  for (const { path, text, contexts } of files) {
    const moved = Object.entries(contexts).flatMap(([context, own]) => {
      const lists = movedLists(own, moves)
      return lists.length === 0 ? [] : [{ context, lists }]
    })
    if (moved.length === 0) migration.console.info(`No context in ${path} holds an old address.`)
    else if (/^\s*#/m.test(text)) migration.console.warn(`The comments in ${path} are lost: talosctl writes it anew.`)
    for (const { context, lists } of moved) {
      await migration.change(`Point the context ${context} of ${path} at ${told(lists)}`, {
        undo: { kind: talosconfigUndoKind, path, context, lists },
        apply: async () => setLists(await talosctl(path), migration.settings, path, context, lists, 'after'),
      })
    }
    changed += moved.length
  }
  return changed
}

/** Puts the lists of a context back, unless somebody has set them to something else meanwhile. */
export async function undoTalosconfig(
  talosctl: Talosctl,
  settings: Pick<Settings, 'memoryDir'>,
  change: Pick<JournaledChange, 'undo'>,
): Promise<Undone> {
  const { path, context, lists } = undoSchema.parse(change.undo)
  const file = await readFileAt(path).catch((error: unknown) => messageOf(error))
  if (typeof file === 'string') return `conflict: ${file}`
  const own = file.contexts[context]
  if (own === undefined) return `conflict: ${path} has no context ${context} any more`
  if (lists.every(({ list, before }) => isDeepStrictEqual(own[list], before))) return 'already'
  for (const { list, before, after } of lists) {
    if (isDeepStrictEqual(own[list], after) || isDeepStrictEqual(own[list], before)) continue
    return `conflict: the ${list} of the context ${context} in ${path} are ${own[list].join(', ') || 'none'}, not ${after.join(', ')}`
  }
  await setLists(talosctl, settings, path, context, lists, 'before')
  return 'undone'
}

async function readFileAt(path: string): Promise<{ text: string; contexts: Contexts }> {
  try {
    const text = await readFile(path, 'utf8')
    return { text, contexts: talosconfig.parse(parse(text, { prettyErrors: false })).contexts ?? {} }
  } catch (error) {
    // What a parser says may quote the file, and that holds keys.
    const why = error instanceof Error && 'syscall' in error ? `: ${messageOf(error)}` : '.'
    throw new OperatorError(`${path} is not a usable talosconfig${why}`, {
      means: 'Its contexts may hold the old address. Nothing was changed.',
      next: 'Mend it, or set TALOSCONFIG and OPERATOR_TALOSCONFIG to the files that you use.',
    })
  }
}

function movedLists(own: Contexts[string], moves: readonly Move[]): Lists {
  return (['endpoints', 'nodes'] as const).flatMap((list) => {
    const before = own[list]
    if (before.every((entry) => movedHost(entry, moves) === undefined)) return []
    return [{ list, before, after: [...new Set(before.map((entry) => movedHost(entry, moves) ?? entry))] }]
  })
}

function told(lists: Lists): string {
  return lists.map(({ list, after }) => `${list} ${after.join(', ')}`).join('; ')
}

/** Sets lists of a context, through talosctl, on a copy in memory. */
export async function setLists(
  talosctl: Talosctl,
  settings: Pick<Settings, 'memoryDir'>,
  path: string,
  context: string,
  lists: Lists,
  which: 'before' | 'after',
): Promise<void> {
  await withMemoryFolder(settings, async (folder) => {
    const copy = join(folder, 'talosconfig')
    await writeFile(copy, await readFile(path), { mode: 0o600 })
    for (const { list, [which]: entries } of lists) {
      await talosctl.local(['config', setBy[list], ...entries, '--talosconfig', copy, '--context', context])
    }
    await replaceFile(path, await readFile(copy))
  })
}
