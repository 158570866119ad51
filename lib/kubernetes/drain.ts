import pMap from 'p-map'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi } from './api.ts'
import { isOverdue } from './drain-filters.ts'
import type { DrainOptions } from './drain-options.ts'
import { type DrainOutlook, refuseUntold } from './drain-outlook.ts'
import { askToGo } from './eviction.ts'
import { fullName, type Pod } from './kinds.ts'
import { listPods } from './pods.ts'
import { tellWhoIsLeft } from './still-there.ts'

const concurrency = 32
const pollMs = 250

/**
 * Tells the pods of an outlook to go and waits until they are gone. Each look lists the pods once, and asks those again
 * that are not ending yet: a refused one every second, or when the API server said. Who is still there, and why, is
 * shown all the while.
 * @throws OperatorError before the first when one may not go untold, after the timeout, or when only pods are left that the API refuses for good
 */
export async function drain(
  migration: Migration,
  api: KubernetesApi,
  outlook: DrainOutlook,
  options: DrainOptions,
): Promise<{ evicted: number }> {
  // What came onto the node since the operator was asked has not been accepted by anybody.
  refuseUntold(outlook)
  const pods = outlook.evicted.map(({ pod }) => pod)
  const asking = new Asking(migration, api, options)
  const verb = options.disableEviction ? 'Delete' : 'Evict'
  await pMap(pods, (pod) => migration.change(`${verb} Pod ${fullName(pod)}`, { apply: () => asking.ask(pod) }), {
    concurrency,
  })
  if (migration.dryRun) return { evicted: pods.length }
  const wanted = new Set(pods.map(uidOf))
  const place = outlook.nodes.join(', ')
  await migration.wait({
    name: `${place} is drained`,
    timeoutSeconds: options.timeoutSeconds,
    everyMs: pollMs,
    hint: 'Scale down what a budget protects, or end what holds the pod (a finalizer, a volume); then run this again. On a node that is dead: -- --skip-wait-for-delete-timeout 60',
    probe: async () => {
      const left = await stillThere(api, outlook.nodes, wanted)
      const awaited = left.filter((pod) => !isOverdue(pod, options, migration.clock.now()))
      // The change of each of these is journaled above: this only asks again.
      await asking.askAgain(awaited)
      if (awaited.length > 0) {
        asking.giveUpOnRefused(awaited)
        return { met: false, saw: tellWhoIsLeft(awaited, pods.length, asking.refusals, migration.clock.now()) }
      }
      if (left.length > 0) migration.console.warn(`Not waited for, as told: ${left.map(fullName).join(', ')}`)
      return { met: true, value: undefined }
    },
  })
  return { evicted: pods.length }
}

/**
 * Whether the machine that goes away was among the nodes. If not, the phase is not complete, however well it went.
 * @throws OperatorError
 */
export function verifyMachineIsDrained({ settings, dryRun }: Migration, nodes: readonly string[]): void {
  if (dryRun || nodes.includes(settings.nodeName)) return
  throw new OperatorError(`${nodes.join(', ')} is drained; ${settings.nodeName}, whose machine goes away, is not.`, {
    means: 'So the drain of this run is not complete, and a shutdown would be refused.',
    next: 'task migrate:drain',
  })
}

/** Of those that were told to go, by UID: a StatefulSet's replacement has the name of the pod that it replaces. */
async function stillThere(api: KubernetesApi, nodes: readonly string[], wanted: ReadonlySet<string>): Promise<Pod[]> {
  const pods = await Promise.all(nodes.map((node) => listPods(api, { node })))
  return pods.flat().filter((pod) => wanted.has(uidOf(pod)))
}

/** Asks pods to go, and remembers what the API said to those that did not. */
class Asking {
  readonly refusals = new Map<string, string>()
  readonly #notBefore = new Map<string, number>()
  readonly #migration: Migration
  readonly #api: KubernetesApi
  readonly #options: DrainOptions

  constructor(migration: Migration, api: KubernetesApi, options: DrainOptions) {
    this.#migration = migration
    this.#api = api
    this.#options = options
  }

  async ask(pod: Pod): Promise<void> {
    const answer = await askToGo(this.#api, pod, this.#options)
    if (answer.going) return
    this.refusals.set(uidOf(pod), answer.why)
    this.#notBefore.set(uidOf(pod), this.#migration.clock.elapsed() + answer.againAfterMs)
  }

  /** Those that are not ending, when their time has come. */
  async askAgain(pods: readonly Pod[]): Promise<void> {
    const now = this.#migration.clock.elapsed()
    const due = pods.filter((pod) => !isEnding(pod) && (this.#notBefore.get(uidOf(pod)) ?? 0) <= now)
    await pMap(due, (pod) => this.ask(pod), { concurrency })
  }

  /** @throws OperatorError when nobody is left but pods that the API refuses for good */
  giveUpOnRefused(pods: readonly Pod[]): void {
    const isFinal = (pod: Pod) => !isEnding(pod) && this.#notBefore.get(uidOf(pod)) === Infinity
    if (!pods.every(isFinal)) return
    const lines = pods.map((pod) => `  ${fullName(pod)}: ${this.refusals.get(uidOf(pod))}`)
    throw new OperatorError(`${pods.length} pods cannot be evicted:\n${lines.join('\n')}`, {
      means: 'All others are gone. Asking again would not help.',
      next: 'Mend what it says, then run this again: task migrate:drain',
    })
  }
}

function isEnding(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined
}

function uidOf(pod: Pod): string {
  return pod.metadata.uid ?? fullName(pod)
}
