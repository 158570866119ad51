import { accessSync, constants, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { OperatorError } from '../../migration/errors.ts'
import type { Tool } from './catalogue.ts'
import { judge } from './version-gate.ts'

export type Environment = Record<string, string | undefined>

/** A binary that fits, and where it was found. */
export interface Found {
  path: string
  version: string
  origin: 'setting' | 'PATH' | 'KUBEBUILDER_ASSETS' | 'cache' | 'built'
}

/** Where the project keeps what it built: ${XDG_CACHE_HOME:-~/.cache}/talos-migrate (XDG Base Directory Specification). */
export function cacheFolder(environment: Environment = process.env): string {
  const base = environment.XDG_CACHE_HOME
  return join(base?.startsWith('/') ? base : join(environment.HOME ?? homedir(), '.cache'), 'talos-migrate')
}

/**
 * Looks for a binary of the pinned version: the explicit setting, PATH, KUBEBUILDER_ASSETS, the cache, in this order.
 * A binary of another version on the way is passed over, and `note` is told why.
 * @param cached where the cache would have it
 * @returns null when it has to be built
 * @throws OperatorError when the explicit setting names something that does not fit
 */
export async function find(
  tool: Tool,
  cached: string,
  environment: Environment,
  note: (text: string) => void,
): Promise<Found | null> {
  const named = environment[tool.setting]
  if (named) return { ...(await mustFit(tool, resolve(named))), origin: 'setting' }
  for (const { path, origin } of candidates(tool, cached, environment)) {
    const verdict = await judge(tool, path)
    if (verdict.fits) return { path, version: verdict.version, origin }
    note(`${verdict.because}: passed over`)
  }
  return null
}

async function mustFit(tool: Tool, path: string): Promise<{ path: string; version: string }> {
  const refused = (because: string) =>
    new OperatorError(`${tool.setting} names a ${tool.name} that cannot be used: ${because}.`, {
      means: `The rehearsal is pinned to ${tool.name} ${tool.version}, and what is asked for by name is not replaced silently.`,
      next: `unset ${tool.setting}   (then one is looked for, or built), or let it name ${tool.name} ${tool.version}`,
      exitCode: 2,
    })
  if (!isExecutable(path)) throw refused(`${path} is no executable file`)
  const verdict = await judge(tool, path)
  if (!verdict.fits) throw refused(verdict.because)
  return { path, version: verdict.version }
}

function candidates(tool: Tool, cached: string, environment: Environment): { path: string; origin: Found['origin'] }[] {
  const places: { path: string; origin: Found['origin'] }[] = []
  if (tool.foreign) {
    const onPath = (environment.PATH ?? '').split(delimiter).filter((folder) => folder.startsWith('/'))
    const first = onPath.map((folder) => join(folder, tool.name)).find(isExecutable)
    if (first) places.push({ path: first, origin: 'PATH' })
    const assets = environment.KUBEBUILDER_ASSETS
    if (assets) places.push({ path: resolve(assets, tool.name), origin: 'KUBEBUILDER_ASSETS' })
  }
  places.push({ path: cached, origin: 'cache' })
  return places.filter(({ path }) => isExecutable(path))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
