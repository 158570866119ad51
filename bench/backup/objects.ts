import { createHash } from 'node:crypto'
import type { KubernetesObject } from '../../lib/kubernetes/api.ts'

/** One object to create, and the collection that it belongs into. */
export interface Creation {
  collection: string
  object: KubernetesObject
}

type Fields = Record<string, unknown>

export const namespaces = Array.from({ length: 27 }, (_, number) => `bench-${number}`)

/**
 * Object `number` of the mix: of ten there are three pods, three config maps, two Secrets and two custom resources. They weigh 1 to 6 KB
 * each, as those of a homelab do; now and then comes a dashboard of up to 500 KB, or a Helm release of 40 KB. The same number is the
 * same object in every run.
 */
export function objectOf(number: number): Creation {
  const namespace = namespaces[number % namespaces.length] ?? ''
  const name = `object-${number}`
  const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'bench', team: words(number, 1) }
  const metadata = { name, namespace, labels, annotations: { description: words(number, 12) } }
  switch (number % 10) {
    case 0:
    case 3:
    case 6:
      return { collection: `/api/v1/namespaces/${namespace}/pods`, object: pod(number, metadata) }
    case 1:
    case 4:
    case 7:
      return { collection: `/api/v1/namespaces/${namespace}/configmaps`, object: configMap(number, metadata) }
    case 2:
    case 5:
      return { collection: `/api/v1/namespaces/${namespace}/secrets`, object: secret(number, metadata) }
    default:
      return {
        collection: `/apis/helm.toolkit.fluxcd.io/v2/namespaces/${namespace}/helmreleases`,
        object: helmRelease(number, metadata),
      }
  }
}

function pod(number: number, metadata: KubernetesObject['metadata']): KubernetesObject {
  const containers = Array.from({ length: 2 }, (_, at) => ({
    name: `container-${at}`,
    image: `registry.example/${words(number + at, 1)}@sha256:${bytes(number + at, 32).toString('hex')}`,
    args: words(number + at, 8).split(' '),
    env: words(number + at, 12)
      .split(' ')
      .map((value, env) => ({ name: `VARIABLE_${env}`, value })),
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '256Mi' } },
    readinessProbe: { httpGet: { path: '/ready', port: 'http' }, periodSeconds: 10 },
    volumeMounts: [{ name: 'settings', mountPath: '/etc/settings', readOnly: true }],
  }))
  const volumes = [{ name: 'settings', configMap: { name: metadata.name } }]
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers, volumes } }
}

/** One of 300 weighs 500 KB, which is as much as fits beside its managed fields and the history that tools keep. */
function configMap(number: number, metadata: KubernetesObject['metadata']): KubernetesObject {
  const data =
    number % 1000 === 1
      ? { 'dashboard.json': JSON.stringify(tree(number, 6, 7)).slice(0, 500_000) }
      : { 'settings.yaml': words(number, 60 + (number % 400)), 'run.sh': words(number + 1, 30).replaceAll(' ', '\n') }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }
}

function secret(number: number, metadata: KubernetesObject['metadata']): KubernetesObject {
  const data: Fields =
    number % 200 === 2
      ? { release: bytes(number, 30_000).toString('base64') }
      : {
          username: btoa(words(number, 1)),
          password: bytes(number, 24).toString('base64'),
          'tls.crt': bytes(number, 1200).toString('base64'),
        }
  return { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data }
}

function helmRelease(number: number, metadata: KubernetesObject['metadata']): KubernetesObject {
  const chart = {
    spec: {
      chart: words(number, 1),
      version: `1.${number % 40}.0`,
      sourceRef: { kind: 'HelmRepository', name: 'charts' },
    },
  }
  const spec = { interval: '10m', releaseName: metadata.name, chart, values: tree(number, 7, 2) }
  return { apiVersion: 'helm.toolkit.fluxcd.io/v2', kind: 'HelmRelease', metadata, spec }
}

/** Nested `depth` deep, `width` branches at each level. */
function tree(seed: number, depth: number, width: number): Fields {
  const branch = (at: number) => (depth === 1 ? words(seed + at, 4) : tree(seed * 3 + at, depth - 1, width))
  const entries = Array.from({ length: width }, (_, at) => [`${words(seed + at, 1)}-${at}`, branch(at)])
  return Object.fromEntries(entries)
}

const vocabulary = (
  'enabled replicas image tag storage class ingress host path service port memory limit request label selector node volume ' +
  'claim secret token issuer certificate cluster region timeout retry interval source chart values release upgrade rollback ' +
  'probe health ready live metrics scrape alert rule dashboard panel query series window rate sum errors latency'
).split(' ')

/** So many words that follow from the seed. */
function words(seed: number, count: number): string {
  let state = (seed * 2654435761 + 12345) >>> 0
  return Array.from({ length: count }, () => {
    state = (state * 1664525 + 1013904223) >>> 0
    return vocabulary[(state >>> 8) % vocabulary.length]
  }).join(' ')
}

/** So many bytes that follow from the seed and do not compress. */
function bytes(seed: number, count: number): Buffer {
  return createHash('shake256', { outputLength: count }).update(String(seed)).digest()
}
