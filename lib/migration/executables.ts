import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { $ } from 'zx/core'
import { announceCommand } from './calls.ts'

/** The first executable of that name in the folders of PATH. */
export async function findOnPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    if (await isExecutable(join(folder, name))) return join(folder, name)
  }
  return undefined
}

/** Whether this user may run it. */
export async function isExecutable(path: string): Promise<boolean> {
  const file = await stat(path).catch(() => null)
  if (!file?.isFile()) return false
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/**
 * Runs a program to its end, whatever its exit code. It has no standard input: one that asks for something is not to wait for an answer.
 * @param deadlineSeconds after which it is ended
 */
export function runToItsEnd(binary: string, args: readonly string[], deadlineSeconds: number) {
  announceCommand(binary, args)
  return $({
    quiet: true,
    nothrow: true,
    timeout: deadlineSeconds * 1000,
    stdio: ['ignore', 'pipe', 'pipe'],
  })`${binary} ${args as string[]}`
}
