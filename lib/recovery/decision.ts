import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { calledIn } from '../gitops/holders.ts'
import { type Loss, type ObjectSource, planRebuild, type Rebuild } from '../gitops/rebuild.ts'
import { parseRestoreList, restoreListName, unreadable, verifyRestoreList } from '../gitops/restore-list.ts'
import { goesWithPeering } from '../network/liqo/peering.ts'
import type { Settings } from '../settings.ts'
import { leftToCluster } from './objects.ts'

/** What a rebuild from Git restores and loses, as it was worked out and as the operator has edited it. */
export interface Decision {
  readonly rebuild: Rebuild
  /** by calledIn(): what is restored before Flux and Argo CD run, and these themselves */
  readonly before: ReadonlySet<string>
  readonly engine: ReadonlySet<string>
  readonly losses: readonly Loss[]
  /** where the list was read; undefined when it was worked out just now */
  readonly listed: string | undefined
}

/** Where the list lies between the plan and the evening: beside the runs, for it is older than any of them. */
export function restoreListPath({ outputDir }: Pick<Settings, 'outputDir'>): string {
  return join(outputDir, restoreListName)
}

/**
 * Works out what a rebuild from Git restores. The operator's list decides, if there is one.
 * @param tornDown the other cluster of a peering that is to be made anew: what is left of it in the source would be in the way
 * @throws OperatorError when that cannot be read, or names what the source does not have
 */
export async function decide(
  settings: Pick<Settings, 'outputDir'>,
  source: ObjectSource,
  tornDown?: string,
): Promise<Decision> {
  const restorable = tornDown === undefined ? source : withoutPeering(source, tornDown)
  const rebuild = await planRebuild(restorable, leftToCluster)
  const path = restoreListPath(settings)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw unreadable(path, error)
  })
  if (text === undefined) return decided(rebuild, new Set(rebuild.restored.map(({ called }) => called)), undefined)
  const list = parseRestoreList(text, path)
  verifyRestoreList(list, await namesIn(source), source.origin)
  const there = await namesIn(restorable)
  return decided(rebuild, new Set([...list.names].filter((name) => there.has(name))), path)
}

function decided(rebuild: Rebuild, names: ReadonlySet<string>, listed: string | undefined): Decision {
  const engine = new Set(rebuild.restored.filter((one) => one.engine && names.has(one.called)).map((one) => one.called))
  const before = new Set([...names].filter((name) => !engine.has(name)))
  const left = rebuild.restored.filter(({ called }) => !names.has(called))
  const unlisted: Loss[] = left.map(({ called, kind }) => ({
    called,
    kind,
    what: 'object',
    why: 'neither in Git nor in the list',
    unlisted: true,
  }))
  const losses = [...unlisted, ...rebuild.losses.filter(({ called }) => !names.has(called))]
  return { rebuild, before, engine, losses, listed }
}

function withoutPeering({ origin, objects }: ObjectSource, other: string): ObjectSource {
  return {
    origin,
    objects: async function* () {
      for await (const one of objects()) if (!goesWithPeering(one.resource, one.object, other)) yield one
    },
  }
}

async function namesIn(source: ObjectSource): Promise<Set<string>> {
  const names = new Set<string>()
  for await (const one of source.objects()) names.add(calledIn(one))
  return names
}
