import { join } from 'node:path'
import pMap from 'p-map'
import { build, cachedPath } from './binaries/build.ts'
import { type BinaryName, binaryNames, catalogue, type Tool } from './binaries/catalogue.ts'
import { cacheFolder, type Environment, type Found, find } from './binaries/find.ts'
import { type LockHolder, waitForLock } from './file-lock.ts'
import type { Progress } from './progress.ts'

export type { BinaryName } from './binaries/catalogue.ts'

/** Where each of the pinned binaries is that every rehearsal and the tests need. */
export type Binaries = Record<(typeof binaryNames)[number], string>

export interface BinariesOptions {
  progress: Progress
  environment?: Environment
  signal?: AbortSignal
}

/**
 * Finds all pinned binaries, and builds those that are nowhere to be found, in one go.
 * Two processes that need the same at once build it once: the second waits, and says for whom.
 * @throws OperatorError when an explicit setting names a wrong one, when go is missing, or when a build fails
 */
export async function ensureBinaries(options: BinariesOptions): Promise<Binaries> {
  const found = await ensureTools(catalogue(binaryNames), options)
  const path = (name: BinaryName) => {
    const one = found.get(name)
    if (!one) throw new Error(`the catalogue has no ${name}`)
    return one.path
  }
  return Object.fromEntries(binaryNames.map((name) => [name, path(name)])) as Binaries
}

/**
 * Finds one binary as ensureBinaries does, and builds none.
 * @returns its path, or null when it would have to be built
 * @throws OperatorError when an explicit setting names a wrong one
 */
export async function findBinary(name: BinaryName, environment: Environment = process.env): Promise<string | null> {
  const [tool] = catalogue([name])
  if (!tool) throw new Error(`the catalogue has no ${name}`)
  const found = await find(tool, cachedPath(tool, cacheFolder(environment)), environment, () => undefined)
  return found?.path ?? null
}

/** As ensureBinaries, for any list of tools. */
export async function ensureTools(tools: readonly Tool[], options: BinariesOptions): Promise<Map<BinaryName, Found>> {
  const environment = options.environment ?? process.env
  const cache = cacheFolder(environment)
  const noted = new Set<string>()
  const note = (text: string) => {
    if (!noted.has(text)) options.progress.info(text)
    noted.add(text)
  }
  const look = () => findAll(tools, cache, environment, note)
  const first = await look()
  if (tools.every((tool) => first.has(tool.name))) return first
  const lock = await waitForLock(join(cache, 'build.lock'), 'building the binaries of the practice cluster', {
    onWait: (holder) => options.progress.info(waitingFor(holder)),
    ...(options.signal ? { signal: options.signal } : {}),
  })
  try {
    // Whoever had the lock before may have built just these.
    const now = await look()
    const missing = tools.filter((tool) => !now.has(tool.name))
    if (missing.length > 0) await buildMissing(missing, cache, environment, options)
  } finally {
    lock.release()
  }
  return look()
}

async function buildMissing(
  missing: readonly Tool[],
  cache: string,
  environment: Environment,
  options: BinariesOptions,
): Promise<void> {
  const names = missing.map((tool) => `${tool.name} ${tool.version}`).join(', ')
  options.progress.info(`to be made, once, into ${cache}: ${names}`)
  await build(missing, {
    cache,
    environment,
    progress: options.progress,
    ...(options.signal ? { signal: options.signal } : {}),
  })
}

async function findAll(
  tools: readonly Tool[],
  cache: string,
  environment: Environment,
  note: (text: string) => void,
): Promise<Map<BinaryName, Found>> {
  const results = await pMap(tools, (tool) => find(tool, cachedPath(tool, cache), environment, note), {
    concurrency: 4,
  })
  return new Map(
    tools.flatMap((tool, i): [BinaryName, Found][] => {
      const found = results[i]
      return found ? [[tool.name, found]] : []
    }),
  )
}

function waitingFor(holder: LockHolder): string {
  const since = holder.since.slice(11, 19)
  return `process ${holder.pid} is ${holder.purpose} since ${since} UTC: waiting for it`
}
