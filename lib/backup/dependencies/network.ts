import ipaddr from 'ipaddr.js'
import { type Reader, specOf, titleOf, Users } from '../../kubernetes/reader.ts'
import { containersOf, imageOf, type SecretName, secretsOf, type Template } from '../../kubernetes/templates.ts'
import type { ConfigMap } from './config-maps.ts'

/** Addresses that a load balancer gives out, which nobody else in the network may have. */
export type AddressPool = { pool: string; addresses: string[] }

export type Dns = {
  /** what writes the cluster's names into a DNS outside */
  externalDns: { workload: string; provider: string | null; domains: string[]; credentials: SecretName[] }[]
  /** servers that CoreDNS asks for names outside of the cluster, by zone */
  forwards: { configMap: string; zone: string; to: string[] }[]
  /** names that CoreDNS answers by itself */
  hosts: { configMap: string; address: string; names: string[] }[]
}

export async function findLoadBalancers(reader: Reader) {
  const found = new Users<{ address: string }>()
  const services = await reader.pick('', 'services', (service) => {
    const { loadBalancer } = (service.status ?? {}) as {
      loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] }
    }
    return (loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ({ address: ip ?? hostname, by: titleOf(service) }))
  })
  for (const { address, by } of services) if (address !== undefined) found.add({ address }, by)
  return found.list()
}

/** Sources: https://metallb.io/apis/ , https://docs.cilium.io/en/stable/network/lb-ipam/ , https://kube-vip.io/docs/usage/cloud-provider/ */
export async function findPools(reader: Reader, configMaps: readonly ConfigMap[]): Promise<AddressPool[]> {
  const metallb = await reader.pick('metallb.io', 'ipaddresspools', (pool) => [
    { pool: titleOf(pool), addresses: (specOf(pool).addresses ?? []) as string[] },
  ])
  const cilium = await reader.pick('cilium.io', 'ciliumloadbalancerippools', (pool) => {
    const { blocks = [] } = specOf(pool) as { blocks?: { cidr?: string; start?: string; stop?: string }[] }
    const addresses = blocks.map(({ cidr, start, stop }) => cidr ?? `${start}-${stop ?? start}`)
    return [{ pool: titleOf(pool), addresses }]
  })
  const kubeVip = configMaps
    .filter(({ namespace, name }) => namespace === 'kube-system' && name === 'kubevip')
    .flatMap(({ namespace, name, data }) =>
      Object.entries(data)
        .filter(([key]) => /^(cidr|range)-/.test(key))
        .map(([key, value]) => ({ pool: `ConfigMap ${namespace}/${name} ${key}`, addresses: value.split(',') })),
    )
  return [...metallb, ...cilium, ...kubeVip]
}

/** Sources: https://kubernetes-sigs.github.io/external-dns/ , https://coredns.io/plugins/forward/ , https://coredns.io/plugins/hosts/ */
export function findDns(templates: readonly Template[], configMaps: readonly ConfigMap[]): Dns {
  const coredns = configMaps.filter(({ namespace, name }) => namespace === 'kube-system' && name.startsWith('coredns'))
  const texts = coredns.flatMap(({ namespace, name, data }) =>
    Object.values(data).map((text) => ({ configMap: `${namespace}/${name}`, text })),
  )
  return {
    externalDns: templates.flatMap((template) => {
      if (imageOf(template, /(^|\/)external-dns(:|@|$)/) === undefined) return []
      const args = containersOf(template).flatMap((container) => container.args ?? [])
      const given = (flag: string) =>
        args.flatMap((arg) => (arg.startsWith(`${flag}=`) ? [arg.slice(flag.length + 1)] : []))
      const [provider = null] = given('--provider')
      const domains = given('--domain-filter')
      return [{ workload: template.owner, provider, domains, credentials: secretsOf(template) }]
    }),
    forwards: texts.flatMap(({ configMap, text }) =>
      [...text.matchAll(/^\s*forward\s+(\S+)\s+([^{\n]+)/gm)].map((line) => ({
        configMap,
        zone: line[1] ?? '',
        to: (line[2] ?? '').trim().split(/\s+/),
      })),
    ),
    hosts: texts.flatMap(({ configMap, text }) => hostsIn(text).map((each) => ({ configMap, ...each }))),
  }
}

/** The lines of `hosts { … }` that begin with an address. */
function hostsIn(corefile: string): { address: string; names: string[] }[] {
  return [...corefile.matchAll(/^\s*hosts\b[^{\n]*\{([^}]*)\}/gm)].flatMap((block) =>
    (block[1] ?? '').split('\n').flatMap((line) => {
      const [address = '', ...names] = line.trim().split(/\s+/)
      return ipaddr.isValid(address) && names.length > 0 ? [{ address, names }] : []
    }),
  )
}

/**
 * The public ones among HOST:PORT and URLs: an Elastic IP is one that somebody else's cloud gives out, and it has to stay.
 * @param places each with what names it
 */
export function publicAddresses(places: readonly { place: string; by: string }[]) {
  const found = new Users<{ address: string }>()
  for (const { place, by } of places) {
    const host = hostOf(place)
    if (host !== undefined && isPublic(host)) found.add({ address: host }, by)
  }
  return found.list()
}

function hostOf(place: string): string | undefined {
  const url = place.includes('://') ? place : `udp://${place}`
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : undefined
}

const privateRanges = ['private', 'loopback', 'linkLocal', 'uniqueLocal', 'carrierGradeNat', 'unspecified']

function isPublic(host: string): boolean {
  return ipaddr.isValid(host) && !privateRanges.includes(ipaddr.process(host).range())
}
