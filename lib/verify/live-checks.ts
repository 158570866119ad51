import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Node, Pod } from '../kubernetes/kinds.ts'
import { isReady, listPods, whyNotReady } from '../kubernetes/pods.ts'
import type { Migration } from '../migration/migration.ts'
import { type NebulaFacts, nebulaCertificates } from '../network/nebula/facts.ts'
import { type Reach, reachFromHere } from '../network/nebula/peers.ts'
import type { Settings } from '../settings.ts'
import type { Talosctl, Target } from '../talos/talosctl.ts'
import { type Check, type Finding, NotChecked } from './check.ts'
import { type Answer, askIngress } from './ingress.ts'
import { controlPlane, etcdFindings, machineFindings, oldAddressFindings } from './machines.ts'
import { expiringInMesh, nebulaCertIfThere } from './mesh.ts'

/** What verify looks at beside the state of the cluster: what runs now, which no baseline holds. */
export interface LiveCluster {
  readonly settings: Settings
  readonly api: KubernetesApi
  readonly talosctl: Talosctl
  /** the machine that is the control plane now */
  readonly target: Target
  now(): Date
  /** Asks the ingress at the machine's address. */
  askIngress(hosts: readonly string[]): Promise<Answer[]>
  readonly reach: Reach
  /** @throws NotChecked without nebula-cert */
  nebula(): Promise<Pick<NebulaFacts, 'certificates' | 'refused'>>
}

type LiveCheck = Check<LiveCluster>

/** Certificates last for months: they are read once in so long. */
const nebulaEveryMs = 60_000

/** The cluster of the settings, as it is after the evening. */
export function openLiveCluster({ settings, clock }: Migration, api: KubernetesApi, talosctl: Talosctl): LiveCluster {
  let read: { at: number; found: ReturnType<LiveCluster['nebula']> } | undefined
  const nebula = () => {
    const at = clock.elapsed()
    if (read === undefined || at - read.at > nebulaEveryMs) {
      read = { at, found: nebulaCertificates(api, settings, clock, () => nebulaCertIfThere(settings)) }
    }
    return read.found
  }
  const target = controlPlane(settings)
  return {
    ...{ settings, api, talosctl, target, nebula },
    now: () => clock.now(),
    askIngress: (hosts) => askIngress(hosts, target.address),
    reach: reachFromHere,
  }
}

const machineIsHealthy: LiveCheck = {
  name: 'The machine and its services are healthy',
  run: ({ talosctl, target }) => machineFindings(talosctl, target),
}

const etcdIsHealthy: LiveCheck = {
  name: 'etcd is healthy',
  run: ({ talosctl, target }) => etcdFindings(talosctl, target),
}

const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler']

const controlPlaneRuns: LiveCheck = {
  name: 'Every control plane Node runs the control plane',
  run: async ({ api }) => {
    const [nodes, pods] = await Promise.all([
      api.list<Node>('/api/v1/nodes', { labelSelector: 'node-role.kubernetes.io/control-plane' }),
      listPods(api, { labels: `k8s-app in (${components.join(',')})` }),
    ])
    return nodes.flatMap(({ metadata }) => {
      const here = pods.filter(({ spec }) => spec.nodeName === metadata.name)
      return components.flatMap((component) => missing(component, metadata.name, here))
    })
  },
}

function missing(component: string, node: string, pods: readonly Pod[]): Finding[] {
  const own = pods.filter(({ metadata }) => metadata.labels?.['k8s-app'] === component)
  if (own.some(isReady)) return []
  const [first] = own
  return [
    {
      subject: `${component} on ${node}`,
      evidence: first ? whyNotReady(first) : 'it has no pod',
      severity: 'error',
      wayOut: `talosctl get staticpodstatus; talosctl containers --kubernetes`,
      converging: true,
    },
  ]
}

const oldAddressIsQuiet: LiveCheck = {
  name: 'Nothing answers at the old address',
  run: ({ settings }) => oldAddressFindings(settings),
}

const meshCertificatesHold: LiveCheck = {
  name: "Nebula's certificates hold",
  run: async (cluster) => {
    const { certificates, refused } = await cluster.nebula()
    if (refused.length > 0) throw new NotChecked(refused.join('; '))
    return certificates.flatMap((certificate) => expiringInMesh(certificate, cluster.now()))
  },
}

/** In the order of the guide: `task talos:health` in its parts, then `nebula-cert print`. */
export const liveChecks: readonly LiveCheck[] = [
  machineIsHealthy,
  etcdIsHealthy,
  controlPlaneRuns,
  oldAddressIsQuiet,
  meshCertificatesHold,
]
