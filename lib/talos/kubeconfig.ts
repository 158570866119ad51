import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import { parse } from 'yaml'
import { z } from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { Talosctl, Target } from './talosctl.ts'

const kubeconfig = z.object({
  clusters: z.array(z.object({ cluster: z.object({ server: z.string() }).loose() }).loose()).min(1),
  users: z.array(z.unknown()).min(1),
})

/** Asks a machine for an administrator's kubeconfig; a new client certificate every time. */
export async function adminKubeconfig(talosctl: Talosctl, target: Target): Promise<string> {
  const { stdout } = await talosctl.run(target, ['kubeconfig', '-', '--merge=false'])
  const read = kubeconfig.safeParse(parse(stdout, { prettyErrors: false }))
  if (read.success) return stdout
  throw new OperatorError(`What ${target.address} answered is not a kubeconfig.`, {
    next: `Look at it yourself: talosctl --nodes ${target.address} kubeconfig - --merge=false`,
  })
}

/**
 * Replaces settings.kubeconfig by a fresh one of the machine (0600, in one go). A kubeconfig is a secret: the previous one is
 * kept encrypted in the run's folder, and the undo data only says where.
 * @param encrypt writes its first argument, encrypted, to the path of its second
 */
export async function replaceKubeconfig(
  migration: Migration,
  talosctl: Talosctl,
  target: Target,
  encrypt: (plain: Buffer, path: string) => Promise<void>,
): Promise<void> {
  const path = migration.settings.kubeconfig
  const previous = migration.dryRun ? null : await keepPrevious(path, migration.runFolder, encrypt)
  await migration.change(`Write ${path} for the cluster at ${target.address}`, {
    undo: { kind: 'kubeconfig', path, previous },
    apply: async () => {
      const content = await adminKubeconfig(talosctl, target)
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await writeFileAtomic(path, content, { mode: 0o600 })
    },
  })
}

/** Keeps a kubeconfig, encrypted, in the run folder. @returns where; null when there is none */
export async function keepPrevious(
  path: string,
  folder: string,
  encrypt: (plain: Buffer, path: string) => Promise<void>,
): Promise<string | null> {
  const content = await readFile(path).catch(() => null)
  if (content === null) return null
  // Named by its content, so that a resumed run does not lay its own kubeconfig over the operator's.
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 12)
  const kept = join(folder, `${basename(path)}.${digest}.age`)
  if (!existsSync(kept)) {
    await encrypt(content, `${kept}.partial`)
    await rename(`${kept}.partial`, kept)
  }
  return kept
}
