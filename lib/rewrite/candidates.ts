import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import ipaddr from 'ipaddr.js'
import { projectFolder } from '../settings.ts'
import type { SearchedFiles } from './files.ts'
import type { Mapping } from './mapping.ts'
import type { Grep, RepositoryPath } from './repository.ts'
import { type Scanned, scanFiles, type Unreadable } from './scan.ts'

const separator = String.raw`(?:[-.\\[\]]|%2[Ee]){1,6}`
/** Not the address itself: what holds it in base64, and the byte order marks of what holds it in UTF-16, at the beginning of a file or line. */
const disguises = [
  String.raw`(?<![0-9A-Za-z])Secret\b`,
  String.raw`(?<![^\n\0])\xff\xfe`,
  String.raw`(?<![^\n\0])\xfe\xff`,
]
/** For fewer a thread's start takes longer than it saves. */
const filesPerThread = 4000
const mostThreads = 4

/** What a first look was not let into. */
export interface PassedOver {
  readonly unreadable: Unreadable[]
  /** submodules */
  readonly folders: string[]
}

/**
 * Which files may hold one of the old addresses, as they are found: a first look at all of them, which lets through more than hits but
 * never less.
 * @param root the repository's folder
 * @param grep what Git finds in the tracked files
 * @param passedOver is added to
 */
export async function* findCandidates(
  root: string,
  files: SearchedFiles,
  grep: Grep,
  sources: readonly string[],
  passedOver: PassedOver,
): AsyncGenerator<RepositoryPath> {
  const seen = new Set<string>()
  const isNew = (path: string) => !seen.has(path) && seen.add(path) !== undefined
  const scan = async (paths: readonly RepositoryPath[]) => {
    const { candidates, unreadable, folders } = await scanInThreads(root, paths, sources.join('|'))
    passedOver.unreadable.push(...unreadable.filter(([path]) => isNew(path)))
    passedOver.folders.push(...folders.filter(isNew))
    return candidates.filter(isNew) as RepositoryPath[]
  }
  yield* await scan(files.ungrepped)
  for await (const path of grep.found) if (!files.isOwn(path) && isNew(path)) yield path
  if (!(await grep.isWhole)) yield* await scan(files.paths())
}

async function scanInThreads(root: string, paths: readonly string[], source: string): Promise<Scanned> {
  const threads = Math.max(1, Math.min(mostThreads, availableParallelism(), Math.floor(paths.length / filesPerThread)))
  const size = Math.ceil(paths.length / threads)
  const shares = Array.from({ length: threads }, (_, at) => paths.slice(at * size, (at + 1) * size))
  const others = shares.slice(1).map((share) => inThread({ root: `${root}/`, paths: share, source }))
  const scanned = [scanFiles(`${root}/`, shares[0] ?? [], source), ...(await Promise.all(others))]
  return {
    candidates: scanned.flatMap(({ candidates }) => candidates),
    unreadable: scanned.flatMap(({ unreadable }) => unreadable),
    folders: scanned.flatMap(({ folders }) => folders),
  }
}

async function inThread(workerData: { root: string; paths: string[]; source: string }): Promise<Scanned> {
  const worker = new Worker(workerFile(), { workerData })
  const [scanned] = (await once(worker, 'message')) as [Scanned]
  return scanned
}

/** Beside this source, or in dist/ when this is a bundle. */
function workerFile(): string {
  const here = fileURLToPath(import.meta.url)
  return here.endsWith('.ts')
    ? fileURLToPath(new URL('scan-worker.ts', import.meta.url))
    : join(projectFolder, 'dist', 'scan-worker.js')
}

/**
 * Regular expressions of which one matches in a line of every file that may hold an old address, disguised or not. JavaScript and PCRE read
 * them alike. Each begins with what is the same in all that it matches: such a one is looked for by whole blocks of memory, and several of
 * them together take half of the time that one takes which begins in several ways.
 */
export function firstLookFor(mappings: readonly Mapping[]): string[] {
  return [...sourcesFor(mappings), ...disguises]
}

/** Those of which one matches wherever an old address is spelled. */
export function sourcesFor(mappings: readonly Mapping[]): string[] {
  const each = mappings.flatMap(({ from }) =>
    ipaddr.parse(from).kind() === 'ipv6' ? sourcesOfIPv6(from) : sourcesOfIPv4(from),
  )
  return [...new Set(each)]
}

/** Backwards it stands only in names of reverse DNS: their end tells them from other numbers, and is rarer than their beginning. */
function sourcesOfIPv4(address: string): string[] {
  const parts = address.split('.')
  const hex = parts.map((part) => Number(part).toString(16).padStart(2, '0')).join('')
  const [high = '', low = ''] = [hex.slice(0, 4), hex.slice(4)].map((half) => Number.parseInt(half, 16).toString(16))
  const inHex = `${inAnyCase(high)}(?:${inAnyCase(hex.slice(4))}|:0{0,3}${inAnyCase(low)})`
  const backwards = `${parts[1]}${separator}${parts[0]}${String.raw`\\{0,4}\.[iI][nN]-`}`
  return [parts.join(separator), backwards, inHex]
}

/** Its longest group, which every spelling holds; but for names of reverse DNS. */
function sourcesOfIPv6(address: string): string[] {
  const groups = address.split(':').toSorted((a, b) => b.length - a.length)
  return [inAnyCase(groups[0] ?? ''), String.raw`ip6\.arpa`]
}

function inAnyCase(hex: string): string {
  return hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)
}
