import type { Migration } from '../../migration/migration.ts'
import { sameAddress } from '../../network/addresses.ts'
import { differences, mainDocument, showChange } from '../../talos/config-fields.ts'
import { traitsOf } from '../../talos/join/config.ts'
import type { MemberState } from '../../talos/join/members.ts'
import type { MachineConfig } from '../../talos/machine-config.ts'
import { audiencesArgument, issuerArgument } from '../../talos/moved-config.ts'
import type { JoinContext } from './context.ts'

/** Shows in what the machine will differ from the control plane there is, and, of a worker, from what it is now. */
export async function showDifferences({ console }: Migration, context: JoinContext): Promise<void> {
  const { pattern, wanted, candidate, node } = context
  const rows = await aspects(context)
  const title = `${node.name} beside ${pattern.config.hostname ?? pattern.address}`
  console.table(
    title,
    ['what', pattern.config.hostname ?? String(pattern.address), `${node.name} now`, `${node.name} then`],
    rows,
  )
  showConfig(
    console,
    `Its config is that of ${pattern.config.hostname ?? pattern.address}, but for`,
    pattern.config,
    wanted,
  )
  if (candidate.state === 'worker') showConfig(console, 'As a worker it has had another', candidate.config, wanted)
}

function showConfig(console: Migration['console'], title: string, before: MachineConfig, after: MachineConfig): void {
  const changes = differences(mainDocument(before.text), mainDocument(after.text))
  console.info(changes.length === 0 ? `${title} nothing.` : `${title}:`)
  for (const change of changes) console.info(`  ${showChange(change)}`)
}

/** What an operator asks first, one line each. */
async function aspects({ pattern, wanted, candidate, api, node }: JoinContext): Promise<string[][]> {
  const now = 'config' in candidate ? candidate.config : undefined
  const [one, other] = await Promise.all(
    [pattern.config.hostname ?? '', node.name].map((name) => api.getOrNull<NodeTraits>(`/api/v1/nodes/${name}`)),
  )
  const extensions = 'extensions' in candidate ? candidate.extensions.join(', ') || 'none' : '?'
  const disk = (install: { disk?: string | undefined; selector?: unknown }) =>
    install.selector ? JSON.stringify(install.selector) : (install.disk ?? '')
  return [
    ['hostname', pattern.config.hostname ?? '', now?.hostname ?? '', wanted.hostname ?? ''],
    ['disk', disk(pattern.config.install), now ? disk(now.install) : disksOf(candidate), disk(wanted.install)],
    ['image', imageOf(pattern.config), now ? imageOf(now) : '', imageOf(wanted)],
    ['extensions', pattern.extensions.join(', ') || 'none', extensions, 'those of the image'],
    ['taints', taintsOf(one), taintsOf(other), 'as those of the control plane'],
    ['max pods', podsOf(one), podsOf(other), 'as those of the control plane'],
  ]
}

interface NodeTraits {
  spec: { taints?: { key: string; effect: string }[] }
  status?: { capacity?: Record<string, string> }
}

const taintsOf = (node: NodeTraits | null | undefined) =>
  node ? (node.spec.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).join(', ') || 'none' : ''
const podsOf = (node: NodeTraits | null | undefined) => node?.status?.capacity?.pods ?? ''
const imageOf = (config: JoinContext['wanted']) => traitsOf(config).installImage ?? "Talos' choice"

function disksOf(candidate: JoinContext['candidate']): string {
  return candidate.state === 'maintenance' ? candidate.disks.map(({ dev_path }) => dev_path).join(', ') : ''
}

/** Where the endpoint is still the address of one machine: says what that means, and how to have another. */
export function offerSharedEndpoint(
  { console, settings }: Migration,
  config: JoinContext['wanted'],
  members: readonly MemberState[],
): void {
  const host = new URL(config.endpoint).hostname
  const owner = members.find(({ address }) => sameAddress(address, host))
  if (!owner) return
  console.warn(
    `NOT highly available yet: the cluster endpoint ${config.endpoint} is the address of ${owner.hostname} alone. When it is off, the API runs on, and nobody finds it but the machines themselves (KubePrism).`,
  )
  const machines = members.map(({ address }) => address).join(',')
  const vip = JSON.stringify({
    machine: { network: { interfaces: [{ interface: 'eth0', vip: { ip: 'VIP' } }] } },
    cluster: {
      apiServer: {
        certSANs: ['VIP'],
        extraArgs: { [issuerArgument]: config.endpoint, [audiencesArgument]: `https://VIP:6443,${config.endpoint}` },
      },
    },
  })
  const endpoint = JSON.stringify({ cluster: { controlPlane: { endpoint: 'https://VIP:6443' } } })
  for (const line of [
    'A virtual address that they share (VIP: a free one of their network), or a load balancer before them (then without "interfaces"):',
    `  1. the control planes:   talosctl --nodes ${machines} patch mc --patch '${vip}'`,
    `  2. every machine, workers too:   talosctl --nodes ${machines},… patch mc --patch '${endpoint}'`,
    `  3. CLUSTER_ENDPOINT in env/${settings.cluster}.env, the same in your configs, and a new kubeconfig: task talos:kubeconfig`,
    'The issuer stays what it was until every pod has been renewed: their tokens carry it.',
  ])
    console.info(line)
}
