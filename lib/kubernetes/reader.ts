import type { Clock } from '../migration/clock.ts'
import { messageOf } from '../migration/errors.ts'
import { ApiError, type KubernetesApi, type KubernetesObject } from './api.ts'
import type { Discovery } from './discovery.ts'
import { readListing } from './listing.ts'

export type Spec = Record<string, unknown>

/** Reads a whole collection page by page, and holds no more of it than what `pick` returns; nothing of what is not installed. */
export interface Reader {
  pick<T>(group: string, resource: string, pick: (object: KubernetesObject) => T[]): Promise<T[]>
  /** What the server refused, with its reason. */
  readonly refused: string[]
}

export function readerOf(
  api: Pick<KubernetesApi, 'raw' | 'server'>,
  { resources }: Pick<Discovery, 'resources'>,
  clock: Clock,
): Reader {
  const refused: string[] = []
  const pick: Reader['pick'] = async (group, resource, take) => {
    const listed = resources.find((candidate) => candidate.group === group && candidate.resource === resource)
    if (!listed) return []
    try {
      return await readListing(api, listed.path, { clock }, async (pages) => {
        const found: ReturnType<typeof take> = []
        for await (const { lines } of pages) {
          for (const line of lines.toString('utf8').split('\n')) {
            if (line !== '') found.push(...take(JSON.parse(line) as KubernetesObject))
          }
        }
        return found
      })
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      refused.push(`${resource}.${group}: ${messageOf(error)}`)
      return []
    }
  }
  return { pick, refused }
}

export function specOf(object: KubernetesObject): Spec {
  return (object.spec ?? {}) as Spec
}

/** `Kind namespace/name`, or `Kind name` of what has no namespace. */
export function titleOf({ metadata: { namespace, name }, kind }: KubernetesObject): string {
  return `${kind} ${namespace ? `${namespace}/` : ''}${name}`
}

/** Things that several objects use, each once, with its users. */
export class Users<T extends Record<string, unknown>> {
  readonly #found = new Map<string, T & { usedBy: string[] }>()

  add(thing: T, user: string): void {
    const key = JSON.stringify(thing)
    const known = this.#found.get(key) ?? { ...thing, usedBy: [] }
    if (!known.usedBy.includes(user)) known.usedBy.push(user)
    this.#found.set(key, known)
  }

  list(): (T & { usedBy: string[] })[] {
    return [...this.#found.values()]
  }
}
