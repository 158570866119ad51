import { readFile } from 'node:fs/promises'
import type { Migration } from '../migration/migration.ts'
import { type Move, moveOf } from './addresses.ts'
import { namesInHosts } from './hosts-file.ts'
import { rewriteHosts, type Sudo } from './rewrite-hosts.ts'

/**
 * Where an endpoint is a name that the hosts file of this machine leads to the old address, the file's lines get the new one now: whatever comes after this
 * goes through that name, and migrate:rewrite-ip finds nothing left to do there. For an address, and for a name that others lead, nothing is done.
 * @param url the endpoint
 */
export async function leadEndpoint(migration: Migration, sudo: Sudo, url: string, move: Move): Promise<void> {
  const { settings, console } = migration
  const host = new URL(url).hostname.toLowerCase()
  const names = namesInHosts(await readFile(settings.hostsFile, 'latin1').catch(() => ''))
  if (!names.get(host)?.some((address) => moveOf(address, [move]))) return
  const toDo = await rewriteHosts(migration, sudo, [move])
  if (toDo) console.warn(`${host} is waited for next. The hosts file is to be written by you: ${toDo}`)
}
