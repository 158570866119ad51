import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { formatBytes } from '../migration/console/bytes.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { parseAddress } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'
import { liveMachineConfig } from '../talos/machine-config.ts'
import { secretsBundleOf } from '../talos/secrets-bundle.ts'
import type { Talosctl } from '../talos/talosctl.ts'
import type { Archive } from './archive.ts'
import type { FileEntry } from './manifest.ts'

/** A file of the operator's, and where it goes. */
interface Credential {
  path: string
  file: string
  /** the setting that names it; undefined for what was found in configs/ */
  variable?: string
}

// A machine config has some 100 kB; whatever is larger than this is no config.
const largestConfigBytes = 4 * 1024 * 1024
const configsDepth = 4

/**
 * Writes talosconfig, kubeconfig, the control plane's config, everything in the homelab's configs/ and the secrets bundle into the archive, encrypted. Without
 * a bundle of its own the homelab gets the one that the control plane's live config holds.
 * @throws OperatorError when one of the named files is not there
 */
export async function backUpCredentials(
  migration: Migration,
  talosctl: Talosctl,
  archive: Archive,
): Promise<FileEntry[] | undefined> {
  const { settings } = migration
  const credentials = [...named(settings), ...(await configsOf(migration))]
  const what = settings.secretsBundle ? 'the secrets bundle' : "the secrets bundle out of the control plane's config"
  return migration.change(
    `Write ${[...credentials.map(({ path }) => path), what].join(', ')} into ${archive.name}, encrypted`,
    {
      apply: async () => {
        const kept: FileEntry[] = []
        for (const { path, file, variable } of credentials)
          kept.push(await archive.add(path, await read(file, variable)))
        return [...kept, await archive.add('secrets.yaml.gz.age', await bundle(settings, talosctl))]
      },
    },
  )
}

function named({ talosconfig, kubeconfig, controlplaneConfig }: Settings): Credential[] {
  return [
    { path: 'talosconfig.gz.age', file: talosconfig, variable: 'TALOSCONFIG' },
    { path: 'kubeconfig.gz.age', file: kubeconfig, variable: 'KUBECONFIG' },
    { path: 'controlplane.yaml.gz.age', file: controlplaneConfig, variable: 'CONTROLPLANE_CONFIG' },
  ]
}

/** What homelabs keep in configs/: machine configs, patches, talosconfig. What is too large to be one is told, and left alone. */
async function configsOf({ settings, console }: Migration): Promise<Credential[]> {
  const folder = join(settings.homelabDir, 'configs')
  const found: Credential[] = []
  for (const file of await filesBelow(folder, configsDepth)) {
    const { size } = await stat(file)
    if (size > largestConfigBytes)
      console.warn(`${file} has ${formatBytes(size)}: it is no config, and not in the backup.`)
    else found.push({ path: `configs/${archived(relative(folder, file))}.gz.age`, file })
  }
  return found
}

async function filesBelow(folder: string, depth: number, passed = new Set<string>()): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw error
  })
  passed.add(await realpath(folder).catch(() => folder))
  const found: string[] = []
  for (const name of names.sort()) {
    const path = join(folder, name)
    // A link that leads nowhere is no file.
    const there = await stat(path).catch(() => undefined)
    if (there?.isFile()) found.push(path)
    const enter = there?.isDirectory() && depth > 1 && name !== '.git' && !passed.has(await realpath(path))
    if (enter) found.push(...(await filesBelow(path, depth - 1, passed)))
  }
  return found
}

/** A path as the archive takes it: what other characters there are, and a leading dot, are written as @ and their code in hex. */
function archived(path: string): string {
  const escaped = (text: string) =>
    [...Buffer.from(text)].map((byte) => `@${byte.toString(16).padStart(2, '0')}`).join('')
  const parts = path.split(sep).map((part) => part.replace(/[^A-Za-z0-9._:+-]/gu, escaped).replace(/^\./, escaped))
  return parts.join('/')
}

async function read(file: string, variable: string | undefined): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new OperatorError(`${file} cannot be read: ${messageOf(error)}`, {
      means: 'Without it the backup would not be complete.',
      next: variable ? `Set ${variable} to the right file.` : 'Make it readable, or move it out of configs/.',
      cause: error,
    })
  })
}

async function bundle(settings: Settings, talosctl: Talosctl): Promise<Buffer> {
  if (settings.secretsBundle !== undefined) return read(settings.secretsBundle, 'SECRETS_BUNDLE')
  const address = parseAddress(settings.nodeAddress, 'TALOS_NODE')
  return secretsBundleOf(talosctl, await liveMachineConfig(talosctl, { address }))
}
