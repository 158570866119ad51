import { isDeepStrictEqual } from 'node:util'
import pMap from 'p-map'
import * as z from 'zod'
import type { Migration, Undone } from '../migration/migration.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'
import { type Operator, operators, type Pause } from './operators/table.ts'
import { collectionPath, type ServedResource, servedResources } from './served.ts'

export const operatorUndoKind = 'operator-pause'

/**
 * What the journal holds of a custom resource: where it is, which field we set to what, what it was (null: not there),
 * and how much of the way to it was there. With a stage it comes back among the workloads; `scales` is the path of the
 * one workload with which it does.
 */
export const operatorUndoSchema = z.object({
  kind: z.literal(operatorUndoKind),
  path: z.string(),
  field: z.array(z.string()),
  value: z.json(),
  before: z.json(),
  there: z.number().optional(),
  stage: z.number().optional(),
  scales: z.string().optional(),
})

const json = z.json()

const concurrency = 8

/** A custom resource of a known operator. */
export interface Operated {
  readonly kind: string
  readonly group: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly path: string
  readonly pause: Pause
  readonly otherwise: Operator['otherwise']
  /** whether it says already what we would set */
  readonly paused: boolean
  readonly before: z.output<typeof json>
  /** how many names of the field's path there are, down from the root */
  readonly there: number
  /** the workload that it scales, as `Kind namespace/name`; null if it makes its workloads itself */
  readonly scales: string | null
}

/** When it comes back: among the workloads of a stage, and with which of them. */
export interface ComesBackWith {
  readonly stage?: number
  /** the path of a workload */
  readonly scales?: string
}

/** The custom resources of every operator that can be told to pause, those that are paused already among them. */
export async function readOperated(api: KubernetesApi): Promise<Operated[]> {
  const found = await pMap(operators, (row) => operatedOf(api, row), { concurrency })
  return found.flat()
}

/** Those that are told to look away before their workloads are scaled down. */
export async function findOperated(api: KubernetesApi): Promise<Operated[]> {
  const all = await readOperated(api)
  return all.filter(({ paused, pause, scales }) => !paused && pause.pods === 'stay' && scales === null)
}

/**
 * Pauses them, so that what is scaled down stays down.
 * @returns those whose API server dropped the field: their operator is too old for it
 */
export async function pauseOperators(
  migration: Migration,
  api: KubernetesApi,
  operated: readonly Operated[],
): Promise<Operated[]> {
  const heard = await pMap(operated, (each) => pauseOperated(migration, api, each), { concurrency })
  return operated.filter((_, index) => heard[index] === false)
}

/**
 * Pauses one. A dry run takes it for heard.
 * @returns whether the API server has kept the field
 */
export async function pauseOperated(
  migration: Migration,
  api: KubernetesApi,
  operated: Operated,
  comesBack: ComesBackWith = {},
): Promise<boolean> {
  const { path, before, there } = operated
  const { field, value } = operated.pause
  const what = `${operated.pause.verb ?? 'Pause'} ${describeOperated(operated)}`
  const kept = await migration.change(what, {
    undo: { kind: operatorUndoKind, path, field: [...field], value, before, there, ...comesBack },
    apply: async () => isDeepStrictEqual(valueAt(await api.mergePatch(path, nested(field, value)), field), value),
  })
  const dropped = kept === false ? migration.journal.standingChange(what) : undefined
  if (dropped) await migration.undo(dropped, async () => 'already')
  return kept ?? true
}

/** Pauses again what we had paused and somebody has let go since; the journal keeps what it was. Returns its names. */
export async function pauseAgain(migration: Migration, api: KubernetesApi): Promise<string[]> {
  const standing = migration.journal.changes({ kind: operatorUndoKind }).filter((change) => change.state !== 'undone')
  const woken = await pMap(
    standing,
    async ({ what, undo }) => {
      const { path, field, value } = operatorUndoSchema.parse(undo)
      const object = await api.getOrNull(path)
      if (!object || isDeepStrictEqual(valueAt(object, field), value)) return []
      await migration.change(what, { apply: () => api.mergePatch(path, nested(field, value)) })
      return [what]
    },
    { concurrency },
  )
  return woken.flat()
}

/** As operators write it: `Prometheus monitoring/main`. */
export function describeOperated({ kind, namespace, name }: Operated): string {
  return `${kind} ${namespace}/${name}`
}

/**
 * Gives the field its old value back, if it still has ours.
 * @param takeBack also if it has neither: then what somebody wrote meanwhile is lost
 */
export async function undoOperatorPause(api: KubernetesApi, undo: unknown, takeBack = false): Promise<Undone> {
  const { path, field, value, before, there } = operatorUndoSchema.parse(undo)
  const object = await api.getOrNull(path)
  if (!object) return 'conflict: it is not there any more'
  const now = valueAt(object, field) ?? null
  if (isDeepStrictEqual(now, before)) return 'already'
  if (!isDeepStrictEqual(now, value) && !takeBack) {
    return `conflict: ${field.join('.')} is now ${shown(now)}, and was ${shown(before)}. Kept as it is.`
  }
  await api.mergePatch(path, before === null ? removal(object, field, there) : nested(field, before))
  return 'undone'
}

/** Lets the operators go on with what we paused, apart from what comes back among the workloads. */
export async function resumeOperators(migration: Migration, api: KubernetesApi): Promise<void> {
  const takeBack = migration.flags['take-back'] === true
  const changes = migration.journal.changes({ kind: operatorUndoKind }).filter((change) => change.state !== 'undone')
  await pMap(changes, (change) => migration.undo(change, () => undoOperatorPause(api, change.undo, takeBack)), {
    concurrency,
  })
}

/** As an operator's custom resource says it, or would have said it in a backup. */
export function operatedFrom(row: Operator, resource: ServedResource, object: KubernetesObject): Operated | null {
  if (row.pause === null) return null
  const { pause, otherwise } = row
  const { name, namespace = '', uid = '' } = object.metadata
  const standing = standingOf(object, pause)
  if (pause.from !== undefined && standing.before !== pause.from && !standing.paused) return null
  const target = row.scales && (valueAt(object, row.scales) as { kind?: string; name?: string } | undefined)
  return {
    kind: resource.kind,
    group: row.group,
    namespace,
    name,
    uid,
    path: `${collectionPath(resource, namespace)}/${name}`,
    otherwise,
    ...standing,
    // KEDA takes a Deployment where nothing is said.
    scales: row.scales ? `${target?.kind ?? 'Deployment'} ${namespace}/${target?.name}` : null,
  }
}

/** How a custom resource stands to a pause: what is there now, and how much of the way to it. */
export function standingOf(
  object: KubernetesObject,
  pause: Pause,
): Pick<Operated, 'pause' | 'paused' | 'before' | 'there'> {
  const before = (valueAt(object, pause.field) ?? null) as Operated['before']
  return {
    pause,
    paused: isDeepStrictEqual(before, pause.value),
    before,
    there: pause.field.findIndex((_, index) => valueAt(object, pause.field.slice(0, index + 1)) === undefined),
  }
}

async function operatedOf(api: KubernetesApi, row: Operator): Promise<Operated[]> {
  if (row.pause === null) return []
  const served = await servedResources(api, row.group, row.resources)
  const lists = await Promise.all(
    served.map(async (resource) =>
      (await api.list(collectionPath(resource))).flatMap((object) => operatedFrom(row, resource, object) ?? []),
    ),
  )
  return lists.flat()
}

function valueAt(object: KubernetesObject, field: readonly string[]): unknown {
  return field.reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], object)
}

function nested(field: readonly string[], value: unknown): unknown {
  return field.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value)
}

/** A field's value; a list of whole pods is no reading for an operator. */
export function shown(value: unknown): string {
  return Array.isArray(value) && value.length > 0 ? `a list of ${value.length}` : JSON.stringify(value)
}

/** Takes away what we put there, and what had to be made to hold it, unless somebody has put something beside it. */
function removal(object: KubernetesObject, field: readonly string[], there = field.length - 1): unknown {
  const made = field.slice(0, there + 1)
  const ours = nested(field.slice(there + 1), valueAt(object, field))
  return nested(isDeepStrictEqual(valueAt(object, made), ours) ? made : field, null)
}
