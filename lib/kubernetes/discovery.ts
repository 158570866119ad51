import * as z from 'zod'
import { type Clock, systemClock } from '../migration/clock.ts'
import { messageOf } from '../migration/errors.ts'
import { ApiError, type KubernetesApi } from './api.ts'
import { retrying } from './retry.ts'

/** A collection that the API server lists. */
export interface ListableResource {
  /** '' for the core group */
  group: string
  version: string
  /** plural, e.g. 'deployments' */
  resource: string
  kind: string
  namespaced: boolean
  /** of the collection over all namespaces, e.g. '/apis/apps/v1/deployments' */
  path: string
}

/** A part of the API that is announced and does not answer, e.g. of an aggregated API whose server is gone. */
export interface DeadApi {
  group: string
  version: string
  reason: string
}

export interface Discovery {
  resources: ListableResource[]
  dead: DeadApi[]
}

type Reader = Pick<KubernetesApi, 'raw'>

const means = 'What resources there are is not known.'

const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

const aggregated = z.object({
  kind: z.literal('APIGroupDiscoveryList'),
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string().optional() }),
      versions: z.array(
        z.object({
          version: z.string(),
          freshness: z.string().optional(),
          resources: z
            .array(
              z.object({
                resource: z.string(),
                responseKind: z.object({ kind: z.string() }).optional(),
                scope: z.string(),
                verbs: z.array(z.string()).nullish(),
              }),
            )
            .nullish(),
        }),
      ),
    }),
  ),
})

const coreVersions = z.object({ versions: z.array(z.string()) })
const groupList = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      versions: z.array(z.object({ version: z.string() })),
      preferredVersion: z.object({ version: z.string() }).optional(),
    }),
  ),
})
const resourceList = z.object({
  resources: z
    .array(
      z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean(), verbs: z.array(z.string()).nullish() }),
    )
    .nullish(),
})

/** All versions of one group, the preferred one first. A version without resources and with a reason is dead. */
interface Group {
  name: string
  versions: { version: string; resources: Omit<ListableResource, 'group' | 'version' | 'path'>[]; dead?: string }[]
}

/**
 * Every resource that can be listed, of every group, each once: at the first version, in the API's order of preference, that has it.
 * Aggregated discovery (two requests) where the server has it, the older kind (one request per version) where not.
 * Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 * @returns the resources sorted by group and name, and whatever part of the API is announced but dead
 * What is refused for now, or breaks off, is asked again: see retrying.
 * @throws ApiError when the API server goes on refusing; OperatorError when it is gone
 */
export async function discover(server: Reader, clock: Clock = systemClock): Promise<Discovery> {
  const api: Reader = { raw: (...request) => retrying({ clock, means }, () => server.raw(...request)) }
  const groups = (await aggregatedGroups(api)) ?? (await unaggregatedGroups(api, server, clock))
  const resources = groups.flatMap(preferred)
  const dead = groups.flatMap((group) =>
    group.versions.flatMap(({ version, dead }) =>
      dead === undefined ? [] : [{ group: group.name, version, reason: dead }],
    ),
  )
  return { resources: resources.sort(byName), dead }
}

function preferred(group: Group): ListableResource[] {
  const found = new Map<string, ListableResource>()
  for (const { version, resources } of group.versions) {
    for (const resource of resources) {
      if (found.has(resource.resource)) continue
      const path = `${versionPath(group.name, version)}/${resource.resource}`
      found.set(resource.resource, { group: group.name, version, ...resource, path })
    }
  }
  return [...found.values()]
}

const versionPath = (group: string, version: string) => (group === '' ? `/api/${version}` : `/apis/${group}/${version}`)

function byName(a: ListableResource, b: ListableResource): number {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1
  return a.resource < b.resource ? -1 : 1
}

async function aggregatedGroups(api: Reader): Promise<Group[] | undefined> {
  const groups: Group[] = []
  for (const path of ['/api', '/apis']) {
    const answer = await api.raw(path, {}, { accept: `${aggregatedType},application/json` })
    const parsed = aggregated.safeParse(JSON.parse(answer.toString('utf8')))
    if (!parsed.success) return undefined
    for (const group of parsed.data.items) groups.push(aggregatedGroup(group))
  }
  return groups
}

function aggregatedGroup(group: z.output<typeof aggregated>['items'][number]): Group {
  const versions = group.versions.map(({ version, freshness, resources }) => ({
    version,
    resources: (resources ?? [])
      .filter(({ verbs }) => verbs?.includes('list'))
      .map(({ resource, responseKind, scope }) => ({
        resource,
        kind: responseKind?.kind ?? '',
        namespaced: scope === 'Namespaced',
      })),
    // Stale: the API server could not reach the server of an aggregated API, and tells what it knew of it before.
    ...(freshness === 'Stale' ? { dead: 'the server of this aggregated API does not answer' } : {}),
  }))
  return { name: group.metadata.name ?? '', versions }
}

/** @param server for what may well not answer: an aggregated API whose server is gone */
async function unaggregatedGroups(api: Reader, server: Reader, clock: Clock): Promise<Group[]> {
  const core = coreVersions.parse(JSON.parse((await api.raw('/api')).toString('utf8')))
  const named = groupList.parse(JSON.parse((await api.raw('/apis')).toString('utf8')))
  const all = [
    { name: '', versions: core.versions },
    ...named.groups.map((group) => ({
      name: group.name,
      versions: preferredFirst(
        group.versions.map(({ version }) => version),
        group.preferredVersion?.version,
      ),
    })),
  ]
  return Promise.all(
    all.map(async ({ name, versions }) => ({
      name,
      versions: await Promise.all(versions.map((version) => unaggregatedVersion(server, clock, name, version))),
    })),
  )
}

function preferredFirst(versions: string[], first: string | undefined): string[] {
  return first === undefined ? versions : [first, ...versions.filter((version) => version !== first)]
}

async function unaggregatedVersion(
  server: Reader,
  clock: Clock,
  group: string,
  version: string,
): Promise<Group['versions'][number]> {
  const read = async () => {
    try {
      return await server.raw(versionPath(group, version))
    } catch (error) {
      // 429 is of this server, which has too much to do; any other refusal is of the one behind it.
      if (!(error instanceof ApiError) || error.status === 429) throw error
      return messageOf(error)
    }
  }
  const answer = await retrying({ clock, means }, read)
  if (typeof answer === 'string') return { version, resources: [], dead: answer }
  const listable = (resourceList.parse(JSON.parse(answer.toString('utf8'))).resources ?? []).filter(
    ({ name, verbs }) => !name.includes('/') && verbs?.includes('list'),
  )
  return { version, resources: listable.map(({ name, kind, namespaced }) => ({ resource: name, kind, namespaced })) }
}
