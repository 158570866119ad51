import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import ipaddr from 'ipaddr.js'
import { projectFolder } from '../settings.ts'
import type { Mapping } from './mapping.ts'
import { type Scanned, scanFiles } from './scan.ts'

const separator = String.raw`[-.\\[\]]{1,6}`
const secret = `Secret(?<=kind["']?\\s*:\\s*["']?Secret)`
/** For fewer a thread's start takes longer than it saves. */
const filesPerThread = 4000
const mostThreads = 4

/**
 * Which files may hold one of the old addresses: a first look at all of them, which lets through more than hits but never less.
 * @param root the repository's folder
 * @param paths as RepositoryPath
 */
export async function findCandidates(
  root: string,
  paths: readonly string[],
  mappings: readonly Mapping[],
): Promise<Scanned> {
  const source = sourceFor(mappings)
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

/** A regular expression that matches in every file that holds a spelling, and every Secret's manifest. */
export function sourceFor(mappings: readonly Mapping[]): string {
  const each = mappings.map(({ from }) =>
    ipaddr.parse(from).kind() === 'ipv6' ? sourceOfIPv6(from) : sourceOfIPv4(from),
  )
  return [...each, secret].join('|')
}

/**
 * A search looks first at what a pattern begins with: the rarer that is, the faster. So each begins with the two longest neighbours, and
 * the rest is looked at when they are found.
 */
function sourceOfIPv4(address: string): string {
  const parts = address.split('.')
  const hex = parts.map((part) => Number(part).toString(16).padStart(2, '0')).join('')
  const [high = '', low = ''] = [hex.slice(0, 4), hex.slice(4)].map((half) => Number.parseInt(half, 16).toString(16))
  const inHex = `${inAnyCase(high)}(?:${inAnyCase(hex.slice(4))}|:0{0,3}${inAnyCase(low)})`
  return [fromNeighbours(parts), fromNeighbours(parts.toReversed()), inHex].join('|')
}

function fromNeighbours(parts: readonly string[]): string {
  const lengthAt = (at: number) => (parts[at]?.length ?? 0) + (parts[at + 1]?.length ?? 0)
  const at = [0, 1, 2].toSorted((one, other) => lengthAt(other) - lengthAt(one))[0] ?? 0
  const until = parts.slice(0, at + 2).join(separator)
  const rest = parts.slice(at + 2).map((part) => separator + part)
  return `${parts[at]}${separator}${parts[at + 1]}(?<=${until})${rest.join('')}`
}

/** Its longest group, which every spelling holds; but for names of reverse DNS. */
function sourceOfIPv6(address: string): string {
  const groups = address.split(':').toSorted((a, b) => b.length - a.length)
  return `${inAnyCase(groups[0] ?? '')}|ip6\\.arpa`
}

function inAnyCase(hex: string): string {
  return hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)
}
