import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where a long piece of work tells how it is going. The Console of lib/migration is one. */
export interface Progress {
  info(text: string): void
  warn(text: string): void
  /** Replaces the live text of what is going on now. */
  detail(text: string): void
}

/**
 * The folder that holds this project's package.json. It is looked for upwards from this module, because a bundle
 * lies at another depth than the sources.
 */
export function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error(`no package.json above ${fileURLToPath(import.meta.url)}`)
    folder = parent
  }
  return folder
}
