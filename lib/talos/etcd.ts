import { dirname, join } from 'node:path'
import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { Condition } from '../migration/migration.ts'
import type { Talosctl, Target } from './talosctl.ts'
import { patiently, TalosctlError } from './talosctl-error.ts'

/** One member of etcd's cluster, as `talosctl etcd members` lists it. */
export interface EtcdMember {
  /** hex, 16 digits */
  id: string
  hostname: string
  peerUrls: string[]
  clientUrls: string[]
  learner: boolean
}

const service = z.object({ running: z.boolean(), healthy: z.boolean(), unknown: z.boolean().default(false) }).loose()

/**
 * etcd's members as the machine's own etcd knows them; deadline in seconds.
 * @throws TalosctlError (transient) while etcd does not run there
 */
export async function etcdMembers(talosctl: Talosctl, target: Target, deadline = 30): Promise<EtcdMember[]> {
  const { stdout } = await talosctl.run(target, ['etcd', 'members'], { deadline })
  return parseTable(stdout).map((row) => ({
    id: row.ID ?? '',
    hostname: row.HOSTNAME ?? '',
    peerUrls: (row['PEER URLS'] ?? '').split(',').filter(Boolean),
    clientUrls: (row['CLIENT URLS'] ?? '').split(',').filter(Boolean),
    learner: row.LEARNER === 'true',
  }))
}

/** The alarms that are raised (NOSPACE, CORRUPT); none is well. */
export async function etcdAlarms(talosctl: Talosctl, target: Target): Promise<string[]> {
  const { stdout } = await talosctl.run(target, ['etcd', 'alarm', 'list'])
  return parseTable(stdout).flatMap((row) => row.ALARM ?? [])
}

export interface EtcdStatus {
  member: string
  leader: string
  /** as talosctl prints them: `12 MB`, `8.1 MB (67.50%)` */
  size: string
  inUse: string
  raftIndex: number
  learner: boolean
  errors: string
}

/**
 * The bytes of etcd's database file, which is what a snapshot has, but for 32; rounded to two digits, as talosctl tells them.
 * @returns undefined when it is not to be had
 */
export async function databaseBytes(talosctl: Talosctl, target: Target): Promise<number | undefined> {
  const status = await etcdStatus(talosctl, target).catch(() => null)
  const found = /^([\d.]+) ?([kMGT]?)B/.exec(status?.size ?? '')
  return found ? Number(found[1]) * 1000 ** ' kMGT'.indexOf(found[2] || ' ') : undefined
}

/** The state of the machine's own member; deadline in seconds. */
export async function etcdStatus(talosctl: Talosctl, target: Target, deadline = 30): Promise<EtcdStatus | null> {
  const { stdout } = await talosctl.run(target, ['etcd', 'status'], { deadline })
  const row = parseTable(stdout)[0]
  if (!row) return null
  return {
    member: row.MEMBER ?? '',
    leader: row.LEADER ?? '',
    size: row['DB SIZE'] ?? '',
    inUse: row['IN USE'] ?? '',
    raftIndex: Number(row['RAFT INDEX'] ?? 0),
    learner: row.LEARNER === 'true',
    errors: row.ERRORS ?? '',
  }
}

/** Whether Talos calls its etcd service running and healthy. */
export async function etcdService(talosctl: Talosctl, target: Target): Promise<{ running: boolean; healthy: boolean }> {
  const found = await talosctl.resources(target, 'services', service)
  const { running = false, healthy = false } = found.find(({ id }) => id === 'etcd')?.spec ?? {}
  return { running, healthy }
}

export interface TakenSnapshot {
  path: string
  /** etcdutl's hash of the key space, hex, as talosctl prints it */
  hash: string | null
}

/**
 * Streams a snapshot of the machine's etcd into a folder.
 * @param folder a memory folder: the file is plain and holds every Secret
 * @param deadline seconds; a homelab's 100 MB come in one, a slow line takes longer
 * @param pause seconds for which nothing of it may come in
 * @throws OperatorError when the folder is too small, with what it needs; TalosctlError
 */
export async function takeSnapshot(
  talosctl: Talosctl,
  target: Target,
  folder: string,
  deadline = 600,
  pause = 60,
): Promise<TakenSnapshot> {
  const path = join(folder, 'etcd.snapshot')
  const { stdout } = await talosctl
    .run(target, ['etcd', 'snapshot', path], { deadline, steady: { path, seconds: pause } })
    .catch(async (error: unknown) => {
      if (!(error instanceof TalosctlError) || error.reason !== 'no-room') throw error
      throw tooSmall(folder, await databaseBytes(talosctl, target), error)
    })
  return { path, hash: /snapshot info: hash ([0-9a-f]{8})/.exec(stdout)?.[1] ?? null }
}

/** A plain snapshot goes into memory, and nowhere else. */
function tooSmall(folder: string, bytes: number | undefined, cause: unknown): OperatorError {
  const needed = bytes === undefined ? "as much as etcd's database has" : `about ${Math.ceil(bytes / 1e6)} MB`
  const size = bytes === undefined ? '2G' : `${Math.ceil((bytes * 1.5) / 1e6)}M`
  return new OperatorError(`There is no room for the etcd snapshot in ${dirname(folder)} (MEMORY_DIR).`, {
    means: `It needs ${needed} there, for it is plain, and lies in memory only. No backup was made.`,
    next: `Set MEMORY_DIR to a larger tmpfs, or enlarge it: mount -o remount,size=${size} ${dirname(folder)}`,
    cause,
  })
}

/** Waits until etcd on the machine is healthy, raises no alarm, and is a cluster of exactly one voter. */
export function oneHealthyVoter(talosctl: Talosctl, target: Target, timeoutSeconds: number): Condition<EtcdMember> {
  return {
    name: `etcd on ${target.address} is one healthy voter`,
    timeoutSeconds,
    everyMs: 500,
    hint: `Look at it: talosctl --nodes ${target.address} service etcd; talosctl --nodes ${target.address} logs etcd`,
    probe: () =>
      patiently(async () => {
        const { running, healthy } = await etcdService(talosctl, target)
        if (!running || !healthy)
          return { met: false, saw: running ? 'etcd runs, not healthy yet' : 'etcd does not run yet' }
        const [members, alarms] = await Promise.all([etcdMembers(talosctl, target), etcdAlarms(talosctl, target)])
        const [member] = members
        if (members.length > 1) throw joinedAnother(target, members)
        if (alarms.length > 0) return { met: false, saw: `etcd raises ${alarms.join(', ')}` }
        if (members.length === 1 && member && !member.learner) return { met: true, value: member }
        return { met: false, saw: `its members: ${members.map(describeMember).join(', ') || 'none'}` }
      }),
  }
}

// A machine that finds etcd of its own secrets alive joins it instead of waiting for its bootstrap.
function joinedAnother(target: Target, members: EtcdMember[]): OperatorError {
  return new OperatorError(`etcd on ${target.address} is not alone: ${members.map(describeMember).join(', ')}.`, {
    means: 'Another control plane of this cluster is alive, and the machine has joined it. Nothing was recovered.',
    next: `Switch the other one off for good, reset this one (talosctl reset --nodes ${target.address} --graceful=false --reboot), and repeat.`,
  })
}

function describeMember({ hostname, id, learner }: EtcdMember): string {
  return `${hostname} (${id}${learner ? ', learner' : ''})`
}

/**
 * Reads a table of Go's tabwriter: columns are at least three spaces apart and begin where their heading does.
 * A column may be empty, so the positions count, not the gaps.
 */
export function parseTable(text: string): Record<string, string>[] {
  const [heading, ...rows] = text.split('\n').filter((line) => line.trim() !== '')
  if (heading === undefined) return []
  const columns = [...heading.matchAll(/\S+(?: \S+)*/g)].map((found) => ({ name: found[0], start: found.index }))
  return rows.map((row) =>
    Object.fromEntries(
      columns.map(({ name, start }, index) => [name, row.slice(start, columns[index + 1]?.start).trim()]),
    ),
  )
}
