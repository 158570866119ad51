import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { MachineConfig } from './machine-config.ts'
import type { Talosctl, Target } from './talosctl.ts'

/** Talos' documentation asks for 10 GB at the least ("System Requirements"): EFI, BOOT, META, STATE, and EPHEMERAL with etcd. */
const smallest = 10_000_000_000

const disk = z
  .object({
    dev_path: z.string(),
    size: z.coerce.number(),
    readonly: z.boolean().default(false),
    cdrom: z.boolean().default(false),
    model: z.string().optional(),
    serial: z.string().optional(),
    wwid: z.string().optional(),
    uuid: z.string().optional(),
    modalias: z.string().optional(),
    bus_path: z.string().optional(),
    transport: z.string().optional(),
    rotational: z.boolean().default(false),
    symlinks: z.array(z.string()).nullish(),
  })
  .loose()

/** A block device as Talos sees it; size in bytes. */
export type Disk = z.output<typeof disk>

/** A machine's disks, also in maintenance mode (`talosctl get disks`). Loop devices and the like are left out; deadline in seconds. */
export async function disks(talosctl: Talosctl, target: Target, deadline = 30): Promise<Disk[]> {
  const found = await talosctl.resources(target, 'disks', disk, { deadline })
  return found.map(({ spec }) => spec).filter((spec) => !/\/dev\/(loop|zram|ram)\d+$/.test(spec.dev_path))
}

/**
 * The disk that Talos would install itself on, by the config's `machine.install`.
 * @throws OperatorError when there is none, several would do, or it is too small or read-only
 */
export function installDisk(config: MachineConfig, present: readonly Disk[]): Disk {
  const { disk: path, selector } = config.install
  // The selector has priority over the path, as in Talos.
  const chosen = selector
    ? present.filter((candidate) => matches(candidate, selector))
    : present.filter((candidate) => isAt(candidate, path))
  const wanted = selector ? `machine.install.diskSelector ${JSON.stringify(selector)}` : `machine.install.disk ${path}`
  if (!selector && !path) throw unfit(config, 'it names no disk to install on (machine.install.disk)', present)
  const found = chosen[0]
  if (!found) throw unfit(config, `${wanted} does not exist on the new machine`, present)
  if (selector && chosen.length > 1)
    throw unfit(config, `${wanted} fits ${chosen.length} disks of the new machine`, present)
  if (found.cdrom || found.readonly)
    throw unfit(config, `${found.dev_path} of the new machine cannot be written`, present)
  if (found.size < smallest) {
    throw unfit(
      config,
      `${found.dev_path} of the new machine has ${gigabytes(found.size)}, and Talos needs 10 GB`,
      present,
    )
  }
  return found
}

function isAt(candidate: Disk, path: string | undefined): boolean {
  return candidate.dev_path === path || (path !== undefined && (candidate.symlinks?.includes(path) ?? false))
}

const fields: Record<string, (candidate: Disk) => string | undefined> = {
  model: (candidate) => candidate.model,
  serial: (candidate) => candidate.serial,
  wwid: (candidate) => candidate.wwid,
  uuid: (candidate) => candidate.uuid,
  modalias: (candidate) => candidate.modalias,
  busPath: (candidate) => candidate.bus_path,
  name: (candidate) => candidate.model,
}

// Talos reads all attributes as "and"; `*` stands for anything (Talos reference, InstallDiskSelector).
function matches(candidate: Disk, selector: Record<string, unknown>): boolean {
  return Object.entries(selector).every(([attribute, wanted]) => {
    if (attribute === 'size') return sizeMatches(candidate.size, String(wanted))
    if (attribute === 'type') return typeMatches(candidate, String(wanted))
    const value = fields[attribute]?.(candidate)
    return value !== undefined && globMatches(value, String(wanted))
  })
}

function typeMatches({ transport, rotational, dev_path }: Disk, type: string): boolean {
  if (type === 'nvme') return transport === 'nvme' || dev_path.startsWith('/dev/nvme')
  if (type === 'sd') return transport === 'mmc' || dev_path.startsWith('/dev/mmcblk')
  return type === 'hdd' ? rotational : !rotational
}

/** Whether a text fits a pattern in which `*` stands for anything. */
export function globMatches(value: string, glob: string): boolean {
  const pattern = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${pattern.join('.*')}$`).test(value)
}

const units: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
}

/** `>= 1TB`, `<= 2TiB`, `== 4GB`, `4GB`. */
function sizeMatches(size: number, condition: string): boolean {
  const read = /^\s*(==|<=|>=|<|>)?\s*([\d.]+)\s*([kmgt]?i?)b?\s*$/i.exec(condition)
  const factor = read && units[(read[3] ?? '').toLowerCase()]
  if (!read || factor === null || factor === undefined) return false
  const wanted = Number(read[2]) * factor
  const comparisons: Record<string, boolean> = {
    '<': size < wanted,
    '<=': size <= wanted,
    '>': size > wanted,
    '>=': size >= wanted,
    '==': size === wanted,
  }
  return comparisons[read[1] ?? '=='] ?? false
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`
}

function unfit(config: MachineConfig, why: string, present: readonly Disk[]): OperatorError {
  const list = present.map(
    ({ dev_path, size, model }) => `${dev_path} (${gigabytes(size)}${model ? `, ${model}` : ''})`,
  )
  return new OperatorError(`${config.origin} does not fit the new machine: ${why}.`, {
    means: `The machine has: ${list.join(', ') || 'no disk at all'}. Nothing was applied.`,
    next: 'Correct machine.install in the config, or the machine, and run the same command again.',
  })
}
