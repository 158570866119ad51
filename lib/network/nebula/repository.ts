import { readFile } from 'node:fs/promises'
import { isAbsolute, join, relative } from 'node:path'
import { $ } from 'zx/core'
import { announceCommand } from '../../migration/calls.ts'
import { mentions } from '../mentions.ts'
import type { Move } from './moves.ts'

/** A file of the homelab's repository that tells Nebula of hosts, and the lines in it that hold an address that changes. */
export interface RepositoryFile {
  /** relative to the repository */
  readonly file: string
  readonly lines: readonly { line: number; text: string; moves: readonly Move[] }[]
}

const deadlineSeconds = 60

/**
 * The files of a repository, tracked or new, in which static_host_map stands. They are only looked at: migrate:rewrite-ip changes them.
 * @param leftOut folders in which this program itself writes
 * @returns null when the folder is no git work tree
 */
export async function hostMapsInRepository(
  folder: string,
  moves: readonly Move[],
  leftOut: readonly string[],
): Promise<RepositoryFile[] | null> {
  const excluded = ['.output', ...leftOut.map((each) => relative(folder, each))]
    .filter((path) => path !== '' && !path.startsWith('..') && !isAbsolute(path))
    .map((path) => `:(exclude,literal)${path}`)
  const grep = ['grep', '--untracked', '-l', '-z', '-I', '-F', '-e', 'static_host_map', '--', '.', ...excluded]
  announceCommand('git', ['-C', folder, ...grep])
  const { stdout, exitCode } = await $({
    quiet: true,
    nothrow: true,
    timeout: deadlineSeconds * 1000,
    stdio: ['ignore', 'pipe', 'pipe'],
  })`git -C ${folder} ${grep}`
  // 1: nothing was found
  if (exitCode !== 0 && exitCode !== 1) return null
  const files = stdout.split('\0').filter((file) => file !== '')
  return Promise.all(
    files.map(async (file) => ({ file, lines: linesIn(await readFile(join(folder, file), 'utf8'), moves) })),
  )
}

/** The lines in which an address stands that changes. */
export function linesIn(text: string, moves: readonly Move[]): RepositoryFile['lines'] {
  return text.split('\n').flatMap((line, index) => {
    const held = moves.filter(({ from }) => mentions(line, from))
    return held.length === 0 ? [] : [{ line: index + 1, text: line.trim(), moves: held }]
  })
}
