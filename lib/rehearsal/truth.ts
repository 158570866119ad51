import { createHash } from 'node:crypto'
import * as z from 'zod'
import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'

/** One object as it was: who it is, and a hash of what it says. Nothing of it can be read from this. */
export interface ObjectTruth {
  group: string
  resource: string
  namespace: string
  name: string
  uid: string
  /** SHA-256 of everything but metadata and status. */
  content: string
  /** SHA-256 of the same, less what another cluster gives out anew: UIDs, cluster IPs, node ports. */
  substance: string
  /** What an operator recognises, of the few fields that a migration turns off and on again. */
  switches: Record<string, string>
}

/** All objects of a cluster at one moment, by `group/resource namespace/name`. */
export type Truth = Map<string, ObjectTruth>

const groupVersions = z.object({ versions: z.array(z.string()) })
const groups = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      preferredVersion: z.object({ version: z.string() }),
      versions: z.array(z.object({ version: z.string() })),
    }),
  ),
})
const resources = z.object({
  resources: z.array(z.object({ name: z.string(), verbs: z.array(z.string()) })),
})

interface Listable {
  group: string
  resource: string
  path: string
}

/**
 * Reads every object that the API server lists. Its own walk over the API's oldest kind of discovery, on purpose: a proof
 * that used the migration's discovery would overlook what the backup overlooks.
 * Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#unaggregated-discovery
 */
export async function readTruth(api: KubernetesApi): Promise<Truth> {
  const truth: Truth = new Map()
  for (const { group, resource, path } of await listable(api)) {
    for (const object of await api.list(path)) {
      if (!object.metadata.uid) continue
      const one = truthOf(group, resource, object)
      truth.set(keyOf(one), one)
    }
  }
  return truth
}

/** How an object is called in a proof: `deployments.apps media/plex`, `nodes talos00`. */
export function keyOf(object: Pick<ObjectTruth, 'group' | 'resource' | 'namespace' | 'name'>): string {
  const kind = object.group === '' ? object.resource : `${object.resource}.${object.group}`
  return `${kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}`
}

/** What is held on to of one object. */
export function truthOf(group: string, resource: string, object: KubernetesObject): ObjectTruth {
  const { metadata, status: _status, apiVersion: _apiVersion, kind: _kind, ...content } = object
  return {
    group,
    resource,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    content: hashOf(content),
    substance: hashOf(withoutGivenOut(group, resource, content)),
    switches: switchesOf(group, resource, object),
  }
}

function hashOf(content: unknown): string {
  return createHash('sha256').update(canonical(content)).digest('hex')
}

/** The fields that hold what one cluster has given out, and another one cannot give out the same. */
const givenOut: Record<string, readonly string[]> = {
  '/services': ['clusterIP', 'clusterIPs', 'healthCheckNodePort', 'nodePort'],
  '/persistentvolumes': ['uid', 'resourceVersion'],
  'batch/jobs': ['selector', 'controller-uid', 'batch.kubernetes.io/controller-uid', 'uid'],
}

function withoutGivenOut(group: string, resource: string, content: unknown): unknown {
  const fields = new Set(givenOut[`${group}/${resource}`])
  if (fields.size === 0) return content
  const dropped = (_key: string, part: unknown): unknown =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).filter(([name, value]) => !fields.has(name) || value === 'None'))
      : part
  return JSON.parse(JSON.stringify(content, dropped))
}

/** Every resource that the API server lists, once, in its preferred version. */
export async function listable(api: KubernetesApi): Promise<Listable[]> {
  const found = new Map<string, Listable>()
  for (const { group, path } of await everyVersion(api)) {
    for (const { name, verbs } of resources.parse(await api.get(path)).resources) {
      const key = `${group}/${name}`
      // A resource with a slash is a part of another one, such as pods/log.
      if (name.includes('/') || !verbs.includes('list') || found.has(key)) continue
      found.set(key, { group, resource: name, path: `${path}/${name}` })
    }
  }
  return [...found.values()]
}

/** All versions of all groups, the preferred one of each first. */
async function everyVersion(api: KubernetesApi): Promise<{ group: string; path: string }[]> {
  const core = groupVersions
    .parse(await api.get('/api'))
    .versions.map((version) => ({ group: '', path: `/api/${version}` }))
  const named = groups.parse(await api.get('/apis')).groups.flatMap(({ name, preferredVersion, versions }) => {
    const order = new Set([preferredVersion.version, ...versions.map(({ version }) => version)])
    return [...order].map((version) => ({ group: name, path: `/apis/${name}/${version}` }))
  })
  return [...core, ...named]
}

const switchable = z.object({
  spec: z
    .object({
      replicas: z.number().optional(),
      suspend: z.boolean().optional(),
      unschedulable: z.boolean().optional(),
      syncPolicy: z.unknown(),
      volumeName: z.string().optional(),
    })
    .partial()
    .optional(),
  status: z.object({ readyReplicas: z.number().optional(), phase: z.string().optional() }).loose().optional(),
})

const scaled = new Set(['deployments', 'statefulsets', 'replicasets'])

function switchesOf(group: string, resource: string, object: KubernetesObject): Record<string, string> {
  const parsed = switchable.safeParse(object)
  if (!parsed.success) return {}
  const { spec = {}, status } = parsed.data
  const switches: Record<string, string> = {}
  if (spec.replicas !== undefined) switches.replicas = String(spec.replicas)
  if (group === 'apps' && scaled.has(resource)) switches.ready = String(status?.readyReplicas ?? 0)
  if (group.endsWith('fluxcd.io') || resource === 'cronjobs') switches.suspended = String(spec.suspend ?? false)
  if (group === 'argoproj.io' && resource === 'applications') switches.syncPolicy = canonical(spec.syncPolicy ?? null)
  if (group === '' && resource === 'nodes') switches.cordoned = String(spec.unschedulable ?? false)
  if (group === '' && resource === 'persistentvolumeclaims') {
    switches.volume = `${spec.volumeName ?? 'none'}, ${status?.phase ?? 'no phase'}`
  }
  return switches
}

/** JSON with sorted keys: the same for the same content, in whatever order the server sent it. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
