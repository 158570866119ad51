import { execFile } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { promisify } from 'node:util'
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
  const prefix = await prefixIn(root)
  const [index, status] = await Promise.all([git(root, indexed), git(root, state)])
  // A file in conflict has several entries, one behind the other.
  const tracked = fields(index).filter((path, at, all) => path !== all[at - 1]) as RepositoryPath[]
  return { root, tracked, ...parseStatus(fields(status), prefix) }
}

const indexed = ['ls-files', '-z']
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

/** The homelab may be a folder of a larger repository; Git's status counts from that one's root. */
async function prefixIn(root: string): Promise<string> {
  const { stdout } = await run('git', ['rev-parse', '--show-prefix'], { cwd: root, env: environment() }).catch(
    (error: unknown) => {
      const complaint = String((error as { stderr?: string }).stderr ?? messageOf(error)).trim()
      throw new OperatorError(`${root} (HOMELAB_DIR) is not a Git repository that can be read: ${complaint}`, {
        means: 'What belongs to the homelab is what Git tracks, and what it does not ignore. Nothing was changed.',
        next: 'Set HOMELAB_DIR to the homelab’s repository. To make one of a folder: git init, git add, git commit.',
        cause: error,
      })
    },
  )
  return Buffer.from(stdout.replace(/\n$/, '')).toString('latin1')
}

async function git(root: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run('git', ['-c', 'core.fsmonitor=false', ...args], {
      cwd: root,
      env: environment(),
      encoding: 'latin1',
      maxBuffer: 2 ** 30,
    })
    return stdout
  } catch (error) {
    throw new OperatorError(`git ${args[0]} failed in ${root}: ${messageOf(error)}`, {
      means: 'Nothing was changed.',
      next: `See what it says: git -C ${root} ${args[0]}`,
      cause: error,
    })
  }
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
