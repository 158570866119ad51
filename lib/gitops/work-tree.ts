import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { announceCommand } from '../migration/calls.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'

const run = promisify(execFile)
const deadlineMs = 30_000

/** Where the homelab's work tree stands, by what Git knows without asking a remote. */
export interface WorkTree {
  /** the commit that is checked out; undefined before the first */
  readonly head: string | undefined
  /** undefined: detached */
  readonly branch: string | undefined
  /** the branch at the remote that it follows, `origin/main` */
  readonly upstream: string | undefined
  /** commits that are only here, and only there */
  readonly ahead: number
  readonly behind: number
  /** tracked paths that differ from what is committed */
  readonly changed: readonly string[]
  /** paths that are in no commit, and are not ignored */
  readonly untracked: readonly string[]
  /** URLs of its remotes */
  readonly remotes: readonly string[]
}

/**
 * Reads it, and writes nothing, not even Git's index.
 * Source: https://git-scm.com/docs/git-status#_porcelain_format_version_2
 * @throws OperatorError when the folder is in no Git repository, or there is no git
 */
export async function readWorkTree(folder: string): Promise<WorkTree> {
  const status = await git(folder, ['status', '--porcelain=v2', '--branch', '--no-renames', '-z']).catch(refuse(folder))
  // It exits with 1 when there is none.
  const urls = await git(folder, ['config', '--get-regexp', '^remote\\..*\\.url$']).catch(() => '')
  const fields = status.split('\0').filter((field) => field !== '')
  const entries = fields.filter((field) => !field.startsWith('#'))
  const header = (name: string) =>
    fields.find((field) => field.startsWith(`# branch.${name} `))?.slice(`# branch.${name} `.length)
  const [, ahead = '0', behind = '0'] = /^\+(\d+) -(\d+)$/.exec(header('ab') ?? '') ?? []
  return {
    head: named(header('oid')),
    branch: named(header('head')),
    upstream: header('upstream'),
    ahead: Number(ahead),
    behind: Number(behind),
    changed: entries.filter((entry) => !entry.startsWith('?')).map(pathIn),
    untracked: entries.filter((entry) => entry.startsWith('?')).map(pathIn),
    remotes: urls.split('\n').flatMap((line) => line.split(' ')[1] ?? []),
  }
}

/** `git@github.com:me/homelab.git` and `ssh://git@github.com/me/homelab` are one repository. */
export function sameRepository(one: string, other: string): boolean {
  return bare(one) === bare(other)
}

function bare(url: string): string {
  return url
    .trim()
    .replace(/^[a-z+]+:\/\//i, '')
    .replace(/^[^/@]*@/, '')
    .replace(/^([^/:]+):(?:\d+\/)?/, '$1/')
    .replace(/\/+$/, '')
    .replace(/\.git$/, '')
    .toLowerCase()
}

/** Git writes `(initial)` and `(detached)` where there is none. */
function named(value: string | undefined): string | undefined {
  return value?.startsWith('(') ? undefined : value
}

/** `1 XY …8 fields… PATH`, `u XY …10 fields… PATH`, `? PATH`. */
function pathIn(entry: string): string {
  const before = { '1': 8, u: 10 }[entry[0] ?? ''] ?? 1
  return entry.split(' ').slice(before).join(' ')
}

async function git(folder: string, args: readonly string[]): Promise<string> {
  const own = Object.entries(process.env).filter(([name]) => !/^GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX)$/.test(name))
  const env = { ...Object.fromEntries(own), GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' }
  const options = { env, timeout: deadlineMs, maxBuffer: 2 ** 28 }
  announceCommand('git', ['-C', folder, ...args])
  const { stdout } = await run('git', ['-C', folder, '-c', 'core.fsmonitor=false', ...args], options)
  return stdout
}

function refuse(folder: string): (error: unknown) => never {
  return (error) => {
    const complaint = String((error as { stderr?: string }).stderr || messageOf(error)).trim()
    throw new OperatorError(`${folder} (HOMELAB_DIR) is not a Git repository that can be read: ${complaint}`, {
      means: 'Whether what the cluster is made from is committed and pushed cannot be told.',
      next: 'Set HOMELAB_DIR to the homelab’s repository.',
      cause: error,
    })
  }
}
