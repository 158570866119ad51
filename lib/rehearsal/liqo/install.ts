import { generateKeyPairSync } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { ApiError, type KubernetesApi } from '../../kubernetes/api.ts'

/** A cluster as Liqo sees it. */
export interface LiqoCluster {
  readonly api: KubernetesApi
  readonly id: string
  /** where Liqo is installed */
  readonly namespace: string
}

type Kind = readonly [group: string, version: string, kind: string, plural: string, scope?: 'Cluster' | 'Namespaced']

/** Those that a peering needs. Source: https://docs.liqo.io/en/v1.0.1/ and the API types of Liqo v1.0.1 (names and groups) */
const kinds: readonly Kind[] = [
  ['core.liqo.io', 'v1beta1', 'ForeignCluster', 'foreignclusters', 'Cluster'],
  ['offloading.liqo.io', 'v1beta1', 'VirtualNode', 'virtualnodes'],
  ['offloading.liqo.io', 'v1beta1', 'NamespaceOffloading', 'namespaceoffloadings'],
  ['offloading.liqo.io', 'v1beta1', 'NamespaceMap', 'namespacemaps'],
  ['offloading.liqo.io', 'v1beta1', 'Quota', 'quotas'],
  ['offloading.liqo.io', 'v1beta1', 'ShadowPod', 'shadowpods'],
  ['authentication.liqo.io', 'v1beta1', 'ResourceSlice', 'resourceslices'],
  ['authentication.liqo.io', 'v1beta1', 'Tenant', 'tenants'],
  ['authentication.liqo.io', 'v1beta1', 'Identity', 'identities'],
  ['networking.liqo.io', 'v1beta1', 'Configuration', 'configurations'],
  ['networking.liqo.io', 'v1beta1', 'Connection', 'connections'],
  ['networking.liqo.io', 'v1beta1', 'GatewayServer', 'gatewayservers'],
  ['networking.liqo.io', 'v1beta1', 'GatewayClient', 'gatewayclients'],
  ['networking.liqo.io', 'v1beta1', 'PublicKey', 'publickeys'],
  ['networking.liqo.io', 'v1beta1', 'WgGatewayServerTemplate', 'wggatewayservertemplates'],
  ['networking.liqo.io', 'v1beta1', 'WgGatewayClientTemplate', 'wggatewayclienttemplates'],
  ['ipam.liqo.io', 'v1alpha1', 'Network', 'networks'],
]

/**
 * Installs what liqoctl looks for: Liqo's definitions (without schemas, where the cluster has none of its own), its namespace, the cluster's
 * ID and keys, networks and templates. The controllers are a Deployment that runs nothing: playLiqo does their work.
 */
export async function installLiqo(
  { api, id, namespace }: LiqoCluster,
  podCidr: string,
  externalCidr: string,
): Promise<void> {
  for (const kind of kinds) await define(api, kind)
  await put(api, `/api/v1/namespaces/${namespace}`, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  })
  const inIt = `/api/v1/namespaces/${namespace}`
  await put(api, `${inIt}/configmaps/liqo-clusterid-configmap`, {
    ...{ apiVersion: 'v1', kind: 'ConfigMap' },
    metadata: { name: 'liqo-clusterid-configmap', labels: { 'app.kubernetes.io/name': 'clusterid-configmap' } },
    data: { CLUSTER_ID: id },
  })
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  await put(api, `${inIt}/secrets/authentication-keys`, {
    ...{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'authentication-keys' } },
    stringData: {
      privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      publicKey: publicKey.export({ type: 'spki', format: 'pem' }),
    },
  })
  const networking = `/apis/networking.liqo.io/v1beta1/namespaces/${namespace}`
  for (const [kind, plural, name] of [
    ['WgGatewayServerTemplate', 'wggatewayservertemplates', 'wireguard-server'],
    ['WgGatewayClientTemplate', 'wggatewayclienttemplates', 'wireguard-client'],
  ] as const) {
    await put(api, `${networking}/${plural}/${name}`, {
      apiVersion: 'networking.liqo.io/v1beta1',
      kind,
      metadata: { name },
    })
  }
  for (const [type, cidr] of [
    ['pod-cidr', podCidr],
    ['external-cidr', externalCidr],
  ] as const) {
    const path = `/apis/ipam.liqo.io/v1alpha1/namespaces/${namespace}/networks/${type}`
    const labels = { 'ipam.liqo.io/network-type': type }
    const network = {
      apiVersion: 'ipam.liqo.io/v1alpha1',
      kind: 'Network',
      metadata: { name: type, labels },
      spec: { cidr },
    }
    await put(api, path, network)
    await api.mergePatch(`${path}/status`, { status: { cidr } })
  }
  await installControllers(api, namespace)
}

/** One Deployment, by the name of the real one. Where pods run it gets a pod; where none do, it counts as available all the same. */
async function installControllers(api: KubernetesApi, namespace: string): Promise<void> {
  const labels = { 'app.kubernetes.io/name': 'controller-manager' }
  const container = { name: 'controller-manager', image: 'ghcr.io/liqotech/liqo-controller-manager:v1.0.1' }
  await put(api, `/apis/apps/v1/namespaces/${namespace}/deployments/liqo-controller-manager`, {
    ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'liqo-controller-manager' } },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  })
}

async function put(api: KubernetesApi, path: string, object: object): Promise<void> {
  await api.apply(path, object, 'rehearsal')
}

async function define(api: KubernetesApi, [group, version, kind, plural, scope = 'Namespaced']: Kind): Promise<void> {
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.${group}`
  if ((await api.getOrNull(path)) !== null) return
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  await api.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope,
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: [{ name: version, served: true, storage: true, schema, subresources: { status: {} } }],
    },
  })
  for (;;) {
    try {
      await api.list(`/apis/${group}/${version}/${plural}`)
      return
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error
      await delay(100)
    }
  }
}
