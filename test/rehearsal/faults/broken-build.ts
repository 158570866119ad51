import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'esbuild'
import { projectFolder } from '../../../lib/settings.ts'
import { bundle } from '../../../scripts/build/bundle.ts'

/** A module of the product with something in it replaced; for bundles that are broken on purpose, and for nothing else. */
export interface Sabotage {
  readonly module: string
  readonly replace: readonly [from: string, to: string][]
}

/** A change is journaled when it has been made, and no sooner: what undoes it comes to the disk too late. */
export const undoAfterChange: Sabotage = {
  module: 'lib/migration/migration.ts',
  replace: [
    [
      'const id = this.journal.standingChange(what)?.id ?? this.#begin(what, undo)\n      try {',
      'let id = 0\n      try {',
    ],
    [
      'const result = await apply()\n',
      'const result = await apply()\n        id = this.journal.standingChange(what)?.id ?? this.#begin(what, undo)\n',
    ],
    [
      "this.journal.append({ type: 'outcome', id, state: 'failed'",
      "if (id > 0) this.journal.append({ type: 'outcome', id, state: 'failed'",
    ],
  ],
}

/** A rollback neither resets the new machine nor looks whether it is off. */
export const withoutFencing: Sabotage = {
  module: 'lib/recovery/rollback/fence.ts',
  replace: [
    ['const { replacement } = way\n  if (!replacement) return\n', 'if (way) return\n  const { replacement } = way\n'],
    ["if (seen.state !== 'running' || !sameMachine(seen.identity, identity)) return\n", 'if (seen) return\n'],
  ],
}

/** Bundles run and rollback with the sabotage in them. @returns their folder; remove() it */
export async function brokenBuild(name: string, sabotage: Sabotage): Promise<{ folder: string; remove: () => void }> {
  const folder = join(projectFolder, 'dist', `broken-${name}-${process.pid}`)
  const programs = ['run', 'rollback'].map((script) => join(projectFolder, 'scripts', `${script}.ts`))
  await bundle(programs, folder, [saboteur(sabotage)])
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

function saboteur({ module, replace }: Sabotage): Plugin {
  return {
    name: 'saboteur',
    setup: (build) => {
      const path = join(projectFolder, module)
      build.onLoad({ filter: /\.ts$/ }, (file) => {
        if (file.path !== path) return undefined
        let contents = readFileSync(path, 'utf8')
        for (const [from, to] of replace) {
          if (!contents.includes(from)) throw new Error(`${module} has no longer what is to be broken in it: ${from}`)
          contents = contents.replace(from, to)
        }
        return { contents, loader: 'ts' }
      })
    },
  }
}
