import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import { projectFolder } from '../../settings.ts'
import { catalogue } from '../binaries/catalogue.ts'
import { type BinariesOptions, ensureTools } from '../binaries.ts'

/**
 * Finds the real liqoctl, and builds it where there is none, which takes some minutes, once.
 * @returns null, having said why in one sentence, where it cannot be built
 * @throws OperatorError when LIQOCTL_BINARY names a wrong one; the signal's reason
 */
export async function realLiqoctl(options: BinariesOptions): Promise<string | null> {
  try {
    const found = await ensureTools(catalogue(['liqoctl']), options)
    return found.get('liqoctl')?.path ?? null
  } catch (error) {
    if (!(error instanceof OperatorError) || error.exitCode === 2) throw error
    const why = messageOf(error).replace(/[.:]$/, '')
    options.progress.warn(
      `The real liqoctl is not to be had (${why}): a program that takes the same arguments, and does to both clusters what Liqo's documentation says, stands in for it.`,
    )
    return null
  }
}

/** The real liqoctl that LIQOCTL_BINARY names; without one, a program in the folder that stands in for it. */
export function liqoctlFor(folder: string, environment = process.env): string {
  return environment.LIQOCTL_BINARY || writeStandIn(folder)
}

/** Writes a program `liqoctl` into the folder that runs stand-in.ts. */
export function writeStandIn(folder: string): string {
  const path = join(folder, 'liqoctl')
  // In a bundle this file is elsewhere; the sources are where they were.
  const source = join(projectFolder, 'lib/rehearsal/liqo/stand-in.ts')
  const tsx = fileURLToPath(import.meta.resolve('tsx'))
  // Every phase asks for the version; that takes no Node.
  const version = `[ "$1" = version ] && { echo 'Client version: v1.0.1'; exit 0; }`
  writeFileSync(path, `#!/bin/sh\n${version}\nexec '${process.execPath}' --import '${tsx}' '${source}' "$@"\n`)
  chmodSync(path, 0o755)
  return path
}
