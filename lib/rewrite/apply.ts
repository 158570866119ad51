import { OperatorError } from '../migration/errors.ts'
import type { JournaledChange, Undone } from '../migration/migration.ts'
import { edited, inverted } from './edit.ts'
import { changedMeanwhile, readWhole, removeLeftOver, sha256, shown } from './repository-files.ts'
import { type Rewritten, readUndoFile, type UndoFile } from './undo-file.ts'
import { mayBeTorn, mendTorn, type Replacement, writeOver } from './write-over.ts'

/** The kind of a rewrite's undo data, which is `{ kind, file }`. */
export const rewriteKind = 'rewrite-repository'

/** So much is held in memory at once, in bytes. */
const atOnce = 64e6

/**
 * Does what an undo file announces. What is done already is passed over, so that it goes on where it was stopped.
 * @throws OperatorError when files are neither as they were before nor as they are to be; nothing is changed then
 */
export async function applyRewrite(undo: UndoFile): Promise<void> {
  mend(undo)
  const states = statesOf(undo)
  const changed = states.filter(({ state }) => state === 'other').map(({ file }) => shown(file.path))
  if (changed.length > 0) {
    throw new OperatorError(`Changed since the plan was made: ${changed.join(', ')}.`, {
      means: 'What was found in them is not there any more, so that nothing more was changed.',
      next: 'The same command again plans anew. What an interrupted one had changed is taken back by task migrate:rewrite-ip -- --undo',
    })
  }
  await bring(undo, of(states, 'before'), of(states, 'after'))
}

/**
 * Takes a rewrite back, byte for byte: all of it, or nothing.
 * @returns a conflict that names the files which somebody has changed since
 * @throws OperatorError when the undo file cannot be read
 */
export async function undoRewrite(change: JournaledChange): Promise<Undone> {
  return takeBack(readUndoFile(String(change.undo?.file)))
}

async function takeBack(undo: UndoFile): Promise<Undone> {
  mend(undo)
  const states = statesOf(undo)
  const changed = states.filter(({ state }) => state === 'other').map(({ file }) => shown(file.path))
  if (changed.length > 0) return `conflict: changed since by somebody else: ${changed.join(', ')}`
  const toDo = of(states, 'after').map((found) => ({ ...found, file: backwards(found.file) }))
  await bring(undo, toDo, of(states, 'before'))
  return toDo.length > 0 ? 'undone' : 'already'
}

/** Whether a rewrite has changed anything yet. */
export function isBegun(undo: UndoFile): boolean {
  return mayBeTorn(undo.spare) || statesOf(undo).some(({ state }) => state === 'after')
}

export type State = 'before' | 'after' | 'other'

/** How a file was found, and what it held then, unless that is more than is kept. */
interface Found {
  readonly file: Rewritten
  readonly state: State
  readonly bytes: Buffer | undefined
}

function statesOf({ root, files }: UndoFile): Found[] {
  let room = atOnce
  return files.map((file) => {
    const bytes = readWhole(root, file.path)
    room -= bytes?.length ?? 0
    return { file, state: stateIn(bytes, file), bytes: room > 0 ? bytes : undefined }
  })
}

/** Which of the two a file is; `other` when somebody has changed it, or it is gone. */
export function stateOf(root: string, file: Rewritten): State {
  return stateIn(readWhole(root, file.path), file)
}

function stateIn(bytes: Buffer | undefined, { before, after }: Rewritten): State {
  const sum = bytes && sha256(bytes)
  return sum === before ? 'before' : sum === after ? 'after' : 'other'
}

function of(states: readonly Found[], wanted: State): Found[] {
  return states.filter(({ state }) => state === wanted)
}

async function bring({ root, spare }: UndoFile, toDo: readonly Found[], done: readonly Found[]): Promise<void> {
  for (const { file } of done) removeLeftOver(root, file.path)
  let [batch, size] = [[] as Replacement[], 0]
  for (const found of toDo) {
    const replacement = replacementFor(root, found)
    batch.push(replacement)
    size += replacement.was.length
    if (size < atOnce) continue
    await writeOver(root, batch, spare)
    ;[batch, size] = [[], 0]
  }
  if (batch.length > 0) await writeOver(root, batch, spare)
}

function replacementFor(root: string, { file, bytes }: Found): Replacement {
  const was = bytes ?? readWhole(root, file.path)
  if (was === undefined || (bytes === undefined && sha256(was) !== file.before)) throw changedMeanwhile(file.path)
  const becomes = edited(was, file.edits)
  if (sha256(becomes) !== file.after) throw new Error(`${shown(file.path)} would not become what was planned`)
  return { path: file.path, was, becomes }
}

/** A kill may have come while a file was written, in either direction. */
function mend({ root, spare, files }: UndoFile): void {
  if (!mayBeTorn(spare)) return
  const byPath = new Map(files.map((file) => [file.path, file]))
  mendTorn(root, spare, (path, was) => {
    const file = byPath.get(path)
    const sum = sha256(was)
    if (file?.before === sum) return edited(was, file.edits)
    return file?.after === sum ? edited(was, inverted(file.edits)) : undefined
  })
}

function backwards({ before, after, edits, path }: Rewritten): Rewritten {
  return { path, before: after, after: before, edits: inverted(edits) }
}
