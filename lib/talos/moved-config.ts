import ipaddr from 'ipaddr.js'
import { type Address, parseAddress } from '../network/addresses.ts'
import { withAddress } from '../network/mentions.ts'
import type { Settings } from '../settings.ts'
import { type Fields, isFields } from './config-fields.ts'

/** A control plane that goes from one address to another; the endpoints are URLs, and equal where a name or a virtual address stays. */
export interface Move {
  readonly old: Address
  readonly next: Address
  readonly endpoint: string
  readonly nextEndpoint: string
}

/**
 * What belongs to the address in a machine's main document, at the new one: the endpoint, certificates' names, static addresses and
 * routes, hosts, registries, proxies, whatever else holds the address. Subnets that let Talos choose the node's address let it choose
 * the new one. On a control plane the issuer of service account tokens stays the old URL, and the API server goes on to accept tokens
 * for it: a token carries both (Kubernetes documentation, "Service Account Token Volume Projection"; kube-apiserver --service-account-issuer).
 */
export function movedConfig(main: Fields, move: Move): Fields {
  const moved = withSubnets(withEndpoint(replaced(main, move), move), main, move)
  return isControlPlane(main) ? withIssuer(moved, main, move) : moved
}

function replaced<T>(value: T, { old, next }: Move): T {
  const change = (part: unknown): unknown => {
    if (typeof part === 'string') return withAddress(part, old, next)
    if (Array.isArray(part)) return part.map(change)
    if (!isFields(part)) return part
    return Object.fromEntries(
      Object.entries(part).map(([name, entry]) => [withAddress(name, old, next), change(entry)]),
    )
  }
  return change(value) as T
}

/** A name of the endpoint is not an address, and may change all the same. */
function withEndpoint(main: Fields, { endpoint, nextEndpoint }: Move): Fields {
  if (endpoint === nextEndpoint) return main
  return within(main, ['cluster', 'controlPlane'], (controlPlane) => ({ ...controlPlane, endpoint: nextEndpoint }))
}

const subnetLists = [
  ['machine', 'kubelet', 'nodeIP', 'validSubnets'],
  ['cluster', 'etcd', 'advertisedSubnets'],
  ['cluster', 'etcd', 'listenSubnets'],
] as const

/** Only the machine's own: a worker's subnets are about the worker's address. */
function withSubnets(moved: Fields, main: Fields, { old, next }: Move): Fields {
  if (!isControlPlane(main)) return moved
  return subnetLists.reduce((result, path) => {
    const name = path.at(-1) ?? ''
    return within(result, path.slice(0, -1), (parent) => {
      const subnets = parent[name]
      if (!Array.isArray(subnets) || subnets.some((subnet) => holds(String(subnet), next))) return parent
      const own = `${next}/${ipaddr.parse(next).kind() === 'ipv6' ? 128 : 32}`
      return { ...parent, [name]: subnets.map((subnet) => (holds(String(subnet), old) ? own : subnet)) }
    })
  }, moved)
}

/** Whether a subnet as Talos writes it, with ! for an exception, takes the address in. */
function holds(subnet: string, address: Address): boolean {
  if (!ipaddr.isValidCIDR(subnet)) return false
  const [network, bits] = ipaddr.parseCIDR(subnet)
  const parsed = ipaddr.parse(address)
  return parsed.kind() === network.kind() && parsed.match(network, bits)
}

export const issuerArgument = 'service-account-issuer'
export const audiencesArgument = 'api-audiences'

function withIssuer(moved: Fields, main: Fields, { endpoint, nextEndpoint }: Move): Fields {
  const before = (at(main, ['cluster', 'apiServer', 'extraArgs']) ?? {}) as Record<string, string>
  const changes = endpoint !== nextEndpoint
  const issuer = before[issuerArgument] ?? (changes ? endpoint : undefined)
  const audiences = before[audiencesArgument] ?? (changes ? `${nextEndpoint},${endpoint}` : undefined)
  const pinned = {
    ...(issuer === undefined ? {} : { [issuerArgument]: issuer }),
    ...(audiences === undefined ? {} : { [audiencesArgument]: audiences }),
  }
  if (Object.keys(pinned).length === 0) return moved
  const cluster = (moved.cluster ?? {}) as Fields
  const apiServer = (cluster.apiServer ?? {}) as Fields
  const extraArgs = { ...((apiServer.extraArgs ?? {}) as Fields), ...pinned }
  return { ...moved, cluster: { ...cluster, apiServer: { ...apiServer, extraArgs } } }
}

export function isControlPlane(main: Fields): boolean {
  return at(main, ['machine', 'type']) !== 'worker'
}

/** Lets Talos be installed elsewhere: a path wins over a selector only when there is no selector. */
export function installedOn(
  main: Fields,
  { disk, image }: { disk?: string | undefined; image?: string | undefined },
): Fields {
  return within(main, ['machine', 'install'], ({ diskSelector, ...install }) => ({
    ...install,
    ...(disk === undefined ? (diskSelector === undefined ? {} : { diskSelector }) : { disk }),
    ...(image === undefined ? {} : { image }),
  }))
}

/**
 * The move of scenario B. What of an endpoint names the old machine goes with it, and a DNS name or another address stays.
 * @param endpoint cluster.controlPlane.endpoint of the config that moves
 * @returns undefined in another scenario
 */
export function moveOf(settings: Settings, endpoint: string): Move | undefined {
  const { scenario, nodeAddress, newNodeAddress, clusterEndpoint, newClusterEndpoint } = settings
  if (scenario !== 'B' || newNodeAddress === undefined) return undefined
  const old = parseAddress(nodeAddress, 'TALOS_NODE')
  const next = parseAddress(newNodeAddress, 'NEW_TALOS_NODE')
  const isTheClusters = new URL(endpoint).host === new URL(clusterEndpoint).host
  return { old, next, endpoint, nextEndpoint: isTheClusters ? newClusterEndpoint : withAddress(endpoint, old, next) }
}

/** A part of a document changed, if it is there. */
function within(main: Fields, [name, ...rest]: readonly string[], change: (part: Fields) => Fields): Fields {
  if (name === undefined) return change(main)
  const part = main[name]
  return isFields(part) ? { ...main, [name]: within(part, rest, change) } : main
}

function at(value: unknown, [name, ...rest]: readonly string[]): unknown {
  if (name === undefined) return value
  return isFields(value) ? at(value[name], rest) : undefined
}
