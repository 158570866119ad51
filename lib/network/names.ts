import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import pMap from 'p-map'
import * as z from 'zod'
import type { Migration } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import { type Move, moveOf } from './addresses.ts'
import { namesInHosts } from './hosts-file.ts'

const concurrency = 16
const deadlineMs = 10_000

/** The addresses that this machine takes a name for; none for one that it does not know. */
export type Resolver = (name: string) => Promise<string[]>

/** Names with the addresses that each had at one moment. */
export type Resolved = Record<string, string[]>

/** What the machine itself goes by: its hosts file, then its DNS servers. */
export const systemResolver: Resolver = async (name) => {
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${deadlineMs / 1000} s`)), deadlineMs).unref()
  })
  const found = await Promise.race([lookup(name, { all: true }), late])
  return found.map(({ address }) => address)
}

/** As this machine resolves; a hosts file that is not its own is asked before it. */
export function resolverWith(hostsFile: string): Resolver {
  if (hostsFile === '/etc/hosts') return systemResolver
  return async (name) => {
    const named = namesInHosts(await readFile(hostsFile, 'latin1').catch(() => ''))
    return named.get(name.toLowerCase()) ?? systemResolver(name)
  }
}

/**
 * The names that lead to the cluster: `talos00` and whatever ends with `.talos00`.
 * @param candidates names of the hosts file, and of the cluster's ingress; a wildcard is no name that could be asked for
 */
export function namesUnder(nodeName: string, candidates: Iterable<string>): string[] {
  const lower = [...candidates].map((name) => name.toLowerCase().replace(/\.$/, ''))
  const own = lower.filter((name) => (name === nodeName || name.endsWith(`.${nodeName}`)) && !name.includes('*'))
  return [...new Set(own)].sort()
}

/**
 * The names of the cluster that this machine may be asked for.
 * @param ingressHosts hosts that the cluster's ingress answers for
 */
export async function namesOf(
  { nodeName, hostsFile }: Pick<Settings, 'nodeName' | 'hostsFile'>,
  ingressHosts: Iterable<string>,
): Promise<string[]> {
  const hosts = await readFile(hostsFile, 'latin1').catch(() => '')
  return namesUnder(nodeName, [nodeName, ...namesInHosts(hosts).keys(), ...ingressHosts])
}

/** Asks for the names, and keeps what the run was told first: a second call finds them changed already. */
export async function resolveBefore(
  migration: Migration,
  names: readonly string[],
  resolver: Resolver,
): Promise<Resolved> {
  const known = migration.recall('names-before', z.record(z.string(), z.array(z.string()))) ?? {}
  const found = await resolveNames(
    names.filter((name) => known[name] === undefined),
    resolver,
  )
  const before = { ...found, ...known }
  migration.remember('names-before', before)
  return before
}

/** Asks for all names at once; one that nobody knows has no address. */
export async function resolveNames(names: readonly string[], resolver: Resolver): Promise<Resolved> {
  const found = await pMap(names, async (name) => [name, await resolver(name).catch(() => [])] as const, {
    concurrency,
  })
  return Object.fromEntries(found)
}

/**
 * Shows each name with its address before and after. One that leads to the old address still is warned of by name.
 * @returns the names that still do
 */
export function showNames({ console }: Migration, before: Resolved, after: Resolved, moves: readonly Move[]): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  const told = (addresses: readonly string[] = []) => (addresses.length === 0 ? '–' : addresses.join(', '))
  const rows = names.map((name) => [name, told(before[name]), told(after[name])])
  if (rows.length > 0) console.table('Names', ['NAME', 'BEFORE', 'AFTER'], rows)
  const stale = names.flatMap((name) => {
    const move = after[name]?.map((address) => moveOf(address, moves)).find((each) => each !== undefined)
    return move === undefined ? [] : [{ name, ...move }]
  })
  for (const { name, from, to } of stale) {
    console.warn(
      `${name} is ${from} for this machine still. What its hosts file does not say, a DNS server elsewhere does: change it to ${to} there.`,
    )
  }
  return stale.map(({ name }) => name)
}
