import { readFile, realpath, stat, statfs } from 'node:fs/promises'
import { isInside, nearestExisting } from './disk.ts'

// From Linux' include/uapi/linux/magic.h and fs/: NFS, SMB, SMB2, CIFS, 9p, Ceph, AFS, AFS of the kernel, and FUSE, behind which sshfs, rclone and GlusterFS are.
const networkFileSystems = new Set([
  0x6969, 0x517b, 0xfe534d42, 0xff534d42, 0x01021997, 0x00c36400, 0x5346414f, 0x6b414653, 0x65735546,
])

/** What the system knows of mounts; passed in, so that a test can have a NAS. */
export interface MountTables {
  /** in the format of fstab(5): what is to be mounted */
  fstab: string
  /** in the format of /proc/self/mounts, proc(5): what is */
  mounts: string
}

/** Those of this machine; empty where there are none, as on macOS. */
export async function mountTables(): Promise<MountTables> {
  const read = (file: string) => readFile(file, 'utf8').catch(() => '')
  return { fstab: await read('/etc/fstab'), mounts: await read('/proc/self/mounts') }
}

/**
 * The mount point that a path lies below, by fstab, and where nothing is mounted now: what is written there lands on the disk below it, and is
 * hidden when the NAS comes back.
 */
export function unmountedPoint(path: string, { fstab, mounts }: MountTables): string | undefined {
  const mounted = new Set(points(mounts))
  if (mounted.size === 0) return undefined
  return points(fstab).find(
    (point) => point !== '/' && point.startsWith('/') && isInside(path, point) && !mounted.has(point),
  )
}

/** Whether a folder, or where it would be made, is on another machine by its file system (statfs(2)). */
export async function isOnNetwork(folder: string): Promise<boolean> {
  if (process.platform !== 'linux') return false
  return networkFileSystems.has((await statfs(await nearestExisting(folder))).type)
}

/** Whether two folders, or where they would be made, are on the same file system. */
export async function onSameFileSystem(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([a, b].map(async (path) => stat(await nearestExisting(path))))
  return first?.dev === second?.dev
}

/** A path without symbolic links, as far as it exists. */
export async function realPath(path: string): Promise<string> {
  const existing = await nearestExisting(path)
  return (await realpath(existing)) + path.slice(existing.length)
}

/** The second field of each line; spaces and the like are written in octal. */
function points(table: string): string[] {
  const lines = table.split('\n').filter((line) => !line.trimStart().startsWith('#'))
  const fields = lines.map((line) => line.trim().split(/\s+/)[1] ?? '')
  return fields
    .filter((field) => field.startsWith('/'))
    .map((field) => field.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))))
    .map((field) => (field === '/' ? field : field.replace(/\/+$/, '')))
}
