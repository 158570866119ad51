import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { realpath } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { PassThrough, type Readable } from 'node:stream'
import { promisify } from 'node:util'
import { announceCommand } from '../migration/calls.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { IndexListing } from './index-listing.ts'

const run = promisify(execFile)

declare const bytes: unique symbol
/** A path inside of the repository, from the homelab's folder on, its bytes as latin1: names need not be UTF-8. */
export type RepositoryPath = string & { readonly [bytes]: 'path' }

/** What Git knows of the homelab's folder. */
export interface Repository {
  /** the homelab's folder, without links on the way */
  readonly root: string
  /** where Git keeps what is its own */
  readonly gitFolder: string
  readonly tracked: IndexListing
  /** neither tracked nor ignored; what ends in a slash is a repository of its own */
  readonly untracked: RepositoryPath[]
  /** a folder that is ignored as a whole stands for all that is in it, with a slash at its end */
  readonly ignored: RepositoryPath[]
  /** tracked files that differ from what is committed */
  readonly dirty: RepositoryPath[]
}

/**
 * Asks Git what is in the folder. Nothing is written, not even Git's index.
 * @throws OperatorError when the folder is in no Git repository, or git fails
 */
export async function readRepository(folder: string): Promise<Repository> {
  const root = await realpath(folder).catch((error: unknown) => {
    throw new OperatorError(`There is no folder ${folder} (HOMELAB_DIR): ${messageOf(error)}`, {
      next: 'Set HOMELAB_DIR to the homelab’s repository.',
    })
  })
  const [places, index, status] = await Promise.all([git(root, inside), git(root, indexed), git(root, state)])
  const [upwards = ''] = places.split('\n', 1)
  const gitFolder = Buffer.from(places.slice(upwards.length + 1, -1), 'latin1').toString()
  const prefix = lastParts(root, upwards.split('../').length - 1)
  return { root, gitFolder, tracked: new IndexListing(index), ...parseStatus(fields(status), prefix) }
}

/** The end of a path, of so many folders, with a slash behind each, as Git tells it. */
function lastParts(path: string, count: number): string {
  const parts = count === 0 ? [] : path.split('/').slice(-count)
  return Buffer.from(parts.map((part) => `${part}/`).join('')).toString('latin1')
}

/** `git grep` at work. */
export interface Grep {
  /** the tracked files that hold what is looked for, as they are found */
  readonly found: AsyncIterable<RepositoryPath>
  /** false when Git has anything to complain of: a file that cannot be read, or that it was built without PCRE */
  readonly isWhole: Promise<boolean>
}

/**
 * Has Git look through the tracked files, which it does with four calls of the kernel a file: a first look, as scanFiles takes it.
 * @param sources what is looked for: regular expressions as PCRE knows them, within a line
 */
export function grepTracked(folder: string, sources: readonly string[]): Grep {
  const patterns = sources.flatMap((source) => ['-e', source])
  announceCommand('git', ['-C', folder, ...grep, ...patterns])
  const child = spawn('git', [...always, ...grep, ...patterns], {
    ...{ cwd: folder, env: environment() },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk
  })
  const isWhole = once(child, 'close').then(
    // 1: it found nothing.
    ([code]) => complaint === '' && (code === 0 || code === 1),
    () => false,
  )
  // Node throws away what nobody has begun to read when the process ends.
  return { found: fieldsIn(child.stdout.pipe(new PassThrough({ highWaterMark: 2 ** 30 }))), isWhole }
}

async function* fieldsIn(output: Readable): AsyncGenerator<RepositoryPath> {
  let rest = ''
  for await (const chunk of output.setEncoding('latin1')) {
    const parts = (rest + chunk).split('\0')
    rest = parts.pop() ?? ''
    yield* parts as RepositoryPath[]
  }
}

const always = ['-c', 'core.fsmonitor=false']
// Settings of the operator's own change neither what is looked at nor how it is told.
const grep = [
  ...['-c', 'submodule.recurse=false', '-c', 'grep.fullName=false', '-c', 'grep.fallbackToNoIndex=false'],
  ...['grep', '--files-with-matches', '--null', '--text', '--no-color', '--perl-regexp'],
  // Beside it, git status takes the rest.
  ...['--threads', String(Math.max(1, Math.floor(availableParallelism() / 2)))],
]
/** The homelab may be a folder of a larger repository; Git's status counts from that one's root, which is so far up. */
const inside = ['rev-parse', '--show-cdup', '--absolute-git-dir']
const indexed = ['ls-files', '-z', '-v', '--stage']
const state = [
  'status',
  '--porcelain',
  '-z',
  '--no-renames',
  '--untracked-files=all',
  '--ignored=traditional',
  '--ignore-submodules=all',
  '--',
  '.',
]

async function git(root: string, args: readonly string[]): Promise<string> {
  try {
    return (await runGit(root, args)).stdout
  } catch (error) {
    const complaint = String((error as { stderr?: string }).stderr || messageOf(error)).trim()
    throw new OperatorError(`${root} (HOMELAB_DIR) is not a Git repository that can be read: ${complaint}`, {
      means: 'What belongs to the homelab is what Git tracks, and what it does not ignore. Nothing was changed.',
      next: 'Set HOMELAB_DIR to the homelab’s repository. To make one of a folder: git init, git add, git commit.',
      cause: error,
    })
  }
}

function runGit(root: string, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  announceCommand('git', ['-C', root, ...args])
  return run('git', [...always, ...args], {
    cwd: root,
    env: environment(),
    encoding: 'latin1',
    maxBuffer: 2 ** 30,
  })
}

/** Of this folder's repository, whatever the process was called from; and without writing its index. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX)$/.test(name))
  return { ...Object.fromEntries(own), GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' }
}

function fields(output: string): string[] {
  return output.split('\0').filter((field) => field !== '')
}

/** `XY PATH`: see git-status(1), porcelain format version 1. */
function parseStatus(entries: readonly string[], prefix: string) {
  const found = { untracked: [] as RepositoryPath[], ignored: [] as RepositoryPath[], dirty: [] as RepositoryPath[] }
  for (const entry of entries) {
    const path = entry.slice(3 + prefix.length) as RepositoryPath
    const list = { '??': found.untracked, '!!': found.ignored }[entry.slice(0, 2)] ?? found.dirty
    list.push(path)
  }
  return found
}
