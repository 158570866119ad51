import type { Node } from '../../kubernetes/kinds.ts'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import { sameAddress } from '../../network/addresses.ts'
import { etcdAlarms } from '../../talos/etcd.ts'
import { traitsOf } from '../../talos/join/config.ts'
import { memberOf } from '../../talos/join/members.ts'
import { verifyMayJoin } from '../../talos/join/quorum.ts'
import type { Finding } from '../check.ts'
import type { JoinCheck } from './context.ts'

const snapshotMinutes = 60

const etcdTakesAnother: JoinCheck = {
  name: 'etcd is healthy, and may take another member',
  run: async ({ talosctl, members, node, pattern }) => {
    const alarms = await etcdAlarms(talosctl, { address: pattern.address })
    return [
      ...alarms.map((alarm) =>
        finding('etcd', `it raises the alarm ${alarm}`, 'talosctl etcd defrag; talosctl etcd alarm disarm'),
      ),
      ...refusal(() => verifyMayJoin(members, node.name)),
    ]
  },
}

/** A machine whose etcd is empty removes the member of its own name when it joins, be that alive or not. */
const nameIsFree: JoinCheck = {
  name: 'Its name and its address are not those of another machine',
  run: async ({ api, members, node }) => {
    const found: Finding[] = []
    const member = memberOf(members, { name: node.name })
    if (member && member.address !== node.address) {
      const evidence = `etcd has a member of that name at ${member.address}. A machine that joins removes the member of its own name`
      found.push(
        finding(node.name, evidence, `Another name, or take that one out first: task migrate:leave NODE=${node.name}`),
      )
    }
    const neighbour = members.find(({ address, hostname }) => address === node.address && hostname !== node.name)
    if (neighbour?.hostname) {
      found.push(
        finding(
          String(node.address),
          `it is the address of the member ${neighbour.hostname}`,
          'Correct IP, or JOIN_NODES.',
        ),
      )
    }
    const nodes = await api.list<Node>('/api/v1/nodes')
    for (const other of nodes.filter(({ metadata }) => metadata.name !== node.name)) {
      const addresses = (other.status?.addresses ?? []).map(({ address }) => address)
      if (!addresses.some((address) => sameAddress(address, node.address))) continue
      found.push(
        finding(
          String(node.address),
          `it is the address of Node ${other.metadata.name}`,
          `NODE=${other.metadata.name}, if that one is meant: it keeps its name.`,
        ),
      )
    }
    return found
  },
}

const kubePrismIsOn: JoinCheck = {
  name: 'KubePrism is on',
  run: ({ pattern }) => {
    if (traitsOf(pattern.config).kubePrism) return []
    const evidence =
      'it is off: every kubelet goes to the cluster endpoint alone, and is lost with it however many control planes there are'
    const patch = '{"machine":{"features":{"kubePrism":{"enabled":true,"port":7445}}}}'
    return [
      finding(
        'machine.features.kubePrism',
        evidence,
        `On every machine, and in your configs: talosctl patch mc --patch '${patch}'`,
      ),
    ]
  },
}

/** The only one that asks for a phase of the evening: before that it is no reason why tonight would fail. */
export const snapshotIsFresh: JoinCheck = {
  name: 'There is an etcd snapshot of the last hour',
  run: ({ backups, settings, now }) => {
    const newest = backups.findLast(({ manifest }) => manifest.cluster === settings.clusterName && manifest.snapshot)
    const minutes = newest ? (now.getTime() - Date.parse(newest.manifest.createdAt)) / 60_000 : Infinity
    if (minutes <= snapshotMinutes) return []
    const evidence = newest ? `the newest, ${newest.folder}, is ${Math.round(minutes)} min old` : 'there is none'
    return [finding(settings.backupDir, evidence, 'task migrate:backup SCENARIO=C')]
  },
}

const endpointIsShared: JoinCheck = {
  name: 'The cluster endpoint is not the address of one machine',
  run: ({ pattern, members }) => {
    const host = new URL(pattern.config.endpoint).hostname
    const owner = members.find(({ address }) => sameAddress(address, host))
    if (!owner) return []
    return [
      {
        subject: pattern.config.endpoint,
        evidence: `it is ${owner.hostname} alone. With this the cluster is NOT highly available, however many join`,
        severity: 'warning',
        wayOut: 'What to do is said at the end: a virtual address that they share, or a load balancer.',
      },
    ]
  },
}

function finding(subject: string, evidence: string, wayOut: string): Finding {
  return { subject, evidence, severity: 'error', wayOut }
}

/** What is thrown as a finding, with its arithmetic. */
function refusal(verify: () => void): Finding[] {
  try {
    verify()
    return []
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return [finding('etcd', `${messageOf(error)} ${error.means ?? ''}`, error.next ?? '')]
  }
}

/** The cluster that is joined. */
export const clusterChecks: readonly JoinCheck[] = [
  etcdTakesAnother,
  nameIsFree,
  kubePrismIsOn,
  snapshotIsFresh,
  endpointIsShared,
]
