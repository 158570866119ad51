import { readFile } from 'node:fs/promises'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import {
  type Availability,
  commonOutages,
  consistentRead,
  type Outage,
  outages,
  watchAvailability,
} from '../../kubernetes/availability.ts'
import { nodeIsReady } from '../../kubernetes/nodes.ts'
import { formatSeconds } from '../../migration/clock.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Condition, Migration } from '../../migration/migration.ts'
import { machineIsOff } from '../../network/ports.ts'
import { tellHands } from '../../talos/join/away.ts'
import { caughtUp } from '../../talos/join/conditions.ts'
import { waysIn } from '../../talos/join/endpoints.ts'
import { apiServerAt } from '../../talos/join/kubeconfig.ts'
import { type MemberState, memberStates } from '../../talos/join/members.ts'
import { verifyMayBeAway } from '../../talos/join/quorum.ts'
import type { Talosctl } from '../../talos/talosctl.ts'

/**
 * Takes one control plane away, the one that leads etcd, and watches whether the API goes on through the others; then it comes back. The
 * operator pulls the power and is asked before. What is measured is shown: for how long no API server answered.
 * @throws OperatorError when the others could not go on (with the arithmetic), or do not
 */
export async function testRedundancy(migration: Migration, talosctl: Talosctl, api: KubernetesApi): Promise<void> {
  const members = await memberStates(talosctl, await waysIn(migration.settings))
  const victim = members.find(({ id, status }) => status?.leader === id) ?? members.at(-1)
  if (!victim) return
  verifyMayBeAway(members, victim.id)
  const { hostname, address } = victim
  if (!(await consents(migration, hostname))) return
  const watch = await Watch.begin(migration, members, victim)
  try {
    await takeAway(migration, victim)
    await migration.wait(othersGoOn(talosctl, members, victim, watch, migration.settings.apiTimeout))
    tellHands(migration, victim, 'restore')
    await migration.wait(
      caughtUp(talosctl, { name: hostname, address }, others(members, victim), migration.settings.machineTimeout),
    )
    await nodeIsReady(migration, api, hostname)
  } finally {
    watch.stop()
  }
  watch.show(migration)
}

async function consents({ settings, prompt, console, dryRun }: Migration, node: string): Promise<boolean> {
  if (dryRun) {
    console.change(`Take ${node} away for a test, and bring it back`, 'would be made')
    return false
  }
  if (settings.redundancyTest === 'yes') return true
  const question = `Test the redundancy now: will you pull the power of ${node}, and give it back when told?`
  const answer = settings.redundancyTest === 'no' ? false : await prompt.confirm(question)
  if (answer) return true
  console.warn(
    'That the cluster survives the loss of a control plane was not tested. Later: task migrate:join REDUNDANCY_TEST=yes',
  )
  return false
}

async function takeAway(migration: Migration, victim: MemberState): Promise<void> {
  const { hostname, address } = victim
  tellHands(migration, victim, 'pull')
  await migration.wait(machineIsOff(hostname, address, migration.settings.machineTimeout))
}

/** Waits until etcd of the others has a leader among them, and every one of their API servers is ready. */
function othersGoOn(
  talosctl: Talosctl,
  members: readonly MemberState[],
  victim: MemberState,
  watch: Watch,
  timeoutSeconds: number,
): Condition<true> {
  return {
    name: `the others go on without ${victim.hostname}`,
    timeoutSeconds,
    hint: `Give ${victim.hostname} its power back at once, then look at why: talosctl etcd status`,
    probe: async () => {
      const now = await memberStates(talosctl, others(members, victim))
      const rest = now.filter(({ id }) => id !== victim.id)
      const leaders = new Set(rest.map(({ status }) => status?.leader ?? ''))
      const sick = rest.find(({ problem }) => problem !== null)
      if (sick) return { met: false, saw: `${sick.hostname}: ${sick.problem}` }
      if (leaders.size > 1 || leaders.has(victim.id)) return { met: false, saw: 'they elect a new leader' }
      if (!watch.othersAreUp()) return { met: false, saw: 'etcd goes on; not every API server is ready' }
      return { met: true, value: true }
    },
  }
}

function others(members: readonly MemberState[], victim: MemberState): MemberState['address'][] {
  return members.filter(({ id }) => id !== victim.id).map(({ address }) => address)
}

/** Ten looks a second at the API servers of the others, and at the cluster's endpoint. */
class Watch {
  readonly #others: Availability[]
  readonly #endpoint: Availability
  readonly #victim: string

  private constructor(others: Availability[], endpoint: Availability, victim: string) {
    this.#others = others
    this.#endpoint = endpoint
    this.#victim = victim
  }

  static async begin({ settings }: Migration, members: readonly MemberState[], victim: MemberState): Promise<Watch> {
    const kubeconfig = await readFile(settings.kubeconfig, 'utf8')
    const through = others(members, victim).map((address) =>
      watchAvailability(kubeconfig, { server: apiServerAt(settings.clusterEndpoint, address), path: consistentRead }),
    )
    return new Watch(
      await Promise.all(through),
      await watchAvailability(kubeconfig, { path: consistentRead }),
      victim.hostname,
    )
  }

  othersAreUp(): boolean {
    return this.#others.every(({ samples }) => samples.at(-1)?.up === true)
  }

  stop(): void {
    for (const watched of [...this.#others, this.#endpoint]) watched.stop()
  }

  show({ console }: Migration): void {
    const gap = longest(commonOutages(this.#others))
    const alone = longest(outages(this.#endpoint.samples))
    console.info(
      `Without ${this.#victim} the API answered through the others; the longest gap was ${formatSeconds(gap)}.`,
    )
    if (alone > gap + 1) {
      console.warn(
        `Through the cluster's endpoint it was away for ${formatSeconds(alone)}: that is the address of one machine. Not highly available.`,
      )
    }
    if (this.#others.some(({ samples }) => !samples.some(({ up }) => up))) {
      throw new OperatorError('One of the other API servers never answered.', {
        next: 'talosctl etcd status; kubectl get pods -n kube-system',
      })
    }
  }
}

function longest(all: readonly Outage[]): number {
  return Math.max(0, ...all.map(({ from, to }) => (to - from) / 1000))
}
