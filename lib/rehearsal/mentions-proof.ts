import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import type { PracticeCluster } from './practice-cluster.ts'
import { type Proof, proof } from './proofs.ts'
import { listable } from './truth.ts'

/** A log, and heartbeats. */
const passing = new Set(['events', 'events.events.k8s.io', 'leases.coordination.k8s.io'])
/** What machines tell of themselves, or told before the snapshot. */
const told = new Set(['pods', 'nodes'])
/** Under it the tokens that pods hold were issued; provision says so. */
const issuer = /--(service-account-issuer|api-audiences)=[^"\s]*/g

/**
 * Looks for the old address everywhere, with a search of its own: in every object of the cluster and in every file of the operator's. What
 * still holds it must have been named by the run.
 */
export async function mentionsProof(cluster: PracticeCluster): Promise<Proof> {
  const said = readFileSync(join(cluster.homelab.outputDir, 'current/log.txt'), 'utf8')
  const holds = new RegExp(`(?<![\\d.])${cluster.address.replaceAll('.', '[.-]')}(?![\\d])`)
  const api = await cluster.api()
  try {
    const objects = await objectsThat(api, holds)
    const files = filesThat(cluster, holds)
    const found = [...objects.found, ...files.found]
    const against = found.filter((name) => !said.includes(name)).map((name) => `${name} holds it, and nobody said so`)
    const named = found.filter((name) => said.includes(name))
    const looked = `${objects.count} objects and ${files.count} files`
    const evidence = `${looked}; ${named.length} hold it and were named: ${named.join(', ') || 'none'}`
    return proof('nothing holds the old address unsaid', evidence, against)
  } finally {
    api.close()
  }
}

async function objectsThat(api: KubernetesApi, holds: RegExp): Promise<{ count: number; found: string[] }> {
  const found = new Set<string>()
  let count = 0
  for (const { group, resource, path } of await listable(api)) {
    const kind = group === '' ? resource : `${resource}.${group}`
    if (passing.has(kind)) continue
    for (const object of await api.list(path)) {
      count++
      const { namespace, name } = object.metadata
      if (holds.test(textOf(kind, object))) found.add(namespace === undefined ? name : `${namespace}/${name}`)
    }
  }
  return { count, found: [...found] }
}

function textOf(kind: string, object: KubernetesObject): string {
  const { status, ...rest } = object
  // Which fields somebody manages tells their keys, of a status too.
  const bare = { ...rest, metadata: { ...rest.metadata, managedFields: undefined } }
  const text = JSON.stringify(told.has(kind) ? bare : { ...bare, status }).replace(issuer, '')
  const { data } = object as { data?: Record<string, string> }
  if (kind !== 'secrets' || data === undefined) return text
  return `${text}${Object.values(data)
    .map((value) => Buffer.from(value, 'base64').toString('latin1'))
    .join('\n')}`
}

/** The repository with its ignored configs, and what the operator has outside of it; not what Git and the run keep. */
function filesThat({ homelab }: PracticeCluster, holds: RegExp): { count: number; found: string[] } {
  const below = readdirSync(homelab.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(homelab.folder, join(entry.parentPath, entry.name)))
    .filter((path) => !/^(\.git|\.output\/migrate)\//.test(path))
  const own = Object.values(homelab.own)
  const texts = [
    ...below.map((path) => ({ name: path, text: readFileSync(join(homelab.folder, path), 'utf8') })),
    ...own.map((path) => ({ name: path, text: readFileSync(path, 'utf8') })),
  ]
  return { count: texts.length, found: texts.filter(({ text }) => holds.test(text)).map(({ name }) => name) }
}
