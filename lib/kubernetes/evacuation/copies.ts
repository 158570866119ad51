import type { Migration } from '../../migration/migration.ts'
import { ApiError, type KubernetesApi } from '../api.ts'
import { ignoring } from '../api-error.ts'
import { fullName, type Job, type Pod } from '../kinds.ts'
import { isFinished, podPath, whyNotReady } from '../pods.ts'
import { addressOf, daemonPath, startDaemon } from './daemon.ts'
import {
  type Copied,
  copiedBy,
  copyClaim,
  copyJob,
  evacuationLabel,
  jobPath,
  lastWordsOf,
  peerOf,
  roundAnnotation,
  type VolumePair,
} from './job.ts'
import type { Direction } from './script.ts'

/** One volume to copy, and between which node and file server. */
export interface Order {
  readonly pair: VolumePair
  readonly direction: Direction
  readonly server: string
  /** on the way back: what the copy must have */
  readonly digest?: string
}

/** The cluster at one look: Jobs by `namespace/name`, and pods. */
interface Seen {
  readonly jobs: ReadonlyMap<string, Job>
  readonly pods: readonly Pod[]
}

/** What became of an order. */
export type Outcome = { copied: Copied } | { failed: string }

/**
 * Copies volumes, each by a Job of its own, at most EVACUATE_PER_NODE at once on a node and EVACUATE_PER_SERVER at a file server.
 * A Job that is there already is waited for, or, if it failed or is of another round, replaced.
 * @param settled is told each outcome as soon as it is known
 */
export class Copies {
  readonly #migration: Migration
  readonly #api: KubernetesApi
  readonly #round: string
  readonly #started = new Set<string>()
  readonly #outcomes = new Map<Order, Outcome>()
  readonly #settled: (order: Order, outcome: Outcome) => Promise<void>

  constructor(
    migration: Migration,
    api: KubernetesApi,
    { round, settled }: { round: string; settled: (order: Order, outcome: Outcome) => Promise<void> },
  ) {
    this.#migration = migration
    this.#api = api
    this.#round = round
    this.#settled = settled
  }

  /** Resolves when every order has its outcome. @throws OperatorError after EVACUATE_TIMEOUT */
  async run(orders: readonly Order[]): Promise<ReadonlyMap<Order, Outcome>> {
    if (this.#migration.dryRun) {
      for (const order of orders) await this.#begin(order)
      return this.#outcomes
    }
    await this.#migration.wait({
      name: 'the volumes are copied',
      timeoutSeconds: this.#migration.settings.evacuateTimeout,
      everyMs: 1000,
      hint: `Look at what they do: kubectl get jobs,pods -A -l ${evacuationLabel}; kubectl describe pod. The same command again goes on; EVACUATE_TIMEOUT is how long.`,
      probe: async () => {
        const saw = await this.#look(orders)
        return this.#outcomes.size === orders.length ? { met: true, value: undefined } : { met: false, saw }
      },
    })
    return this.#outcomes
  }

  async #look(orders: readonly Order[]): Promise<string> {
    const selector = { labelSelector: evacuationLabel }
    const [jobs, pods] = await Promise.all([
      this.#api.list<Job>('/apis/batch/v1/jobs', selector),
      this.#api.list<Pod>('/api/v1/pods', selector),
    ])
    const byName = new Map(jobs.map((job) => [fullName(job), job]))
    const seen: Seen = { jobs: byName, pods }
    const running: Order[] = []
    const waiting: { order: Order; stale: boolean }[] = []
    for (const order of orders.filter((each) => !this.#outcomes.has(each))) {
      const job = byName.get(nameOf(order))
      if (job?.metadata.deletionTimestamp) {
        running.push(order)
        continue
      }
      const outcome = job && this.#isOurs(job) ? outcomeOf(job, pods) : undefined
      if (outcome && 'copied' in outcome) await this.#settle(order, outcome)
      else if (outcome && this.#started.has(nameOf(order))) await this.#settle(order, outcome)
      else if (job && this.#isOurs(job) && !outcome && this.#isServed(order, job, seen)) running.push(order)
      else waiting.push({ order, stale: job !== undefined })
    }
    for (const { order, stale } of waiting) {
      if (!this.#hasRoom(order, running)) continue
      running.push(order)
      if (stale) await this.#remove(`the earlier Job ${nameOf(order)}`, jobPath(order.pair, order.direction))
      else await this.#tryToBegin(order, seen)
    }
    return this.#describe(orders, running, pods)
  }

  /** A Job of another round has copied what the volume was then. */
  #isOurs(job: Job): boolean {
    return job.metadata.annotations?.[roundAnnotation] === this.#round
  }

  /** A daemon that went, or came back at another address, is no longer the one that the Job was told of. */
  #isServed(order: Order, job: Job, { jobs, pods }: Seen): boolean {
    if (!order.pair.copyNode) return true
    const name = daemonNameOf(order)
    const daemon = jobs.get(name)
    if (!daemon || daemon.metadata.deletionTimestamp || !this.#isOurs(daemon)) return false
    const address = addressOf(podsOf(name, pods))
    return address === undefined || address === peerOf(job)
  }

  #hasRoom({ pair, server }: Order, running: readonly Order[]): boolean {
    const { evacuatePerNode, evacuatePerServer } = this.#migration.settings
    const onNode = (node: string) => running.filter((each) => nodesOf(each.pair).includes(node)).length
    const atServer = running.filter((each) => each.server === server).length
    return nodesOf(pair).every((node) => onNode(node) < evacuatePerNode) && atServer < evacuatePerServer
  }

  /** The daemon goes first: killed after that, the outcome is found again by the Job. */
  async #settle(order: Order, outcome: Outcome): Promise<void> {
    if (order.pair.copyNode) await this.#remove(`the daemon of ${nameOf(order)}`, daemonPath(order))
    await this.#settled(order, outcome)
    this.#outcomes.set(order, outcome)
  }

  /** In the foreground: a Job is gone only when its pods are, so that no two ever copy one volume. */
  async #remove(what: string, path: string): Promise<void> {
    await this.#migration.change(`Remove ${what}`, {
      apply: () => ignoring(404, () => this.#api.remove(path, foreground)),
    })
  }

  /** What the API refuses for good, as a quota does, is this volume's failure; the others go on. */
  async #tryToBegin(order: Order, seen: Seen): Promise<void> {
    try {
      if (!order.pair.copyNode) return await this.#begin(order)
      const peer = await this.#peerOf(order, seen)
      if (peer !== undefined) await this.#begin(order, peer)
    } catch (error) {
      if (!(error instanceof ApiError && [400, 403, 422].includes(error.status))) throw error
      await this.#settle(order, { failed: error.message })
    }
  }

  /** The address of the daemon beside the volume, which is started first; undefined while it is not up. */
  async #peerOf(order: Order, { jobs, pods }: Seen): Promise<string | undefined> {
    const name = daemonNameOf(order)
    const daemon = jobs.get(name)
    if (!daemon) {
      const { evacuateImage: image } = this.#migration.settings
      await this.#migration.change(`Serve volume ${order.pair.namespace}/${order.pair.claim} to the node of its copy`, {
        apply: () => startDaemon(this.#api, order, { image, round: this.#round }),
      })
    } else if (daemon.metadata.deletionTimestamp === undefined) {
      if (!this.#isOurs(daemon)) await this.#remove(`the earlier Job ${name}`, daemonPath(order))
      else if (hasEnded(daemon, 'Failed')) await this.#settle(order, { failed: whyFailed(daemon, pods) })
      else return addressOf(podsOf(name, pods))
    }
    return undefined
  }

  async #begin(order: Order, peer?: string): Promise<void> {
    const { pair, direction, digest } = order
    const { evacuateImage: image } = this.#migration.settings
    const claims = `/api/v1/namespaces/${pair.namespace}/persistentvolumeclaims`
    const jobs = `/apis/batch/v1/namespaces/${pair.namespace}/jobs`
    await this.#migration.change(describe(order), {
      // Nothing undoes it: what was copied from is as it was, and a copy is removed on request only.
      apply: async () => {
        if (direction === 'out') await ignoring(409, () => this.#api.create(claims, copyClaim(pair)))
        const told = { image, round: this.#round, ...(digest ? { digest } : {}), ...(peer ? { peer } : {}) }
        await ignoring(409, () => this.#api.create(jobs, copyJob(pair, direction, told)))
      },
    })
    this.#started.add(nameOf(order))
  }

  async #describe(orders: readonly Order[], running: readonly Order[], pods: readonly Pod[]): Promise<string> {
    const doing = await Promise.all(running.map((order) => this.#progressOf(order, pods)))
    const rest = orders.length - this.#outcomes.size - running.length
    return [`${this.#outcomes.size} of ${orders.length} settled`, ...doing, ...(rest > 0 ? [`${rest} wait`] : [])].join(
      '; ',
    )
  }

  async #progressOf(order: Order, pods: readonly Pod[]): Promise<string> {
    const { namespace, claim } = order.pair
    const live = (job: string) => podsOf(job, pods).findLast((each) => !isFinished(each))
    const pod = live(nameOf(order)) ?? (order.pair.copyNode ? live(daemonNameOf(order)) : undefined)
    if (pod?.status.phase !== 'Running') return `${namespace}/${claim} ${pod ? whyNotReady(pod) : 'has no pod yet'}`
    return `${namespace}/${claim} ${await this.#lastLine(pod)}`
  }

  /** rsync's own words on its progress; nothing when the log is not to be had. */
  async #lastLine(pod: Pod): Promise<string> {
    try {
      const log = await this.#api.raw(`${podPath(pod)}/log`, { tailLines: 1 }, { timeoutMs: 2000 })
      return log.toString('utf8').trim().replaceAll(/\s+/g, ' ').slice(0, 80) || 'is read'
    } catch {
      return 'is copied'
    }
  }
}

const foreground = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground' }

/** What a Job that has ended came to, by its pods' last words; undefined while it runs. */
export function outcomeOf(job: Job, pods: readonly Pod[]): Outcome | undefined {
  if (hasEnded(job, 'Failed')) return { failed: whyFailed(job, pods) }
  if (!hasEnded(job, 'Complete')) return undefined
  const succeeded = podsOf(fullName(job), pods).find((pod) => pod.status.phase === 'Succeeded')
  return succeeded
    ? { copied: copiedBy(succeeded) }
    : { failed: 'its Job is complete, and its pod, which knew the sums, is gone' }
}

function hasEnded(job: Job, type: 'Complete' | 'Failed'): boolean {
  return job.status?.conditions?.some((each) => each.type === type && each.status === 'True') ?? false
}

/** The last words of its pods, or what the Job itself says. */
function whyFailed(job: Job, pods: readonly Pod[]): string {
  const words = podsOf(fullName(job), pods)
    .map(lastWordsOf)
    .filter((text) => text !== '')
  const said = job.status?.conditions?.find(({ type }) => type === 'Failed')?.message
  return words.at(-1) ?? said ?? 'its Job failed and says nothing'
}

function podsOf(job: string, pods: readonly Pod[]): Pod[] {
  return pods
    .filter((pod) => `${pod.metadata.namespace}/${pod.metadata.labels?.['batch.kubernetes.io/job-name']}` === job)
    .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1))
}

function nameOf({ pair, direction }: Order): string {
  return `${pair.namespace}/${jobPath(pair, direction).split('/').at(-1)}`
}

function daemonNameOf(order: Order): string {
  return `${order.pair.namespace}/${daemonPath(order).split('/').at(-1)}`
}

/** The nodes whose disks a copy keeps busy. */
function nodesOf({ node, copyNode }: VolumePair): string[] {
  return copyNode ? [node, copyNode.name] : [node]
}

function describe({ pair, direction }: Order): string {
  const { namespace, claim, copy, storageClass, copyNode } = pair
  return direction === 'out'
    ? `Copy volume ${namespace}/${claim} to ${copy} (${storageClass}${copyNode ? ` on ${copyNode.name}` : ''})`
    : `Bring volume ${namespace}/${claim} back from ${copy}`
}
