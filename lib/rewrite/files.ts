import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Settings } from '../settings.ts'
import type { Repository, RepositoryPath } from './repository.ts'
import type { Rules } from './rules.ts'

/** What is searched, and what is not although it lies there. */
export interface SearchedFiles {
  readonly paths: RepositoryPath[]
  /** those that are searched although Git ignores them */
  readonly ignored: ReadonlySet<RepositoryPath>
  /** repositories of their own that Git does not track, which are left alone */
  readonly otherRepositories: RepositoryPath[]
}

/**
 * Tracked files, files that are neither tracked nor ignored, and the ignored ones that matter by the rules; without what the program
 * itself writes (OUTPUT_DIR, BACKUP_DIR, .output).
 */
export function filesToSearch(
  { root, tracked, untracked, ignored }: Repository,
  rules: Rules,
  settings: Pick<Settings, 'outputDir' | 'backupDir'>,
): SearchedFiles {
  const mattering = new Set(ignored.filter((path) => rules.matters(path)).flatMap((path) => expand(root, path)))
  const isOwn = ownPlaces(root, [settings.outputDir, settings.backupDir])
  const all = [...tracked, ...untracked.filter((path) => !path.endsWith('/')), ...mattering]
  return {
    paths: all.filter((path) => !isOwn(path)),
    ignored: mattering,
    otherRepositories: untracked.filter((path) => path.endsWith('/')),
  }
}

function ownPlaces(root: string, folders: readonly string[]): (path: RepositoryPath) => boolean {
  const inside = folders
    .map((folder) => relative(root, folder))
    .filter((path) => path !== '' && !path.startsWith('..'))
    .map((path) => `${Buffer.from(path).toString('latin1')}/`)
  return (path) =>
    path.startsWith('.output/') || path.includes('/.output/') || inside.some((folder) => path.startsWith(folder))
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
