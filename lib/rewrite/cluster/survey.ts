import { type ClusterObject, Holders } from '../../gitops/holders.ts'
import { ApiError, type KubernetesApi, type KubernetesObject } from '../../kubernetes/api.ts'
import { discover, type ListableResource } from '../../kubernetes/discovery.ts'
import { readListing } from '../../kubernetes/listing.ts'
import type { Clock } from '../../migration/clock.ts'
import { type Field, type Find, fieldsHolding, helmRecord } from './fields.ts'
import { type Whose, whoseIs } from './whose.ts'

/** What in one object holds the address, as far as it has one owner. */
export interface Hit {
  readonly resource: string
  /** `media/plex`, `talos00` */
  readonly name: string
  /** of the object, for the API */
  readonly path: string
  readonly fields: readonly Field[]
  readonly whose: Whose
}

/** What in a cluster holds an address, and what was not looked into, each with its reason. */
export interface Survey {
  readonly hits: readonly Hit[]
  readonly leftOut: readonly { what: string; why: string }[]
  readonly unread: readonly { what: string; why: string }[]
}

/** A log, and heartbeats. */
const notRead = new Set(['events', 'events.events.k8s.io', 'leases.coordination.k8s.io'])
/** What their machines and kubelets tell of themselves, every few seconds. */
const toldByMachines = new Set(['nodes', 'pods'])

/**
 * Looks through every string of every object of the cluster for an address, and tells whose each object is: Git's, a controller's, or nobody's.
 * Nothing is changed, and no value is kept.
 * @throws RemoteError when there is no server
 */
export async function surveyCluster(api: KubernetesApi, find: Find, { clock }: { clock: Clock }): Promise<Survey> {
  const { resources, dead } = await discover(api, clock)
  const unread = dead.map(({ group, version, reason }) => ({ what: `${group}/${version}`, why: reason }))
  const holders = new Holders()
  const selecting = new Set<string>()
  const holding: Holding[] = []
  let [statuses, records] = [0, 0]
  for (const listed of resources) {
    const resource = listed.group === '' ? listed.resource : `${listed.resource}.${listed.group}`
    if (notRead.has(resource)) continue
    const visit = (object: KubernetesObject): Holding[] => {
      holders.note({ resource, object })
      if (resource === 'services' && hasSelector(object)) selecting.add(nameOf(object))
      if (object.type === helmRecord) records++
      const fields = fieldsHolding(resource, object, find)
      const kept = fields.filter(({ pointer }) => !(toldByMachines.has(resource) && pointer[0] === 'status'))
      statuses += fields.length > kept.length ? 1 : 0
      const one = { resource, object: bare(object) }
      return kept.length === 0 ? [] : [{ one, path: pathOf(listed, object), fields: kept }]
    }
    try {
      holding.push(...(await readListing(api, listed.path, { clock }, async (pages) => visitAll(pages, visit))))
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      unread.push({ what: resource, why: error.message })
    }
  }
  return {
    hits: holding.flatMap((each) => hitsOf(each, { holders, selecting })),
    leftOut: told(statuses, records),
    unread,
  }
}

interface Holding {
  readonly one: ClusterObject
  readonly path: string
  readonly fields: readonly Field[]
}

async function visitAll(pages: AsyncIterable<{ lines: Buffer }>, visit: (object: KubernetesObject) => Holding[]) {
  const found: Holding[] = []
  for await (const { lines } of pages) {
    for (const line of lines.toString('utf8').split('\n')) {
      if (line !== '') found.push(...visit(JSON.parse(line) as KubernetesObject))
    }
  }
  return found
}

function hitsOf({ one, path, fields }: Holding, seen: Parameters<typeof whoseIs>[2]): Hit[] {
  const byOwner = new Map<string, Hit & { fields: Field[] }>()
  for (const field of fields) {
    const whose = whoseIs(one, field, seen)
    const key = JSON.stringify(whose)
    const hit = byOwner.get(key) ?? { resource: one.resource, name: nameOf(one.object), path, fields: [], whose }
    hit.fields.push(field)
    byOwner.set(key, hit)
  }
  return [...byOwner.values()]
}

/** What says whose it is, and no more of it. */
function bare({ apiVersion, kind, metadata }: KubernetesObject): KubernetesObject {
  const { managedFields: _, ...rest } = metadata
  return { ...(apiVersion ? { apiVersion } : {}), ...(kind ? { kind } : {}), metadata: rest }
}

function hasSelector({ spec }: KubernetesObject): boolean {
  return Object.keys((spec as { selector?: object } | undefined)?.selector ?? {}).length > 0
}

function nameOf({ metadata: { namespace, name } }: KubernetesObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`
}

function pathOf({ path, resource, namespaced }: ListableResource, { metadata }: KubernetesObject): string {
  if (!namespaced) return `${path}/${metadata.name}`
  return `${path.slice(0, -resource.length)}namespaces/${metadata.namespace}/${resource}/${metadata.name}`
}

function told(statuses: number, records: number): { what: string; why: string }[] {
  return [
    { what: 'Events and Leases', why: 'a log and heartbeats, which go by themselves' },
    ...(statuses > 0
      ? [{ what: `the status of ${statuses} Nodes and Pods`, why: 'their machines tell it anew, every few seconds' }]
      : []),
    ...(records > 0
      ? [{ what: `${records} of Helm's own records`, why: 'they are packed, and Helm writes the next one itself' }]
      : []),
  ]
}
