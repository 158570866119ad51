import { statSync } from 'node:fs'

export interface Mount {
  /** A folder or file of this machine. */
  from: string
  /** Where the command sees it: below /mnt, the one place that can be taken for it alone. */
  to: string
  readOnly: boolean
}

/**
 * How to run a command with folders mounted where it expects them, seen by it alone: in a mount namespace of its own (unshare(1)), and
 * for others than root in a user namespace too.
 */
export function enter(mounts: readonly Mount[], command: readonly string[]): { command: string; args: string[] } {
  const lines = mounts.flatMap(({ from, to, readOnly }) => {
    if (!to.startsWith('/mnt/')) throw new Error(`${to} is not below /mnt`)
    const made = statSync(from).isDirectory() ? `mkdir -p ${quoted(to)}` : `touch ${quoted(to)}`
    const bind = `mount --bind ${quoted(from)} ${quoted(to)}`
    return [made, bind, ...(readOnly ? [`mount -o remount,bind,ro ${quoted(to)}`] : [])]
  })
  const script = ['set -e', 'mount -t tmpfs tmpfs /mnt', ...lines, 'exec "$@"'].join('\n')
  const user = process.getuid?.() === 0 ? [] : ['--map-root-user']
  return {
    command: 'unshare',
    args: [...user, '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...command],
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
