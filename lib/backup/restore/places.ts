import { ApiError, type KubernetesObject } from '../../kubernetes/api.ts'
import type { ResourceEntry } from '../manifest.ts'
import { groupOf } from './identity.ts'
import type { Read } from './write.ts'

interface ApiResourceList {
  resources?: { name: string; kind: string; namespaced: boolean }[]
}

/** Where the cluster serves the objects of one resource. */
export interface Place {
  readonly hasStatus: boolean
  readonly namespaced: boolean
  path(object: Pick<KubernetesObject, 'metadata'>): string
}

/**
 * What the cluster serves, asked for when it is needed, for a restore itself adds to it.
 * Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
export class Places {
  readonly #read: Read
  readonly #versions = new Map<string, Promise<ApiResourceList | null>>()

  constructor(read: Read) {
    this.#read = read
  }

  /** Of a resource as it was backed up; undefined when it is not served at that version. */
  async ofResource({ group, version, resource }: ResourceEntry): Promise<Place | undefined> {
    return this.#find(group, version, ({ name }) => name === resource)
  }

  /** Of a kind as an ownerReference names it, at that version or another one of its group. */
  async ofKind(apiVersion: string, kind: string): Promise<Place | undefined> {
    const group = groupOf(apiVersion)
    const named = apiVersion.slice(group === '' ? 0 : group.length + 1)
    for (const version of new Set([named, ...(await this.#otherVersions(group))])) {
      const place = await this.#find(group, version, (one) => one.kind === kind && !one.name.includes('/'))
      if (place) return place
    }
    return undefined
  }

  /** What was not served may be now. */
  forget(): void {
    this.#versions.clear()
  }

  async #find(
    group: string,
    version: string,
    matches: (resource: { name: string; kind: string }) => boolean,
  ): Promise<Place | undefined> {
    const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
    const resources = (await this.#list(root))?.resources ?? []
    const found = resources.find(matches)
    if (!found) return undefined
    const { name, namespaced } = found
    return {
      namespaced,
      hasStatus: resources.some((one) => one.name === `${name}/status`),
      path: ({ metadata }) => {
        const scope = namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : ''
        return `${root}${scope}/${name}/${encodeURIComponent(metadata.name)}`
      },
    }
  }

  #list(root: string): Promise<ApiResourceList | null> {
    const known = this.#versions.get(root)
    if (known) return known
    const asked = this.#read<ApiResourceList>(root).catch((error: unknown) => {
      // The server behind an aggregated API is not there.
      if (error instanceof ApiError && error.status === 503) return null
      this.#versions.delete(root)
      throw error
    })
    this.#versions.set(root, asked)
    return asked
  }

  async #otherVersions(group: string): Promise<string[]> {
    if (group === '') return []
    const found = await this.#read<{ versions: { version: string }[] }>(`/apis/${group}`)
    return (found?.versions ?? []).map(({ version }) => version)
  }
}
