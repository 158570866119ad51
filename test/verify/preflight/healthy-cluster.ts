import { parse } from 'yaml'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { nebulaHost } from './healthy-mesh.ts'

/** Where an object is, and what is written of it; `status` goes where only a controller writes. */
export type Written = [collection: string, object: Omit<KubernetesObject, 'metadata'> & { metadata: { name: string } }]

const ready = { conditions: [{ type: 'Ready', status: 'True', message: 'all is well' }] }
const core = (namespace: string, resource: string) => `/api/v1/namespaces/${namespace}/${resource}`
const apps = (namespace: string, resource: string) => `/apis/apps/v1/namespaces/${namespace}/${resource}`
const flux = '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations'
const sources = '/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories'
const secrets = '/apis/external-secrets.io/v1'
const room = { cpu: '16', memory: '64Gi', pods: '110' }

/** Paths of what is made sick. */
export const at = {
  control: '/api/v1/nodes/talos00',
  worker: '/api/v1/nodes/talos01',
  web: `${apps('default', 'deployments')}/web`,
  cilium: `${apps('kube-system', 'daemonsets')}/cilium`,
  volume: '/api/v1/persistentvolumes/media',
  claim: `${core('default', 'persistentvolumeclaims')}/media`,
  source: `${sources}/homelab`,
  kustomization: `${flux}/apps`,
  application: '/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/media',
  store: `${secrets}/clustersecretstores/onepassword`,
  externalSecret: `${secrets}/namespaces/default/externalsecrets/token`,
  certificate: '/apis/cert-manager.io/v1/namespaces/default/certificates/homelab-ca',
  slice: '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/hook',
  service: `${core('default', 'services')}/ingress`,
  pool: '/apis/metallb.io/v1beta1/namespaces/default/ipaddresspools/lan',
  peer: '/apis/core.liqo.io/v1beta1/foreignclusters/aws',
  nebula: `${core('default', 'secrets')}/nebula-certs`,
} as const

const collectionOf = (path: string) => path.slice(0, path.lastIndexOf('/'))
const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)
const written = (path: string, content: Record<string, unknown>): Written => [
  collectionOf(path),
  { metadata: { name: nameOf(path) }, ...content },
]

function node(path: string, address: string): Written {
  const labels = { 'kubernetes.io/hostname': nameOf(path) }
  const status = { ...ready, capacity: room, allocatable: room, addresses: [{ type: 'InternalIP', address }] }
  return [collectionOf(path), { metadata: { name: nameOf(path), labels } as { name: string }, spec: {}, status }]
}

/** Selector and template of a workload. */
function template(app: string, container: Record<string, unknown> = {}) {
  const labels = { app }
  const spec = { containers: [{ name: 'c', image: 'i', ...container }] }
  return { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } }
}

const cilium = `
metadata: { name: cilium, labels: { k8s-app: cilium } }
status: { numberReady: 2, desiredNumberScheduled: 2, currentNumberScheduled: 2, numberMisscheduled: 0, observedGeneration: 1 }
`

/** A homelab of two nodes with all that preflight looks at, and nothing wrong with it. @param head what Git has */
export function healthyCluster(head: string): Written[] {
  const revision = `main@sha1:${head}`
  const sourceRef = { kind: 'GitRepository', name: 'homelab' }
  const nfs = { server: '192.0.2.20', path: '/media' }
  const claimRef = { namespace: 'default', name: 'media' }
  const shared = { storageClassName: 'truenas-nfs', accessModes: ['ReadWriteMany'] }
  const env = [{ name: 'KUBERNETES_SERVICE_HOST', value: 'localhost' }]
  return [
    ...['flux-system', 'argocd', 'liqo', 'cert-manager'].map(
      (name): Written => ['/api/v1/namespaces', { metadata: { name } }],
    ),
    node(at.control, '192.168.1.54'),
    node(at.worker, '192.168.1.55'),
    written(at.web, {
      spec: { replicas: 1, ...template('web') },
      status: { replicas: 1, readyReplicas: 1, observedGeneration: 1 },
    }),
    [collectionOf(at.cilium), { ...parse(cilium), spec: template('cilium', { env }) }],
    written(at.volume, {
      spec: { ...shared, nfs, claimRef, capacity: { storage: '1Gi' } },
      status: { phase: 'Bound' },
    }),
    written(at.claim, {
      spec: { ...shared, volumeName: 'media', resources: { requests: { storage: '1Gi' } } },
      status: { phase: 'Bound' },
    }),
    written(at.source, {
      spec: { interval: '1m', url: 'ssh://git@github.com/me/homelab' },
      status: { ...ready, artifact: { revision } },
    }),
    written(at.kustomization, {
      spec: { interval: '1m', prune: true, sourceRef },
      status: { ...ready, lastAppliedRevision: revision },
    }),
    written(at.application, {
      spec: { project: 'default', destination: {} },
      status: { sync: { status: 'Synced' }, health: { status: 'Healthy' } },
    }),
    written(at.store, { spec: { provider: { onepassword: { connectHost: 'http://connect' } } }, status: ready }),
    written(at.externalSecret, { spec: {}, status: ready }),
    written(at.certificate, { spec: { isCA: true, secretName: 's', issuerRef: { name: 'i' } }, status: ready }),
    ...hook(),
    written(at.service, {
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
      status: { loadBalancer: { ingress: [{ ip: '192.168.1.200' }] } },
    }),
    written(at.pool, { spec: { addresses: ['192.168.1.200-192.168.1.210'] } }),
    ...liqo(),
    written(at.nebula, { stringData: { 'host.crt': nebulaHost('8000h') } }),
  ]
}

/** A webhook whose pod runs on the other node; it is asked for what no test makes. */
function hook(): Written[] {
  const endpoint = { addresses: ['10.244.1.5'], conditions: { ready: true }, nodeName: 'talos01' }
  const slice = { addressType: 'IPv4', endpoints: [endpoint], ports: [{ port: 443 }] }
  const rules = [
    {
      apiGroups: ['helm.toolkit.fluxcd.io'],
      apiVersions: ['*'],
      operations: ['CREATE'],
      resources: ['helmreleases'],
    },
  ]
  const webhook = {
    name: 'check.example.org',
    ...{ rules, sideEffects: 'None', admissionReviewVersions: ['v1'], failurePolicy: 'Fail' },
    clientConfig: { service: { namespace: 'default', name: 'hook' } },
  }
  const metadata = { name: 'hook', labels: { 'kubernetes.io/service-name': 'hook' } }
  return [
    [collectionOf(at.slice), { metadata, ...slice }],
    [
      '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations',
      { metadata: { name: 'hook' }, webhooks: [webhook] },
    ],
  ]
}

function liqo(): Written[] {
  const conditions = [{ type: 'NetworkConnectionStatus', status: 'Established' }]
  const labelled = { name: 'liqo-clusterid', labels: { 'app.kubernetes.io/name': 'clusterid-configmap' } }
  return [
    [
      apps('liqo', 'deployments'),
      {
        metadata: { name: 'liqo-controller-manager' },
        spec: { replicas: 1, ...template('liqo') },
        status: { replicas: 1, readyReplicas: 1, observedGeneration: 1 },
      },
    ],
    [core('liqo', 'configmaps'), { metadata: labelled, data: { CLUSTER_ID: 'home' } }],
    written(at.peer, {
      spec: { clusterID: 'aws' },
      status: { modules: { networking: { enabled: true, conditions } } },
    }),
  ]
}

/** A custom resource has to say what it is. */
const kinds: Record<string, string> = {
  gitrepositories: 'GitRepository',
  kustomizations: 'Kustomization',
  applications: 'Application',
  clustersecretstores: 'ClusterSecretStore',
  externalsecrets: 'ExternalSecret',
  certificates: 'Certificate',
  ipaddresspools: 'IPAddressPool',
  foreignclusters: 'ForeignCluster',
}

function typeIn(collection: string): { apiVersion?: string; kind?: string } {
  const kind = kinds[nameOf(collection)]
  const apiVersion = /^\/apis\/([^/]+\/[^/]+)/.exec(collection)?.[1]
  return kind && apiVersion ? { apiVersion, kind } : {}
}

/** Writes it all, and its status as its controllers would. */
export async function write(api: KubernetesApi, objects: readonly Written[]): Promise<void> {
  for (const [collection, { status, ...object }] of objects) {
    await api.create(collection, {
      ...typeIn(collection),
      ...object,
      ...(collection.endsWith('/applications') ? { status } : {}),
    })
    if (status !== undefined) await setStatus(api, `${collection}/${object.metadata.name}`, status)
  }
}

/** Argo CD's Application has no status of its own path. */
export async function setStatus(api: KubernetesApi, path: string, status: unknown): Promise<void> {
  await api.mergePatch(path.includes('/applications/') ? path : `${path}/status`, { status })
}
