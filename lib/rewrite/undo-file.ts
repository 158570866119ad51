import { closeSync, fsyncSync, openSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import * as z from 'zod'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { Edit } from './edit.ts'
import type { Plan } from './plan.ts'
import type { Repository, RepositoryPath } from './repository.ts'

const plainEdit = z.object({ at: z.number(), was: z.string(), becomes: z.string() })
const edit = z.union([
  plainEdit,
  z.object({ at: z.number(), length: z.number(), becomesLength: z.number(), inner: z.array(plainEdit) }),
])
const entry = z.object({ path: z.string(), before: z.string(), after: z.string(), edits: z.array(edit) })
const header = z.object({ root: z.string(), spare: z.string(), files: z.number() })

/** What one rewrite does to one file: enough to do it, and to take it back. */
export interface Rewritten {
  readonly path: RepositoryPath
  /** SHA-256 of the file before and after */
  readonly before: string
  readonly after: string
  readonly edits: readonly Edit[]
}

/** A whole rewrite. No file's text is in it: of each only the bytes that are addresses. */
export interface UndoFile {
  readonly root: string
  /** where what is being written over is kept for that moment */
  readonly spare: string
  readonly files: readonly Rewritten[]
}

/** Writes it, to the disk: JSON lines, a header and one for each file that is changed. */
export async function writeUndoFile(
  file: string,
  { root, gitFolder }: Pick<Repository, 'root' | 'gitFolder'>,
  plan: Plan,
): Promise<void> {
  const files = plan.files.filter(({ edits }) => edits.length > 0)
  const lines = files.map(({ path, before, after, edits }) => ({ path, before, after, edits }))
  const spare = join(gitFolder, basename(file))
  const text = [{ root, spare, files: lines.length }, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('')
  await writeFileAtomic(file, text, { mode: 0o600 })
  const folder = openSync(dirname(file), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

/** @throws OperatorError when it is gone or not whole */
export function readUndoFile(file: string): UndoFile {
  try {
    const [first, ...rest] = readFileSync(file, 'utf8').trimEnd().split('\n')
    const { root, spare, files: count } = header.parse(JSON.parse(first ?? ''))
    if (rest.length !== count) throw new Error(`${count} files were announced, and ${rest.length} are told of`)
    return { root, spare, files: rest.map((line) => entry.parse(JSON.parse(line)) as unknown as Rewritten) }
  } catch (error) {
    throw new OperatorError(`The undo file ${file} cannot be read: ${messageOf(error)}`, {
      means: 'What was rewritten is not known without it. Nothing was changed.',
      next: 'Take the rewrite back with Git: git diff shows it.',
      cause: error,
    })
  }
}
