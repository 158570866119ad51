import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Settings } from '../settings.ts'
import type { Repository, RepositoryPath } from './repository.ts'
import type { Rules } from './rules.ts'

/** What is searched, and what is not although it lies there. */
export interface SearchedFiles {
  /** all of them, or those whose path an expression matches in */
  paths(source?: string): RepositoryPath[]
  /** whether a path is of what the program itself writes, or changes as what it is */
  isOwn(path: RepositoryPath): boolean
  /** those that `git grep` does not look at as they are on the disk */
  readonly ungrepped: RepositoryPath[]
  /** those that are searched although Git ignores them */
  readonly ignored: ReadonlySet<RepositoryPath>
  /** repositories of their own that Git does not track, which are left alone */
  readonly otherRepositories: RepositoryPath[]
}

type OwnPlaces = Pick<Settings, 'outputDir' | 'backupDir' | 'talosconfig' | 'kubeconfig'>

/**
 * Tracked files, files that are neither tracked nor ignored, and the ignored ones that matter by the rules; without what the program
 * itself writes (OUTPUT_DIR, BACKUP_DIR, .output), and without TALOSCONFIG and KUBECONFIG, which are changed as what they are.
 */
export function filesToSearch(
  { root, tracked, dirty, untracked, ignored }: Repository,
  rules: Rules,
  settings: OwnPlaces,
): SearchedFiles {
  const mattering = new Set(ignored.filter((path) => rules.matters(path)).flatMap((path) => expand(root, path)))
  const isOwn = ownPlaces(root, settings)
  const isForeign = (path: RepositoryPath) => !isOwn(path)
  const others = [...untracked.filter((path) => !path.endsWith('/')), ...mattering]
  // A link that has become a file is a link to Git, until it is committed.
  const unsearched = new Set([...tracked.ungrepped, ...dirty, ...others])
  return {
    paths: (source = '') => {
      const pattern = new RegExp(source)
      const found = source === '' ? tracked.paths : tracked.pathsWith(source)
      return [...found, ...others.filter((path) => pattern.test(path))].filter(isForeign)
    },
    isOwn,
    ungrepped: [...unsearched].filter(isForeign),
    ignored: mattering,
    otherRepositories: untracked.filter((path) => path.endsWith('/')),
  }
}

function ownPlaces(root: string, settings: OwnPlaces): (path: RepositoryPath) => boolean {
  const inside = (paths: readonly string[]) =>
    paths
      .map((path) => relative(root, path))
      .filter((path) => path !== '' && !path.startsWith('..'))
      .map((path) => Buffer.from(path).toString('latin1'))
  const folders = inside([settings.outputDir, settings.backupDir])
  const files = new Set<string>(inside([settings.talosconfig, settings.kubeconfig]))
  return (path) =>
    files.has(path) ||
    path.startsWith('.output/') ||
    path.includes('/.output/') ||
    folders.some((folder) => path.startsWith(`${folder}/`))
}

/** A folder that Git ignores as a whole, as its files. Links are not followed. */
function expand(root: string, path: RepositoryPath): RepositoryPath[] {
  if (!path.endsWith('/')) return [path]
  const folder = Buffer.concat([Buffer.from(join(root, '/')), Buffer.from(path, 'latin1')])
  return readdirSync(folder, { withFileTypes: true, encoding: 'buffer' as never }).flatMap((entry) => {
    const name = (entry.name as unknown as Buffer).toString('latin1')
    if (name === '.git') return []
    if (entry.isDirectory()) return expand(root, `${path}${name}/` as RepositoryPath)
    return entry.isFile() ? [`${path}${name}` as RepositoryPath] : []
  })
}
