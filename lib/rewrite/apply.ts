import pMap from 'p-map'
import { OperatorError } from '../migration/errors.ts'
import type { JournaledChange, Undone } from '../migration/migration.ts'
import { edited, inverted } from './edit.ts'
import type { RepositoryPath } from './repository.ts'
import { readWhole, removeLeftOver, replaceFile, sha256, shown } from './repository-files.ts'
import { type Rewritten, readUndoFile, type UndoFile } from './undo-file.ts'

/** The kind of a rewrite's undo data, which is `{ kind, file }`. */
export const rewriteKind = 'rewrite-repository'

/** A disk takes many fsyncs at once in hardly more time than one. */
const atOnce = 16

/**
 * Does what an undo file announces. What is done already is passed over, so that it goes on where it was stopped.
 * @throws OperatorError when files are neither as they were before nor as they are to be; nothing is changed then
 */
export async function applyRewrite(undo: UndoFile): Promise<void> {
  const states = statesOf(undo)
  const changed = states.filter(({ state }) => state === 'other').map(({ file }) => shown(file.path))
  if (changed.length > 0) {
    throw new OperatorError(`Changed since the plan was made: ${changed.join(', ')}.`, {
      means: 'What was found in them is not there any more, so that nothing more was changed.',
      next: 'The same command again plans anew. What an interrupted one had changed is taken back by task migrate:rewrite-ip -- --undo',
    })
  }
  await pMap(states, ({ file, state }) => bring(undo.root, file, state === 'before'), { concurrency: atOnce })
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
  const states = statesOf(undo)
  const changed = states.filter(({ state }) => state === 'other').map(({ file }) => shown(file.path))
  if (changed.length > 0) return `conflict: changed since by somebody else: ${changed.join(', ')}`
  const backwards = ({ before, after, edits, path }: Rewritten): Rewritten => {
    return { path, before: after, after: before, edits: inverted(edits) }
  }
  await pMap(states, ({ file, state }) => bring(undo.root, backwards(file), state === 'after'), { concurrency: atOnce })
  return states.some(({ state }) => state === 'after') ? 'undone' : 'already'
}

/** Whether a rewrite has changed anything yet. */
export function isBegun(undo: UndoFile): boolean {
  return statesOf(undo).some(({ state }) => state === 'after')
}

export type State = 'before' | 'after' | 'other'

function statesOf({ root, files }: UndoFile): { file: Rewritten; state: State }[] {
  return files.map((file) => ({ file, state: stateOf(root, file) }))
}

/** Which of the two a file is; `other` when somebody has changed it, or it is gone. */
export function stateOf(root: string, { path, before, after }: Rewritten): State {
  const bytes = readWhole(root, path)
  const sum = bytes && sha256(bytes)
  return sum === before ? 'before' : sum === after ? 'after' : 'other'
}

async function bring(root: string, file: Rewritten, isToDo: boolean): Promise<void> {
  if (!isToDo) return removeLeftOver(root, file.path)
  const bytes = readWhole(root, file.path)
  if (bytes === undefined || sha256(bytes) !== file.before) throw meanwhile(file.path)
  const fresh = edited(bytes, file.edits)
  if (sha256(fresh) !== file.after) throw new Error(`${shown(file.path)} would not become what was planned`)
  await replaceFile(root, file.path, fresh)
}

function meanwhile(path: RepositoryPath): OperatorError {
  return new OperatorError(`${shown(path)} is being changed by somebody else at this moment.`, {
    means: 'It is left as it is.',
    next: 'Close what writes to it, then the same command again.',
  })
}
