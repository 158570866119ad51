import { formatBytes } from '../../migration/console/bytes.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import type { KubernetesApi } from '../api.ts'
import { nodeIsReady } from '../nodes.ts'
import { isRebuilt } from '../rebuilt.ts'
import { matchesClaim, readVolumes } from '../volumes.ts'
import { Copies, type Order, type Outcome } from './copies.ts'
import { makeFolders } from './folders.ts'
import { copyAnnotations, type VolumePair } from './job.ts'
import {
  type Evacuated,
  evacuatedInPhase,
  machineIsGone,
  machineWasReplaced,
  placeOfCopies,
  rememberBroughtBack,
  rememberEvacuated,
  roundOf,
  stillAway,
} from './ledger.ts'
import { undecided } from './loss.ts'
import { pairUp, type Refusal, serverOf } from './pairs.ts'
import { copyVolumeOf, findCopiesAgain, whereItIs } from './rebuilt-copies.ts'
import { evacuationTarget } from './target.ts'

/**
 * Copies every local volume that is not accepted as lost to the class EVACUATE_TO, and compares both sides. Workloads must be at
 * rest. Nothing at the source is touched.
 * @throws OperatorError naming each volume that may not be copied, before anything is changed, or that was not copied
 */
export async function evacuate(migration: Migration, api: KubernetesApi): Promise<{ copied: number }> {
  const target = await evacuationTarget(api, migration.settings, placeOfCopies(migration.journal))
  if (machineIsGone(migration.journal)) throw machineGone(migration)
  const volumes = await readVolumes(api, migration.settings, evacuatedInPhase(migration))
  const wanted = undecided(volumes).filter(({ fate }) => fate === 'lost')
  const { nodeName } = migration.settings
  const { pairs, refusals } = await pairUp(
    api,
    wanted.map(({ claim }) => claim),
    { nodeName, ...target },
  )
  refuse(migration, refusals, 'migrate:drain scales down what uses them, and copies them then')
  const server = await serverOf(api, target)
  const orders = pairs.map((pair): Order => ({ pair, direction: 'out', server }))
  if (orders.length === 0) migration.console.info('No local volume is left to copy.')
  await runAll(migration, api, orders, async (pair, copied) => {
    rememberEvacuated(migration, pair, copied, await copyVolumeOf(api, pair))
    return note(migration, api, pair, {
      [copyAnnotations.evacuated]: JSON.stringify(copied),
      [copyAnnotations.broughtBack]: null,
    })
  })
  return { copied: orders.length }
}

/** As `evacuate`, where there is a class to copy to: what a drain does by the way. */
export async function evacuateIfAsked(migration: Migration, api: KubernetesApi): Promise<{ copied: number }> {
  const asked = migration.settings.evacuateTo !== undefined || placeOfCopies(migration.journal) !== undefined
  return asked ? evacuate(migration, api) : { copied: 0 }
}

/**
 * Copies what this run has evacuated back into the volumes that it came from, which are empty on the new machine's disk. A volume
 * that holds something else is not overwritten. While the old machine was not replaced there is nothing to do. In a cluster that was
 * rebuilt from Git the copies are found again by the journal first.
 * @throws OperatorError naming each volume that was not brought back
 */
export async function bringBack(migration: Migration, api: KubernetesApi): Promise<{ broughtBack: number }> {
  const { journal } = migration
  const isNew = await isRebuilt(migration, api)
  if (!isNew && !machineWasReplaced(journal)) return { broughtBack: 0 }
  await makeFolders(migration, api)
  const all = stillAway(journal).filter(({ namespace, claim }) => !isAccepted(`${namespace}/${claim}`, migration))
  const away = isNew ? await findCopiesAgain(migration, api, all) : all
  // Its kubelet may not have found the new control plane yet.
  for (const node of new Set(away.flatMap(({ copyNode }) => copyNode ?? []))) await nodeIsReady(migration, api, node)
  const { orders, refusals } = await ordersBack(migration, api, away)
  refuse(migration, refusals, 'Scale down what uses them')
  await runAll(migration, api, orders, (pair) => {
    rememberBroughtBack(migration, pair)
    return note(migration, api, pair, { [copyAnnotations.broughtBack]: migration.clock.now().toISOString() })
  })
  return { broughtBack: orders.length }
}

/** What provision could not bring back into a cluster that was rebuilt from Git, for GitOps has started the workloads since. */
export function warnOfCopies({ journal, console }: Migration): void {
  for (const one of stillAway(journal)) {
    console.warn(`${one.namespace}/${one.claim} was not brought back. ${whereItIs(one)}`)
  }
}

async function ordersBack(
  { settings }: Migration,
  api: KubernetesApi,
  away: readonly Evacuated[],
): Promise<{ orders: Order[]; refusals: Refusal[] }> {
  const orders: Order[] = []
  const refusals: Refusal[] = []
  for (const storageClass of new Set(away.map((each) => each.storageClass))) {
    const those = away.filter((each) => each.storageClass === storageClass)
    const digests = new Map(those.map(({ namespace, claim, digest }) => [`${namespace}/${claim}`, digest]))
    const found = await pairUp(api, [...digests.keys()], { nodeName: settings.nodeName, storageClass, isBack: true })
    refusals.push(...found.refusals)
    for (const pair of found.pairs) {
      const server = await serverOf(api, pair)
      orders.push({ pair, direction: 'back', server, digest: digests.get(`${pair.namespace}/${pair.claim}`) ?? '' })
    }
  }
  return { orders, refusals }
}

async function runAll(
  migration: Migration,
  api: KubernetesApi,
  orders: readonly Order[],
  done: (pair: VolumePair, copied: Extract<Outcome, { copied: unknown }>['copied']) => Promise<void>,
): Promise<void> {
  const { console } = migration
  const copies = new Copies(migration, api, {
    round: roundOf(migration),
    settled: async ({ pair }, outcome) => {
      if ('failed' in outcome) return
      await done(pair, outcome.copied)
      const { files, kib, digest } = outcome.copied
      console.info(
        `${pair.namespace}/${pair.claim}: ${files} files, ${formatBytes(kib * 1024)}, the same on both sides (sums ${digest.slice(0, 12)}…).`,
      )
    },
  })
  const outcomes = await copies.run(orders)
  const failed = [...outcomes].flatMap(([{ pair }, outcome]) =>
    'failed' in outcome ? [`  ${pair.namespace}/${pair.claim}: ${outcome.failed}`] : [],
  )
  if (failed.length === 0) return
  throw new OperatorError(`${failed.length} of ${orders.length} volumes were not copied:\n${failed.join('\n')}`, {
    means:
      'What they were copied from is untouched. The other volumes are copied and compared; they are not copied again.',
    next: `Mend what it says, then the same command again. To give a volume up: ACCEPT_DATA_LOSS=NAMESPACE/NAME`,
  })
}

/** For people who look at the copy later, and for its removal; this program goes by the journal. */
async function note(
  migration: Migration,
  api: KubernetesApi,
  pair: VolumePair,
  annotations: Record<string, string | null>,
): Promise<void> {
  const path = `/api/v1/namespaces/${pair.namespace}/persistentvolumeclaims/${pair.copy}`
  await migration.change(`Note on ${pair.namespace}/${pair.copy}: ${Object.keys(annotations).join()}`, {
    apply: () => api.mergePatch(path, { metadata: { annotations } }),
  })
}

function refuse(migration: Migration, refusals: readonly Refusal[], whenUsed: string): void {
  if (refusals.length === 0) return
  const lines = refusals.map(({ claim, why }) => `  ${claim}: ${why}`)
  if (migration.dryRun && refusals.every(({ inUse }) => inUse)) {
    for (const line of lines) migration.console.info(`${line.trim()} now; it is copied when that is scaled down.`)
    return
  }
  const wayOut = refusals.some(({ inUse }) => inUse) ? `${whenUsed}. For the rest, mend` : 'Mend'
  throw new OperatorError(`${refusals.length} volumes cannot be copied now:\n${lines.join('\n')}`, {
    means: 'No volume was copied.',
    next: `${wayOut} what it says, then the same command again. To give one up: ACCEPT_DATA_LOSS=${refusals.map(({ claim }) => claim).join(',')}`,
  })
}

function machineGone({ settings }: Migration): OperatorError {
  return new OperatorError(`${settings.nodeName} was shut down in this run: its disk is not there to be copied from.`, {
    means: 'Nothing was changed.',
    next: 'To bring what was copied back onto the new machine: task migrate:evacuate -- --back (migrate:resume does it too)',
  })
}

function isAccepted(claim: string, { settings }: Migration): boolean {
  return settings.acceptDataLoss.some((pattern) => matchesClaim(pattern, claim))
}
