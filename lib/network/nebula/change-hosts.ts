import * as z from 'zod'
import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { restart } from '../../kubernetes/rollout.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import { assertMutable, exchange } from './exchange.ts'
import { describePlace, type NebulaFacts, type Place, pathOf, type StoredConfig, textIn } from './facts.ts'
import { type HostEdit, hostEdits, inverse, withEdits } from './hosts.ts'
import type { Move } from './moves.ts'
import { reasonOf, restarted } from './renew.ts'
import { linesIn } from './repository.ts'

/** The undo data of edited hosts: the edits and what the text was and is, as digests, for a config may have a key in it. */
const edited = z.object({
  kind: z.literal('nebula-hosts'),
  place: z.object({ kind: z.enum(['ConfigMap', 'Secret']), namespace: z.string(), name: z.string(), key: z.string() }),
  edits: z.array(z.object({ offset: z.number(), from: z.string(), to: z.string() })),
  was: z.string(),
  is: z.string(),
  workloads: z.array(z.object({ kind: z.string(), namespace: z.string(), name: z.string() })),
})

/** A config in the cluster that holds addresses which change, and whoever would write it anew. */
export interface OutdatedConfig {
  readonly config: StoredConfig
  readonly edits: readonly HostEdit[]
  /** `Kustomization flux-system/mesh`; undefined: nobody but the cluster holds it */
  readonly holder: string | undefined
}

/** Whoever writes an object anew: Git, or a controller. */
export type HolderOf = (object: KubernetesObject) => string | undefined

/** The configs in which an address stands that changes. */
export async function outdatedConfigs(
  api: KubernetesApi,
  facts: NebulaFacts,
  moves: readonly Move[],
  holderOf: HolderOf,
): Promise<OutdatedConfig[]> {
  const outdated = facts.configs
    .map((config) => ({ config, edits: hostEdits(config.text, moves) }))
    .filter(({ config, edits }) => edits.length > 0 || linesIn(config.text, moves).length > 0)
  return Promise.all(
    outdated.map(async (each) => {
      const { place } = each.config
      const object = await api.getOrNull(pathOf(place))
      return { ...each, holder: object === null ? undefined : holderOf({ ...object, kind: place.kind }) }
    }),
  )
}

/**
 * Changes the addresses of hosts in one config; every other byte of it stays.
 * @returns its new text
 */
export async function changeHosts(
  migration: Migration,
  api: KubernetesApi,
  facts: NebulaFacts,
  { config: { place, text }, edits }: OutdatedConfig,
): Promise<string> {
  await assertMutable(api, place)
  const changed = withEdits(text, edits)
  const plain = edits.map(({ offset, from, to }) => ({ offset, from, to }))
  await migration.change(`change ${edits.length} addresses in ${describePlace(place)}`, {
    undo: {
      kind: 'nebula-hosts',
      place: { ...place },
      edits: plain,
      was: reasonOf(text),
      is: reasonOf(changed),
      workloads: restarted(facts),
    },
    apply: () => exchange(api, place, text, changed),
  })
  return changed
}

/**
 * Puts the addresses back, and restarts what reads them.
 * @returns conflict when the text is neither what it was nor what it was made
 */
export async function takeBackHosts(api: KubernetesApi, change: JournaledChange): Promise<Undone> {
  const { place, edits, was, is, workloads } = edited.parse(change.undo)
  const there = textIn(await api.getOrNull(pathOf(place)), place as Place)
  if (there === undefined) return `conflict: ${describePlace(place)} is not there any more`
  if (reasonOf(there) === was) return 'already'
  if (reasonOf(there) !== is) return `conflict: ${describePlace(place)} has been changed since`
  await exchange(api, place, there, withEdits(there, inverse(edits)))
  for (const workload of workloads) await restart(api, workload, was)
  return 'undone'
}
