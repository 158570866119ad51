import type { KubernetesApi } from '../../kubernetes/api.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import { leftOvers } from './left-overs.ts'
import { openHere, openThere, whyNoLiqo } from './open.ts'
import { type Peering, peersOf, readPeering } from './peering.ts'
import { recordedPeering, recordOffloaded, recordPeering } from './record.ts'
import type { Side } from './side.ts'

/** A peering that is to be torn down, as it was recorded. */
export interface FoundPeering {
  readonly peering: Peering
  readonly here: Side
  /** undefined: the other cluster is left out */
  readonly there: Side | undefined
}

/**
 * Finds the peering with the cluster of LIQO_REMOTE_KUBECONFIG, and writes it down before anything is changed.
 * @param localOnly without the other cluster, which cannot be reached
 * @returns undefined, having said why in one sentence, when there is nothing to tear down
 * @throws OperatorError when the other cluster is needed and cannot be had, or when the drain has stopped Liqo already
 */
export async function findPeering(
  migration: Migration,
  api: KubernetesApi,
  localOnly: boolean,
): Promise<FoundPeering | undefined> {
  const { settings, console } = migration
  const installation = await openHere(settings, api)
  if (installation.state !== 'running') {
    if (installation.state === 'at zero') refuseAfterDrain(migration)
    return nothing(console, whyNoLiqo(installation, settings.liqoNamespace) ?? '')
  }
  const here = installation.side
  const peers = await peersOf(here)
  const recorded = recordedPeering(migration)
  if (peers.length === 0 && recorded === undefined) {
    return nothing(console, `Liqo (${here.clusterId}) is peered with no other cluster: nothing to tear down.`)
  }
  const there = localOnly ? undefined : await openThere(settings, onlyHere)
  const other = there?.clusterId ?? theOnly(peers, recorded)
  const strangers = peers.filter((peer) => peer !== other)
  if (strangers.length > 0) {
    console.warn(
      `Liqo is peered with ${strangers.join(', ')} too: LIQO_REMOTE_KUBECONFIG is not of there, so that is left as it is.`,
    )
  }
  const isLeft = there !== undefined && (await leftOvers(there, here.clusterId)).length > 0
  if (!peers.includes(other) && recorded?.there !== other && !isLeft) {
    return nothing(console, `Liqo (${here.clusterId}) is not peered with ${other}: nothing to tear down.`)
  }
  const peering = recordPeering(migration, await readPeering(here, other, there))
  show(migration, peering)
  await recordOffloaded(migration, api, peering)
  return { peering, here, there }
}

const onlyHere = 'What can be done without it: this cluster’s half is removed with task migrate:unpeer -- --local-only'

function nothing(console: Migration['console'], why: string): undefined {
  console.info(why)
}

function theOnly(peers: readonly string[], recorded: Peering | undefined): string {
  const [peer, ...more] = recorded === undefined ? peers : [recorded.there]
  if (peer !== undefined && more.length === 0) return peer
  throw new OperatorError(`Liqo is peered with several clusters: ${peers.join(', ')}.`, {
    means: 'Without LIQO_REMOTE_KUBECONFIG it is not known which of them is meant. Nothing was changed.',
    next: 'Unpeer from the others by hand (liqoctl unpeer), or set LIQO_REMOTE_KUBECONFIG.',
  })
}

/** Liqo at rest because of the drain is not Liqo at rest by itself: its peerings would be lost unsaid. */
function refuseAfterDrain({ journal }: Migration): void {
  if (journal.phaseState('drain') === 'not begun' || journal.doneAfter('resume', 'drain')) return
  throw new OperatorError('Liqo was stopped by this run’s drain: its peerings cannot be torn down any more.', {
    means: 'Nobody here would take the peering’s objects away. Nothing was changed.',
    next: 'task migrate:resume first, then migrate:unpeer and migrate:drain again.',
  })
}

function show({ console }: Migration, { there, role, networking, directions, offloadings }: Peering): void {
  const gateway =
    networking === null
      ? 'no network of its own'
      : `gateway server ${networking.server}${networking.serviceType ? `, ${networking.serviceType}` : ''}`
  console.table(
    `The peering with ${there} (${role})`,
    ['who offloads', 'slices', 'virtual nodes', 'network'],
    [
      ...directions.map(({ consumer, slices, virtualNodes }) => [
        consumer === 'here' ? 'this cluster' : there,
        slices.map(({ name, resources }) => `${name} (${amounts(resources)})`).join(', '),
        virtualNodes.map(({ name }) => name).join(', '),
        gateway,
      ]),
    ],
  )
  if (offloadings.length > 0) {
    console.info(
      `Offloaded namespaces: ${offloadings.map(({ namespace, spec }) => `${namespace} (${spec.podOffloadingStrategy ?? 'LocalAndRemote'})`).join(', ')}`,
    )
  }
}

function amounts(resources: Readonly<Record<string, string>>): string {
  const all = Object.entries(resources).map(([name, amount]) => `${name} ${amount}`)
  return all.length === 0 ? 'as offered' : all.join(', ')
}
