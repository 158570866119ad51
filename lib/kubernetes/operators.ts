import { isDeepStrictEqual } from 'node:util'
import pMap from 'p-map'
import { z } from 'zod'
import type { Migration, Undone } from '../migration/migration.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'
import { fullName } from './kinds.ts'
import { collectionPath, servedResources } from './served.ts'
import type { StatefulWorkload } from './workloads.ts'

/**
 * How each operator is told to leave its workloads alone: the field of its custom resource, and the value.
 * One row per resource; the next operator is one more row.
 */
const operators: readonly {
  group: string
  resource: string
  kind: string
  field: readonly string[]
  value: boolean | string
}[] = [
  // https://prometheus-operator.dev/docs/api-reference/api/ (paused: the operator does not reconcile it)
  {
    group: 'monitoring.coreos.com',
    resource: 'prometheuses',
    kind: 'Prometheus',
    field: ['spec', 'paused'],
    value: true,
  },
  {
    group: 'monitoring.coreos.com',
    resource: 'prometheusagents',
    kind: 'PrometheusAgent',
    field: ['spec', 'paused'],
    value: true,
  },
  {
    group: 'monitoring.coreos.com',
    resource: 'alertmanagers',
    kind: 'Alertmanager',
    field: ['spec', 'paused'],
    value: true,
  },
  {
    group: 'monitoring.coreos.com',
    resource: 'thanosrulers',
    kind: 'ThanosRuler',
    field: ['spec', 'paused'],
    value: true,
  },
  // https://cloudnative-pg.io/documentation/current/declarative_hibernation/
  {
    group: 'postgresql.cnpg.io',
    resource: 'clusters',
    kind: 'Cluster',
    field: ['metadata', 'annotations', 'cnpg.io/hibernation'],
    value: 'on',
  },
  // https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling
  {
    group: 'keda.sh',
    resource: 'scaledobjects',
    kind: 'ScaledObject',
    field: ['metadata', 'annotations', 'autoscaling.keda.sh/paused'],
    value: 'true',
  },
]

export const operatorUndoKind = 'operator-pause'

/**
 * What the journal holds of a custom resource: where it is, which field we set to what, and what it was (null: not
 * there).
 */
const operatorUndoSchema = z.object({
  kind: z.literal(operatorUndoKind),
  path: z.string(),
  field: z.array(z.string()),
  value: z.json(),
  before: z.json(),
})

const concurrency = 8

/** A custom resource that its operator must leave alone while its workload is at rest. */
export interface Operated {
  readonly description: string
  readonly path: string
  readonly field: readonly string[]
  readonly value: boolean | string
  readonly before: boolean | string | null
}

/**
 * The custom resources of known operators that make stateful workloads; those that are paused already are not listed.
 */
export async function findOperated(api: KubernetesApi): Promise<Operated[]> {
  const groups = [...new Set(operators.map((row) => row.group))]
  const found = await pMap(groups, (group) => operatedOf(api, group), { concurrency })
  return found.flat()
}

/**
 * Names workloads of an operator that the table does not know: it may scale them back, and is then to be stopped by
 * hand.
 */
export function warnOfStrangers({ console }: Migration, workloads: readonly StatefulWorkload[]): void {
  const known = new Set(operators.map((row) => row.kind))
  for (const { kind, namespace, name, operatedBy } of workloads) {
    if (operatedBy === null || known.has(operatedBy.split(' ')[0] ?? '')) continue
    console.warn(
      `${kind} ${namespace}/${name} belongs to ${operatedBy}, whose operator is not known here: if it scales it back, stop the operator first.`,
    )
  }
}

/** Pauses them, so that what is scaled down stays down. */
export async function pauseOperators(
  migration: Migration,
  api: KubernetesApi,
  operated: readonly Operated[],
): Promise<string[]> {
  await pMap(
    operated,
    ({ description, path, field, value, before }) =>
      migration.change(`Pause ${description}`, {
        undo: { kind: operatorUndoKind, path, field: [...field], value, before },
        apply: async () => {
          await api.mergePatch(path, nested(field, value))
        },
      }),
    { concurrency },
  )
  return operated.map(({ description }) => description)
}

/** Gives the field its old value back, if it still has ours. */
export async function undoOperatorPause(api: KubernetesApi, undo: unknown): Promise<Undone> {
  const { path, field, value, before } = operatorUndoSchema.parse(undo)
  const object = await api.getOrNull(path)
  if (!object) return 'conflict: it is not there any more'
  const now = valueAt(object, field) ?? null
  if (isDeepStrictEqual(now, before)) return 'already'
  if (!isDeepStrictEqual(now, value)) {
    return `conflict: ${field.join('.')} is now ${JSON.stringify(now)}, and was ${JSON.stringify(before)}. Kept as it is.`
  }
  await api.mergePatch(path, nested(field, before))
  return 'undone'
}

/** Lets the operators go on with what we paused. */
export async function resumeOperators(migration: Migration, api: KubernetesApi): Promise<void> {
  const changes = migration.journal.changes({ kind: operatorUndoKind }).filter((change) => change.state !== 'undone')
  await pMap(changes, (change) => migration.undo(change, () => undoOperatorPause(api, change.undo)), { concurrency })
}

async function operatedOf(api: KubernetesApi, group: string): Promise<Operated[]> {
  const rows = operators.filter((row) => row.group === group)
  const served = await servedResources(
    api,
    group,
    rows.map((row) => row.resource),
  )
  const lists = await Promise.all(
    served.map(async (resource) => {
      const row = rows.find((each) => each.resource === resource.resource)
      if (!row) return []
      const objects = await api.list(collectionPath(resource))
      return objects.flatMap((object) => {
        const before = (valueAt(object, row.field) ?? null) as Operated['before']
        if (before === row.value) return []
        const path = `${collectionPath(resource, object.metadata.namespace)}/${object.metadata.name}`
        return [
          { description: `${resource.kind} ${fullName(object)}`, path, field: row.field, value: row.value, before },
        ]
      })
    }),
  )
  return lists.flat()
}

function valueAt(object: KubernetesObject, field: readonly string[]): unknown {
  return field.reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], object)
}

function nested(field: readonly string[], value: unknown): unknown {
  return field.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value)
}
