import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import { parse } from 'yaml'
import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { Migration, Undone } from '../migration/migration.ts'
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
      migration.remember(writtenFact, digestOf(Buffer.from(content)))
    },
  })
}

const writtenFact = 'kubeconfig-written'
const undoSchema = z.object({ kind: z.literal('kubeconfig'), path: z.string(), previous: z.string().nullable() })

/**
 * Gives the operator the kubeconfig back that replaceKubeconfig has replaced, if nobody has changed the file since. Where there was
 * none before, the new one stays: it lets nobody in whom the machine's own talosconfig does not.
 * @param decrypt gives the content of a file of the run's folder
 * @param takeBack also if somebody has changed it
 */
export async function undoKubeconfig(
  migration: Migration,
  undo: unknown,
  decrypt: (path: string) => Promise<Buffer>,
  takeBack = false,
): Promise<Undone> {
  const { path, previous } = undoSchema.parse(undo)
  if (previous === null) return 'already'
  const before = await decrypt(previous)
  const now = await readFile(path).catch(() => null)
  if (now?.equals(before)) return 'already'
  const written = migration.recall(writtenFact, z.string())
  if (now && written !== undefined && digestOf(now) !== written && !takeBack) {
    return `conflict: ${path} was changed since this run has written it. Kept as it is; what it was before lies encrypted in ${previous}.`
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFileAtomic(path, before, { mode: 0o600 })
  return 'undone'
}

function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
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
  const digest = digestOf(content).slice(0, 12)
  const kept = join(folder, `${basename(path)}.${digest}.age`)
  if (!existsSync(kept)) {
    await encrypt(content, `${kept}.partial`)
    await rename(`${kept}.partial`, kept)
  }
  return kept
}
