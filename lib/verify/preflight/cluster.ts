import { acceptance, withoutWayOut } from '../../kubernetes/evacuation/loss.ts'
import { evacuationTarget } from '../../kubernetes/evacuation/target.ts'
import { fullName, type Node } from '../../kubernetes/kinds.ts'
import { readVolumes } from '../../kubernetes/volumes.ts'
import { sameAddress } from '../../network/addresses.ts'
import type { Finding } from '../check.ts'
import type { PreflightCheck } from './context.ts'

const nodeIsReady: PreflightCheck = {
  name: 'The Node is there and ready',
  run: async (context) => {
    const { nodeName } = context.settings
    const { nodes } = await context.state()
    const node = nodes.find((each) => each.key === `Node ${nodeName}`)
    const finding = (evidence: string, wayOut: string): Finding => ({
      subject: `Node ${nodeName}`,
      evidence,
      severity: 'error',
      wayOut,
    })
    if (!node) {
      const names = nodes.map((each) => each.key.replace('Node ', '')).join(', ')
      return [finding(`there is none; there is: ${names || 'no Node at all'}`, 'Correct NODE_NAME.')]
    }
    if (node.virtual) return [finding('it is a virtual node of Liqo', 'Set NODE_NAME to the control plane node.')]
    return node.ready ? [] : [finding('it is not ready', `kubectl describe node ${nodeName}`)]
  },
}

/** The worst of mistakes is to shut down another machine than the one that was drained. */
const addressIsTheNodes: PreflightCheck = {
  name: 'TALOS_NODE is the address of the Node',
  run: async (context) => {
    const { nodeName, nodeAddress } = context.settings
    const api = await context.api()
    const node = await api.getOrNull<Node>(`/api/v1/nodes/${nodeName}`)
    const addresses = (node?.status?.addresses ?? [])
      .filter(({ type }) => type.endsWith('IP'))
      .map(({ address }) => address)
    if (node === null || addresses.some((address) => sameAddress(address, nodeAddress))) return []
    return [
      {
        subject: `Node ${nodeName}`,
        evidence: `its addresses are ${addresses.join(', ') || 'unknown'}, and TALOS_NODE is ${nodeAddress}`,
        severity: 'error',
        wayOut: 'Correct TALOS_NODE or NODE_NAME: one would be drained, and the other shut down.',
      },
    ]
  },
}

const nothingBlocksTheDrain: PreflightCheck = {
  name: 'Nothing blocks the drain',
  run: async (context) => {
    if (context.settings.scenario === 'C') return []
    const outlook = await context.outlook()
    const refused = outlook.refused.map(({ pod, notes, unless }) => ({
      subject: `Pod ${fullName(pod)}`,
      evidence: notes.join('; '),
      severity: 'error' as const,
      wayOut: unless.includes('--force')
        ? 'Delete it, give it a controller, or let it go: task migrate:drain -- --force'
        : 'Save what it holds, then let it go: EMPTYDIR_DATA=delete',
    }))
    const stuck = outlook.obstacles.map(({ subject, reason, wayOut }) => ({
      subject,
      evidence: reason,
      severity: 'warning' as const,
      wayOut,
    }))
    const blocked = outlook.blockers.map((blocker) => {
      const unresolved = outlook.unresolved.includes(blocker)
      return {
        subject: `PodDisruptionBudget ${blocker.budget}`,
        evidence: `${blocker.workloads.join(', ')}: ${blocker.reason}`,
        severity: unresolved && blocker.hopeless ? ('error' as const) : ('warning' as const),
        wayOut: unresolved
          ? blocker.wayOut
          : 'None needed: drain scales its workload to 0 with the replicas recorded, and resume brings it back.',
      }
    })
    return [...refused, ...stuck, ...blocked]
  },
}

/** Where the node is the only home, all of them are down while it is away: no news. */
const nothingIsPinned: PreflightCheck = {
  name: 'What runs on the Node can run elsewhere',
  run: async (context) => {
    const { onlyHome, stranded } = await context.outlook()
    if (onlyHome) return []
    const byWorkload = new Map(stranded.map(({ workload, why }) => [workload, why]))
    return [...byWorkload].map(([workload, why]) => ({
      subject: workload,
      evidence: `no other node takes it: ${why}`,
      severity: 'warning',
      wayOut:
        'Nothing, if it may be down from drain to resume; else loosen what pins it (nodeSelector, affinity, volume).',
    }))
  },
}

const noDataIsLostUnasked: PreflightCheck = {
  name: 'No volume is lost unasked',
  run: async (context) => {
    const { settings } = context
    // The machine stays; what lies on a worker that is promoted is looked at with it.
    if (settings.scenario === 'C') return []
    const volumes = await readVolumes(await context.api(), settings)
    return withoutWayOut(volumes, settings.evacuateTo !== undefined).map((volume) => ({
      subject: `PersistentVolumeClaim ${volume.claim}`,
      evidence: `${volume.size} of class ${volume.storageClass || 'none'}, ${volume.fate === 'lost' ? `on the disk of ${settings.nodeName}` : 'a class that the settings do not know'}`,
      severity: 'error' as const,
      wayOut: `migrate:drain would refuse to go on. Copy it (EVACUATE_TO), or accept the loss: ${acceptance([volume], settings)}`,
    }))
  },
}

const copiesHaveAPlace: PreflightCheck = {
  name: 'Local volumes can be copied where EVACUATE_TO says',
  run: async (context) => {
    const { evacuateTo, scenario } = context.settings
    if (evacuateTo !== undefined && scenario !== 'C') await evacuationTarget(await context.api(), context.settings)
    return []
  },
}

/** The cluster as it is tonight. */
export const clusterStateChecks: readonly PreflightCheck[] = [
  nodeIsReady,
  addressIsTheNodes,
  nothingBlocksTheDrain,
  nothingIsPinned,
  noDataIsLostUnasked,
  copiesHaveAPlace,
]
