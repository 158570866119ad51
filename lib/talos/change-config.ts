import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { withMemoryFolder } from '../migration/memory-folder.ts'
import type { Settings } from '../settings.ts'
import { differences, type FieldChange, type Fields, mainDocument } from './config-fields.ts'
import { type MachineConfig, parseMachineConfig } from './machine-config.ts'
import type { Talosctl } from './talosctl.ts'

/**
 * Changes fields of a config's main document, through `talosctl machineconfig patch`; its other documents stay as they are. A list is
 * taken out and put in anew, for a strategic merge would add to it (Talos documentation, "Configuration Patches").
 * @param alter gives the main document as it is to be; it may not change its argument
 * @param settings where memory is: patches can hold secrets, so they go neither onto a disk nor into an argument
 * @throws TalosctlError when talosctl refuses the result
 */
export async function changeConfig(
  talosctl: Talosctl,
  config: MachineConfig,
  alter: (main: Fields) => Fields,
  settings: Pick<Settings, 'memoryDir'>,
): Promise<MachineConfig> {
  const main = mainDocument(config.text)
  const changes = differences(main, alter(main))
  if (changes.length === 0) return config
  return withMemoryFolder(settings, async (folder) => {
    const patches = patchesFor(changes)
    const files = patches.map((_, i) => join(folder, `patch-${i}.yaml`))
    await Promise.all(patches.map((patch, i) => writeFile(files[i] ?? '', stringify(patch), { mode: 0o600 })))
    return patchWith(talosctl, config, files)
  })
}

/**
 * Lays patch files over a config.
 * @param files patches in any of the forms that talosctl knows
 * @throws TalosctlError when talosctl refuses the result
 */
export async function patchWith(
  talosctl: Talosctl,
  config: MachineConfig,
  files: readonly string[],
): Promise<MachineConfig> {
  const args = ['machineconfig', 'patch', '/dev/stdin', ...files.flatMap((file) => ['--patch', `@${file}`])]
  const { stdout } = await talosctl.local(args, { input: config.text })
  return parseMachineConfig(stdout, config.origin)
}

/** First what goes, then what comes: two patches, of which either may be missing. */
function patchesFor(changes: readonly FieldChange[]): Fields[] {
  const gone = changes.filter(({ before, after }) => before !== undefined && (after === undefined || isWhole(after)))
  const come = changes.filter(({ after }) => after !== undefined && after !== null)
  const deletion = gone.reduce<Fields>((patch, { path }) => placed(patch, path, { $patch: 'delete' }), {})
  const addition = come.reduce<Fields>((patch, { path, after }) => placed(patch, path, after), {})
  return [...(gone.length > 0 ? [deletion] : []), ...(come.length > 0 ? [addition] : [])]
}

/** What a merge would not replace. */
function isWhole(value: unknown): boolean {
  return typeof value === 'object'
}

function placed(tree: Fields, [name, ...rest]: readonly string[], value: unknown): Fields {
  if (name === undefined) return tree
  const below = (tree[name] ?? {}) as Fields
  return { ...tree, [name]: rest.length === 0 ? value : placed(below, rest, value) }
}
