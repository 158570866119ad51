import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's own folder: where env/ and Taskfile.yml are, from the sources and from the bundles in dist/ alike. */
export const projectFolder = findProjectFolder(dirname(fileURLToPath(import.meta.url)))

/** This program's own version, from its package.json. */
export const ownVersion = (JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as { version: string })
  .version

function findProjectFolder(from: string): string {
  let folder = from
  while (!readdirSync(folder).includes('Taskfile.yml') && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}
