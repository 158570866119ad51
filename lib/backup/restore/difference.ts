import { isDeepStrictEqual } from 'node:util'
import { createTwoFilesPatch } from 'diff'
import { stringify } from 'yaml'
import type { KubernetesObject } from '../../kubernetes/api.ts'

type Value = unknown
type Fields = Record<string, Value>

const shownLines = 80
/** Beyond so many changed lines a difference is not worked out: nobody reads it, and it takes minutes. */
const changedLines = 2000

/** Whether two objects, both without what the server owns, say the same. A null says as much as nothing. */
export function saysTheSame(a: KubernetesObject, b: KubernetesObject): boolean {
  return isDeepStrictEqual(withoutNulls(a), withoutNulls(b))
}

/**
 * What would change, as a unified diff of YAML.
 * @param there the object in the cluster, and `wanted` that of the backup, both without what the server owns
 * @param secret no value is shown, only which ones differ
 */
export function showDifference(
  called: string,
  there: KubernetesObject,
  wanted: KubernetesObject,
  { secret }: { secret: boolean },
): string {
  const [before, after] = secret ? masked(there, wanted) : [there, wanted]
  const patch = createTwoFilesPatch(
    `${called} in the cluster`,
    `${called} in the backup`,
    asYaml(before),
    asYaml(after),
    '',
    '',
    { context: 2, maxEditLength: changedLines },
  )
  if (patch === undefined) return `${called}: more than ${changedLines} lines differ`
  const lines = patch.split('\n').filter((line) => line !== '' && !line.startsWith('====') && !line.startsWith('\\'))
  const shown = lines.slice(0, shownLines)
  return [...shown, ...(lines.length > shownLines ? [`… and ${lines.length - shownLines} more lines`] : [])].join('\n')
}

function asYaml(object: unknown): string {
  return stringify(withoutNulls(object), { sortMapEntries: true, lineWidth: 0 })
}

function withoutNulls(value: Value): Value {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isFields(value)) return value
  const entries = Object.entries(value).filter(([, field]) => field !== null && field !== undefined)
  return Object.fromEntries(entries.map(([name, field]) => [name, withoutNulls(field)]))
}

const inPlain = new Set(['apiVersion', 'kind', 'type', 'immutable'])

/** Both with all their values hidden, but for what names them. Annotations are hidden too: kubectl keeps a whole Secret in one. */
function masked(there: KubernetesObject, wanted: KubernetesObject): [KubernetesObject, KubernetesObject] {
  const mask = (object: KubernetesObject, other: KubernetesObject, whose: string): KubernetesObject => {
    const { annotations, ...metadata } = object.metadata
    const hidden = hide(annotations, other.metadata.annotations, whose)
    const fields = Object.entries(object).filter(([name]) => name !== 'metadata')
    return {
      ...Object.fromEntries(
        fields.map(([name, value]) => [name, inPlain.has(name) ? value : hide(value, other[name], whose)]),
      ),
      metadata: { ...metadata, ...(annotations ? { annotations: hidden as Record<string, string> } : {}) },
    }
  }
  return [mask(there, wanted, 'in the cluster'), mask(wanted, there, 'in the backup')]
}

function hide(value: Value, other: Value, whose: string): Value {
  if (isFields(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [
        name,
        hide(field, isFields(other) ? other[name] : undefined, whose),
      ]),
    )
  }
  if (value === undefined) return undefined
  return isDeepStrictEqual(value, other) ? '(hidden, the same)' : `(hidden, as ${whose})`
}

function isFields(value: Value): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * The JSON merge patch (RFC 7386) that makes of one object another one.
 * @returns undefined when they are the same
 */
export function mergePatchBetween(from: Value, to: Value): Value | undefined {
  if (isDeepStrictEqual(withoutNulls(from), withoutNulls(to))) return undefined
  if (!isFields(from) || !isFields(to)) return to
  const patch: Fields = {}
  for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const wanted = to[name] ?? null
    if (wanted === null) {
      if ((from[name] ?? null) !== null) patch[name] = null
      continue
    }
    const change = mergePatchBetween(from[name], wanted)
    if (change !== undefined) patch[name] = change
  }
  return patch
}
