import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Discovery } from '../kubernetes/discovery.ts'
import { readerOf } from '../kubernetes/reader.ts'
import { readTemplates } from '../kubernetes/templates.ts'
import type { Clock } from '../migration/clock.ts'
import { redacted } from '../migration/redact.ts'
import { type Aws, findAws } from './dependencies/aws.ts'
import { readConfigMaps } from './dependencies/config-maps.ts'
import { findHosts } from './dependencies/hosts.ts'
import { findLiqo, type Liqo } from './dependencies/liqo.ts'
import { findNebula, type Nebula } from './dependencies/nebula.ts'
import {
  type AddressPool,
  type Dns,
  findDns,
  findLoadBalancers,
  findPools,
  publicAddresses,
} from './dependencies/network.ts'
import { findNfs } from './dependencies/nfs.ts'
import {
  findOnePassword,
  findSecretStores,
  type OnePasswordServer,
  type SecretStore,
} from './dependencies/secret-stores.ts'

/** What lies outside of the cluster and must be there for it to work, as far as the cluster shows it. Secrets by their names alone. */
export type Dependencies = {
  nfs: { server: string; export: string | null; usedBy: string[] }[]
  hosts: { host: string; usedBy: string[] }[]
  loadBalancers: { address: string; usedBy: string[] }[]
  pools: AddressPool[]
  dns: Dns
  secretStores: SecretStore[]
  onePassword: OnePasswordServer[]
  nebula: Nebula
  liqo: Liqo
  aws: Aws
  /** public addresses that Nebula and Liqo go to, such as an Elastic IP */
  publicAddresses: { address: string; usedBy: string[] }[]
  /** what could not be read, and so may lack above */
  notRead: string[]
}

/**
 * Looks for file servers, names and addresses, DNS, stores of secrets, and the settings of Nebula, Liqo and AWS.
 * No Secret is read: which of them matter is known from whoever refers to them.
 */
export async function findDependencies(
  api: Pick<KubernetesApi, 'raw' | 'server'>,
  discovery: Pick<Discovery, 'resources'>,
  clock: Clock,
): Promise<Dependencies> {
  const reader = readerOf(api, discovery, clock)
  const templates = await readTemplates(reader)
  const configMaps = await readConfigMaps(reader)
  const nebula = findNebula(configMaps, templates)
  const liqo = await findLiqo(reader)
  return redacted({
    nfs: await findNfs(reader, templates),
    hosts: await findHosts(reader),
    loadBalancers: await findLoadBalancers(reader),
    pools: await findPools(reader, configMaps),
    dns: findDns(templates, configMaps),
    secretStores: await findSecretStores(reader),
    onePassword: findOnePassword(templates),
    nebula,
    liqo,
    aws: await findAws(reader, templates, configMaps),
    publicAddresses: publicAddresses([...placesOfNebula(nebula), ...placesOfLiqo(liqo)]),
    notRead: reader.refused,
  })
}

function placesOfNebula({ configs }: Nebula) {
  return configs.flatMap(({ configMap, staticHostMap }) =>
    staticHostMap.flatMap(({ mesh, underlay }) =>
      underlay.map((place) => ({ place, by: `Nebula ${mesh} (ConfigMap ${configMap})` })),
    ),
  )
}

function placesOfLiqo({ foreignClusters, gateways }: Liqo) {
  return [
    ...foreignClusters.flatMap(({ name, apiServerUrl }) =>
      apiServerUrl === null ? [] : [{ place: apiServerUrl, by: `ForeignCluster ${name}` }],
    ),
    ...gateways.flatMap(({ name, endpoints }) => endpoints.map((place) => ({ place, by: `GatewayClient ${name}` }))),
  ]
}

/** For the operator, in a few lines; the whole is in dependencies.json. */
export function describeDependencies(found: Dependencies): string[] {
  const { nfs, hosts, loadBalancers, secretStores, onePassword, nebula, liqo, publicAddresses } = found
  const unique = (names: string[]) => [...new Set(names)].join(', ')
  const lighthouses = unique(nebula.configs.flatMap((config) => config.lighthouses))
  const credentials = unique(
    [...secretStores, ...onePassword].flatMap((each) => each.credentials.map(({ secret }) => secret)),
  )
  const servers = unique(nfs.map(({ server }) => server))
  const parts = [
    `${nfs.length} NFS exports${servers === '' ? '' : ` on ${servers}`}`,
    `${hosts.length} hosts`,
    `load balancers: ${unique(loadBalancers.map(({ address }) => address)) || 'none'}`,
  ]
  return [
    `The cluster depends on: ${parts.join('; ')}.`,
    ...secretStores.map(
      ({ store, provider, server }) => `Secrets come from ${provider}${server ? ` at ${server}` : ''} (${store}).`,
    ),
    ...(credentials === '' ? [] : [`The credentials for that are in: ${credentials}.`]),
    ...(lighthouses === '' ? [] : [`Nebula's lighthouses: ${lighthouses}.`]),
    ...liqo.foreignClusters.map(
      ({ name, apiServerUrl }) => `Liqo is peered with ${name} (${apiServerUrl ?? 'no URL'}).`,
    ),
    ...publicAddresses.map(
      ({ address, usedBy }) => `A public address that has to stay: ${address} (${usedBy.join(', ')}).`,
    ),
    ...found.notRead.map((what) => `Not looked at for dependencies: ${what}`),
  ]
}
