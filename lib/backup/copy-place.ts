import { measure } from './archive.ts'

/** One file of a backup as it is to be in a copy. */
export interface CopiedFile {
  path: string
  bytes: number
  sha256: string
}

/** A whole backup that is to be copied: all its files, the manifest last, for a copy without one is none. */
export interface CopySource {
  /** local */
  folder: string
  name: string
  files: CopiedFile[]
}

/** A second place for backups. Copies are only ever added to it. */
export interface CopyPlace {
  /**
   * Looks whether a copy could be taken there, and writes nothing.
   * @returns what an operator should know, one sentence each
   * @throws OperatorError when it could not
   */
  look(): Promise<string[]>
  /**
   * Copies what is not there yet, reads all of it back, and only then lets it be a backup. A call that was killed is taken up by the next.
   * @param told called with each file's path as it is dealt with
   * @throws OperatorError when it cannot be written, or what is read back is something else
   */
  take(source: CopySource, told: (path: string) => void): Promise<void>
}

/** Reads to the end. */
export async function hashOf(content: AsyncIterable<Uint8Array>): Promise<{ bytes: number; sha256: string }> {
  const measured = measure()
  for await (const _ of measured.through(content));
  return { bytes: measured.bytes(), sha256: measured.sha256() }
}

/** What it means when a place cannot take a copy, before and after a backup. */
export const untouched = 'Nothing was copied. A backup that was taken is whole all the same.'
