import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import picomatch from 'picomatch'
import { announceCommand } from '../migration/calls.ts'
import type { Settings } from '../settings.ts'
import { nearestExisting } from './disk.ts'
import { manifestFile } from './manifest.ts'
import { realPath } from './mounts.ts'
import { matches, type Removal, removalsIn } from './removal.ts'
import { cleanCommands, type TaskCommand, unknown } from './taskfile.ts'

/** A clean task of the homelab that removes what must not be removed. */
export interface Danger {
  command: TaskCommand
  /** the settings whose paths it removes, and the paths */
  things: { variable: string; path: string }[]
  /** false: what the command removes cannot be known without running it */
  certain: boolean
}

// Whatever a `find -name` may ask for.
const namesInBackups = [manifestFile, 'etcd.snapshot.gz.age', 'pods.core.v1.jsonl.gz', 'secrets.core.v1.jsonl.gz.age']

/**
 * The clean tasks of the homelab's Taskfiles that would remove backups, the run's journal, the identity or a copy. Nothing is run.
 * What cannot be known is taken for a danger, and said to be one that may be.
 */
export async function findDangers(settings: Settings): Promise<Danger[]> {
  const { backupDir, outputDir, ageIdentityFile, backupCopyTo, homelabDir, clusterName } = settings
  const copy = backupCopyTo?.startsWith('/')
    ? [{ variable: 'BACKUP_COPY_TO', path: backupCopyTo, thing: clusterName }]
    : []
  const identity = ageIdentityFile ? [{ variable: 'AGE_IDENTITY_FILE', path: ageIdentityFile, thing: '' }] : []
  const precious = [
    { variable: 'BACKUP_DIR', path: backupDir, thing: `${clusterName}-20251204T120000Z` },
    { variable: 'OUTPUT_DIR', path: outputDir, thing: 'current' },
    ...identity,
    ...copy,
  ]
  const dangers: Danger[] = []
  for (const command of await cleanCommands(homelabDir)) {
    const removals = removalsIn(command.text, command.folder)
    const verdicts = await Promise.all(precious.map(({ path, thing }) => worst(removals, join(path, thing))))
    for (const verdict of ['yes', 'perhaps']) {
      const things = precious.filter((_, index) => verdicts[index] === verdict)
      if (things.length > 0) dangers.push({ command, things, certain: verdict === 'yes' })
    }
  }
  return dangers
}

/** In one sentence. */
export function describeDanger({ command, things, certain }: Danger): string {
  const { task, file, line, text } = command
  const what = things.map(({ variable, path }) => `${variable} (${path})`).join(', ')
  const shown = text.trim().split('\n').join('; ').replaceAll(unknown, '…')
  return `task ${task} (${file}:${line}) ${certain ? 'removes' : 'may remove'} ${what}: ${shown}`
}

async function worst(removals: readonly Removal[], thing: string): Promise<Verdict> {
  const verdicts = await Promise.all(removals.map((removal) => endangers(removal, thing)))
  return verdicts.find((verdict) => verdict === 'yes') ?? verdicts.find((verdict) => verdict === 'perhaps') ?? 'no'
}

type Verdict = 'yes' | 'perhaps' | 'no'

async function endangers(removal: Removal, thing: string): Promise<Verdict> {
  const paths = [...new Set([thing, await realPath(thing)])]
  if (removal.kind === 'untracked') {
    const hit = await Promise.all(paths.map((path) => isCleaned(removal, path)))
    return hit.includes(true) ? 'yes' : 'no'
  }
  const hit = paths.some((path) =>
    removal.kind === 'paths' ? isRemoved(removal.pattern, path) : isFound(removal, path),
  )
  if (!hit) return 'no'
  return removal.known && !removal.pattern.includes('**') ? 'yes' : 'perhaps'
}

/** What lies in a folder goes with it. */
function isRemoved(pattern: string, path: string): boolean {
  return matches(pattern, path) || (dirname(path) !== path && isRemoved(pattern, dirname(path)))
}

function isFound({ pattern, names }: Extract<Removal, { kind: 'below' }>, path: string): boolean {
  const root = lineage(path).find((above) => matches(pattern, above))
  if (root === undefined) return false
  const below = [...relative(root, path).split('/'), ...namesInBackups]
  return names.length === 0 || names.some((name) => below.some((one) => picomatch.isMatch(one, name, { dot: true })))
}

async function isCleaned(removal: Extract<Removal, { kind: 'untracked' }>, path: string): Promise<boolean> {
  const base = lineage(path).find((above) => matches(removal.folder, above))
  if (base === undefined || !lineage(base).some((above) => existsSync(join(above, '.git')))) return false
  const parts = relative(base, path).split('/')
  if (
    removal.excluded.some((pattern) =>
      parts.some((part) => picomatch.isMatch(part, pattern.replaceAll('/', ''), { dot: true })),
    )
  )
    return false
  if (removal.which === 'all') return true
  const ignored = await isIgnored(path)
  return ignored === undefined || ignored === (removal.which === 'ignored')
}

/** By `git check-ignore`: 0 is yes, 1 is no; undefined when Git cannot tell. */
async function isIgnored(path: string): Promise<boolean | undefined> {
  const folder = await nearestExisting(dirname(path))
  try {
    const args = ['-C', folder, 'check-ignore', '--quiet', '--', path]
    announceCommand('git', args)
    await promisify(execFile)('git', args, { timeout: 10_000 })
    return true
  } catch (error) {
    return (error as { code?: unknown }).code === 1 ? false : undefined
  }
}

function lineage(path: string): string[] {
  return dirname(path) === path ? [path] : [path, ...lineage(dirname(path))]
}
