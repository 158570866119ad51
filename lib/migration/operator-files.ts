import { open, realpath } from 'node:fs/promises'
import writeFileAtomic from 'write-file-atomic'
import { messageOf, OperatorError } from './errors.ts'

/** A folder that may not be written to, or a file that is a mount point of its own (as a container's /etc/hosts is): there no new file can take its place. */
const cannotBeReplaced = new Set(['EBUSY', 'EXDEV', 'EACCES', 'EPERM', 'EROFS'])

/**
 * Gives a file of the operator's another content, in one go: a reader finds the old one or the new one. Mode and owner stay, and a symbolic
 * link stays one. Where the file itself is all that may be written to, it is written in place.
 * @throws OperatorError when it may not be written to
 */
export async function replaceFile(path: string, content: Buffer): Promise<void> {
  try {
    await writeFileAtomic(path, content)
  } catch (error) {
    if (!cannotBeReplaced.has((error as NodeJS.ErrnoException).code ?? '')) throw cannotWrite(path, error)
    await writeInPlace(await realpath(path), content).catch((cause: unknown) => {
      throw cannotWrite(path, cause)
    })
  }
}

async function writeInPlace(path: string, content: Buffer): Promise<void> {
  const file = await open(path, 'r+')
  try {
    // Cut off afterwards: an instant in which it is empty would be one in which it can be lost.
    await file.write(content, 0, content.length, 0)
    await file.truncate(content.length)
    await file.sync()
  } finally {
    await file.close()
  }
}

function cannotWrite(path: string, cause: unknown): OperatorError {
  return new OperatorError(`${path} cannot be written: ${messageOf(cause)}`, {
    means: 'It is as it was.',
    next: 'Make it writable for you, or give it back to its owner; then the same command again.',
    cause,
  })
}

/** Those of the files that are there, each once and by its real path: a link to one of them is not a second file. */
export async function distinctFiles(paths: readonly string[]): Promise<string[]> {
  const real = await Promise.all(paths.map((path) => realpath(path).catch(() => undefined)))
  return [...new Set(real.filter((path) => path !== undefined))]
}
