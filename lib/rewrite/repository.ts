import { execFile } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { announceCommand } from '../migration/calls.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'

const run = promisify(execFile)

declare const bytes: unique symbol
/** A path inside of the repository, from the homelab's folder on, its bytes as latin1: names need not be UTF-8. */
export type RepositoryPath = string & { readonly [bytes]: 'path' }

/** What Git knows of the homelab's folder. */
export interface Repository {
  /** the homelab's folder, without links on the way */
  readonly root: string
  /** files, links and submodules */
  readonly tracked: RepositoryPath[]
  /** what of these `git grep` passes over, or does not read from the disk: links, submodules, what it was told to take as unchanged */
  readonly ungrepped: RepositoryPath[]
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
  const [prefix, index, status] = await Promise.all([git(root, inside), git(root, indexed), git(root, state)])
  return { root, ...parseIndex(fields(index)), ...parseStatus(fields(status), prefix.replace(/\n$/, '')) }
}

/**
 * Has Git look through the tracked files, which it does in several threads: a first look, as scanFiles takes it.
 * @param source what is looked for, of a regular expression that PCRE and JavaScript both know, within a line
 * @returns undefined when Git has anything to complain of: a file that cannot be read, or that it was built without PCRE
 */
export async function grepTracked(folder: string, source: string): Promise<RepositoryPath[] | undefined> {
  const none = { stdout: '', stderr: '' }
  const { stdout, stderr } = (await runGit(folder, [...grep, '-e', source]).catch(
    (error: { code?: unknown } & typeof none) =>
      // It found nothing.
      error.code === 1 ? error : undefined,
  )) ?? { ...none, stderr: 'failed' }
  return stderr === '' ? (fields(stdout) as RepositoryPath[]) : undefined
}

// Settings of the operator's own change neither what is looked at nor how it is told.
const grep = [
  ...['-c', 'submodule.recurse=false', '-c', 'grep.fullName=false', '-c', 'grep.fallbackToNoIndex=false'],
  ...['grep', '--files-with-matches', '--null', '--text', '--no-color', '--perl-regexp'],
  // Beside it, git status takes the rest.
  ...['--threads', String(Math.max(1, Math.floor(availableParallelism() / 2)))],
]
/** The homelab may be a folder of a larger repository; Git's status counts from that one's root. */
const inside = ['rev-parse', '--show-prefix']
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
  return run('git', ['-c', 'core.fsmonitor=false', ...args], {
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

/** `TAG MODE OBJECT STAGE\tPATH`: see git-ls-files(1), -v and --stage. */
function parseIndex(entries: readonly string[]) {
  const found = { tracked: [] as RepositoryPath[], ungrepped: [] as RepositoryPath[] }
  for (const entry of entries) {
    const path = entry.slice(entry.indexOf('\t') + 1) as RepositoryPath
    // A file in conflict has several entries, one behind the other.
    if (path === found.tracked.at(-1)) continue
    found.tracked.push(path)
    if (!entry.startsWith('H 100')) found.ungrepped.push(path)
  }
  return found
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
