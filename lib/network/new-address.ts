import ipaddr from 'ipaddr.js'
import { OperatorError } from '../migration/errors.ts'
import { type Address, sameAddress } from './addresses.ts'

/** Addresses that somebody has: one, `10.0.0.0/24`, or `10.0.0.1-10.0.0.9`. */
export type Claim = { by: string; range: string }

/** What surrounds a new address; JSON, so that it can be remembered for the hours in which no API tells it. */
export type Surroundings = {
  /** the old machine's addresses with their prefixes: `192.168.1.54/24` */
  subnets: string[]
  /** pools of load balancers, and what their Services have been given */
  pools: Claim[]
  /** networks of pods and Services */
  clusterNetworks: Claim[]
  nodes: Claim[]
}

/** Why an address cannot be the new machine's. */
export interface Refusal {
  readonly evidence: string
  readonly wayOut: string
}

interface Candidate extends Surroundings {
  readonly old: Address
  readonly next: Address
}

type Check = (candidate: Candidate) => Refusal | undefined

const chooseAnother = 'Choose another NEW_TALOS_NODE.'

const isNew: Check = ({ old, next }) =>
  sameAddress(old, next)
    ? { evidence: 'it is the old address', wayOut: 'For new hardware at the same address: SCENARIO=A.' }
    : undefined

const isNoOtherNodes: Check = ({ old, next, nodes }) => {
  const other = nodes.find(({ range }) => sameAddress(range, next) && !sameAddress(range, old))
  return other && { evidence: `it is the address of ${other.by}`, wayOut: chooseAnother }
}

const isInNoPool: Check = ({ next, pools }) => {
  const [pool] = poolsWith(pools, next)
  if (pool === undefined) return undefined
  const wayOut = `A load balancer could give it to a Service. ${chooseAnother} Or take it out of the pool, in Git as well.`
  return { evidence: `it lies in ${pool.range} of ${pool.by}`, wayOut }
}

const isOutsideTheCluster: Check = ({ next, clusterNetworks }) => {
  const network = clusterNetworks.find(({ range }) => includes(range, next))
  if (network === undefined) return undefined
  return { evidence: `it lies in ${network.range}, ${network.by}`, wayOut: `Pods could not reach it. ${chooseAnother}` }
}

const isInTheSubnet: Check = ({ next, subnets }) => {
  if (subnets.length === 0 || subnets.some((subnet) => includes(subnet, next))) return undefined
  const wayOut = `The machine's routes and gateway are those of its old subnet. ${chooseAnother}`
  return { evidence: `it is not in the old machine's subnet (${subnets.join(', ')})`, wayOut }
}

const isAHosts: Check = ({ next, subnets }) => {
  const reserved = subnets.flatMap(reservedIn).find(({ range }) => sameAddress(range, next))
  return reserved && { evidence: `it is ${reserved.by}`, wayOut: chooseAnother }
}

/** In the order in which they are told. */
const checks: readonly Check[] = [isNew, isAHosts, isInTheSubnet, isNoOtherNodes, isInNoPool, isOutsideTheCluster]

/** Every reason for which an address cannot be the new machine's, as far as the surroundings tell. */
export function refusals(candidate: Candidate): Refusal[] {
  return checks.flatMap((check) => check(candidate) ?? [])
}

/** @throws OperatorError that names all of the refusals */
export function refuseAddress(next: Address, found: readonly Refusal[]): void {
  if (found.length === 0) return
  throw new OperatorError(`NEW_TALOS_NODE=${next} cannot be the new machine's address.`, {
    means: `${found.map(({ evidence }) => evidence).join('; ')}. Nothing was changed by this.`,
    next: [...new Set(found.map(({ wayOut }) => wayOut))].join(' '),
  })
}

/** The pools that would give the address away. */
export function poolsWith(pools: readonly Claim[], address: Address): Claim[] {
  return pools.filter(({ range }) => includes(range, address))
}

/** Whether an address lies in a range as Cilium, MetalLB and kube-vip write them. */
function includes(range: string, address: Address): boolean {
  const parsed = ipaddr.process(address)
  if (ipaddr.isValidCIDR(range)) {
    const [network, bits] = ipaddr.parseCIDR(range)
    return network.kind() === parsed.kind() && parsed.match(network, bits)
  }
  const [first = '', last = first] = range.split('-').map((part) => part.trim())
  if (!ipaddr.isValid(first) || !ipaddr.isValid(last)) return false
  const bytes = [first, address, last].map((text) => Buffer.from(ipaddr.process(text).toByteArray()))
  const [low, own, high] = bytes as [Buffer, Buffer, Buffer]
  return low.length === own.length && low.compare(own) <= 0 && own.compare(high) <= 0
}

/** The first and the last address of an IPv4 network are nobody's (RFC 1122); in one of two or one addresses they are (RFC 3021). */
function reservedIn(subnet: string): Claim[] {
  if (!ipaddr.IPv4.isValidCIDR(subnet) || ipaddr.IPv4.parseCIDR(subnet)[1] > 30) return []
  return [
    { by: `the network's own address (${subnet})`, range: ipaddr.IPv4.networkAddressFromCIDR(subnet).toString() },
    { by: `the broadcast address (${subnet})`, range: ipaddr.IPv4.broadcastAddressFromCIDR(subnet).toString() },
  ]
}
