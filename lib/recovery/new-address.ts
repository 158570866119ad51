import * as z from 'zod'
import { readConfigMaps } from '../backup/dependencies/config-maps.ts'
import { findLoadBalancers, findPools } from '../backup/dependencies/network.ts'
import type { KubernetesApi } from '../kubernetes/api.ts'
import { discover } from '../kubernetes/discovery.ts'
import { type Reader, readerOf } from '../kubernetes/reader.ts'
import { type Clock, systemClock } from '../migration/clock.ts'
import type { Migration } from '../migration/migration.ts'
import { type Address, parseAddress, sameAddress } from '../network/addresses.ts'
import { listensAt, livesAt } from '../network/in-use.ts'
import { type Claim, type Refusal, refusals, refuseAddress, type Surroundings } from '../network/new-address.ts'
import type { Settings } from '../settings.ts'
import { machineIdentity, sameMachine } from '../talos/identity.ts'
import { liveMachineConfig, type MachineConfig, networksOf, parseMachineConfig } from '../talos/machine-config.ts'
import { lookAtMachine } from '../talos/maintenance.ts'
import { Talosctl, type Target } from '../talos/talosctl.ts'
import type { PreflightCheck } from '../verify/preflight/context.ts'
import { rememberOtherMachines } from './other-nodes.ts'

const claim = z.object({ by: z.string(), range: z.string() })
const claims = z.array(claim)
const surroundingsFact = z.object({
  subnets: z.array(z.string()),
  pools: claims,
  clusterNetworks: claims,
  nodes: claims,
})

/**
 * Refuses a new address that cannot be had, while the cluster can be asked, and remembers what it said of its networks (fact
 * `surroundings`) for when it cannot.
 * @throws OperatorError that names every reason
 */
export async function refuseNewAddress(migration: Migration, api: KubernetesApi): Promise<void> {
  const { settings, clock } = migration
  const addresses = addressesOf(settings)
  if (!addresses) return
  const talosctl = await Talosctl.open(settings)
  const target = { address: addresses.old }
  const config = parseMachineConfig(await liveMachineConfig(talosctl, target), `the config of ${addresses.old}`)
  const found = await lookAround(api, talosctl, target, config, clock)
  migration.remember('surroundings', found)
  await rememberOtherMachines(migration, api)
  const unfit = refusals({ ...addresses, ...found })
  refuseAddress(addresses.next, [...unfit, ...(await inUse(talosctl, addresses.next, livesAt))])
}

/**
 * As refuseNewAddress, by what was remembered, or by the config alone, when there is no API to ask. The new machine itself may be there,
 * in maintenance mode or with the config that this run has given it; one that is still starting listens nowhere.
 * @throws OperatorError that names every reason
 */
export async function refuseNewAddressStill(
  migration: Migration,
  talosctl: Talosctl,
  config: MachineConfig,
): Promise<void> {
  const addresses = addressesOf(migration.settings)
  if (!addresses) return
  const { next, old } = addresses
  const found = migration.recall('surroundings', surroundingsFact) ?? surroundingsIn(config, old, next)
  const own = migration.recall('new-machine', machineIdentity)
  const seen = own ? await lookAtMachine(talosctl, next) : undefined
  const isOwn = seen?.state === 'running' && own !== undefined && sameMachine(own, seen.identity)
  refuseAddress(next, [
    ...refusals({ ...addresses, ...found }),
    ...(isOwn ? [] : await inUse(talosctl, next, listensAt)),
  ])
}

/** Scenario B: the new address can be had. */
export const newAddressIsFree: PreflightCheck = {
  name: 'The new address can be had',
  run: async (context) => {
    const { settings } = context
    const addresses = addressesOf(settings)
    if (!addresses) return []
    const talosctl = await context.machine()
    const found = await lookAround(
      await context.api(),
      talosctl,
      context.target,
      await context.liveConfig(),
      systemClock,
    )
    const unfit = [...refusals({ ...addresses, ...found }), ...(await inUse(talosctl, addresses.next, livesAt))]
    return unfit.map((refusal) => ({ subject: `NEW_TALOS_NODE=${addresses.next}`, ...refusal, severity: 'error' }))
  },
}

function addressesOf(settings: Settings): { old: Address; next: Address } | undefined {
  const { scenario, nodeAddress, newNodeAddress } = settings
  if (scenario !== 'B' || newNodeAddress === undefined) return undefined
  return { old: parseAddress(nodeAddress, 'TALOS_NODE'), next: parseAddress(newNodeAddress, 'NEW_TALOS_NODE') }
}

async function inUse(
  talosctl: Talosctl,
  next: Address,
  look: (address: Address) => Promise<string | undefined>,
): Promise<Refusal[]> {
  const seen = await lookAtMachine(talosctl, next)
  if (seen.state === 'maintenance') return []
  const wayOut =
    'Choose another NEW_TALOS_NODE, or disconnect what has it. The new machine itself may be there in maintenance mode only.'
  const evidence = seen.state === 'silent' ? await look(next) : `it is in use: ${seen.saw}`
  return evidence === undefined ? [] : [{ evidence, wayOut }]
}

async function lookAround(
  api: KubernetesApi,
  talosctl: Talosctl,
  target: Target,
  config: MachineConfig,
  clock: Clock,
): Promise<Surroundings> {
  const reader = readerOf(api, await discover(api), clock)
  const fromConfig = surroundingsIn(config, target.address)
  const live = await subnetsOf(talosctl, target)
  const given = await findLoadBalancers(reader)
  const pools = await findPools(reader, await readConfigMaps(reader))
  return {
    subnets: live.length > 0 ? live : fromConfig.subnets,
    pools: [
      ...pools.flatMap(({ pool, addresses }) => addresses.map((range) => ({ by: pool, range }))),
      ...given.map(({ address, usedBy }) => ({ by: usedBy.join(', '), range: address })),
    ],
    clusterNetworks: [...fromConfig.clusterNetworks, ...(await clusterNetworks(reader))],
    nodes: await nodeAddresses(reader),
  }
}

/** What the config alone tells; one that has been moved says of the old address with what prefix it was. */
function surroundingsIn(config: MachineConfig, old: Address, next?: Address): Surroundings {
  const { pods, services, addresses } = networksOf(config)
  return {
    subnets: addresses.flatMap((each) => {
      const [address = '', bits] = each.split('/')
      return bits !== undefined && [old, next ?? old].some((own) => sameAddress(own, address)) ? [`${old}/${bits}`] : []
    }),
    pools: [],
    clusterNetworks: [
      ...pods.map((range) => ({ by: 'the network of pods', range })),
      ...services.map((range) => ({ by: 'the network of Services', range })),
    ],
    nodes: [],
  }
}

const addressStatus = z.object({ address: z.string() }).loose()

/** Of whatever origin: static, or given by DHCP. */
async function subnetsOf(talosctl: Talosctl, target: Target): Promise<string[]> {
  const found = await talosctl.resources(target, 'addresses', addressStatus)
  return found.map(({ spec }) => spec.address).filter((each) => sameAddress(each.replace(/\/\d+$/, ''), target.address))
}

/** Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/ , Node and ServiceCIDR. */
async function clusterNetworks(reader: Reader): Promise<Claim[]> {
  const pods = await reader.pick(
    '',
    'nodes',
    ({ spec }) => (spec as { podCIDRs?: string[] } | undefined)?.podCIDRs ?? [],
  )
  const services = await reader.pick(
    'networking.k8s.io',
    'servicecidrs',
    ({ spec }) => (spec as { cidrs?: string[] } | undefined)?.cidrs ?? [],
  )
  return [
    ...pods.map((range) => ({ by: 'a network of pods', range })),
    ...services.map((range) => ({ by: 'a network of Services', range })),
  ]
}

async function nodeAddresses(reader: Reader): Promise<Claim[]> {
  return reader.pick('', 'nodes', ({ metadata, status }) => {
    const { addresses = [] } = (status ?? {}) as { addresses?: { type: string; address: string }[] }
    const ips = addresses.filter(({ type }) => type.endsWith('IP'))
    return ips.map(({ address }) => ({ by: `Node ${metadata.name}`, range: address }))
  })
}
