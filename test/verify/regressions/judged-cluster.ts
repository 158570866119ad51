import { at, type Written } from '../preflight/healthy-cluster.ts'

const ready = { conditions: [{ type: 'Ready', status: 'True', message: 'all is well' }] }
const sick = (message: string) => ({ conditions: [{ type: 'Ready', status: 'False', message }] })
const core = (resource: string, namespace = 'default') => `/api/v1/namespaces/${namespace}/${resource}`
const apps = (resource: string) => `/apis/apps/v1/namespaces/default/${resource}`
const collectionOf = (path: string) => path.slice(0, path.lastIndexOf('/'))
const beside = (path: string, name: string) => `${collectionOf(path)}/${name}`

/** Paths of what is broken. */
export const on = {
  stuck: `${apps('deployments')}/stuck`,
  unobserved: `${apps('deployments')}/unobserved`,
  zero: `${apps('deployments')}/zero`,
  vanishing: `${apps('deployments')}/vanishing`,
  half: `${apps('statefulsets')}/half`,
  agent: `${apps('daemonsets')}/agent`,
  alone: `${core('pods')}/alone`,
  operated: `${core('pods')}/pg-1`,
  crashing: `${core('pods')}/crashing`,
  scheduler: `${core('pods', 'kube-system')}/kube-scheduler-talos00`,
  nightly: '/apis/batch/v1/namespaces/default/cronjobs/nightly',
  secret: `${core('secrets')}/token`,
  config: `${core('configmaps')}/config`,
  lost: `${core('persistentvolumeclaims')}/lost`,
  deleted: `${core('persistentvolumeclaims')}/deleted`,
  failed: '/api/v1/persistentvolumes/failed',
  swapped: '/api/v1/persistentvolumes/swapped',
  parked: beside(at.kustomization, 'parked'),
  manual: beside(at.application, 'manual'),
  stale: beside(at.externalSecret, 'stale'),
} as const

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)
const written = (path: string, content: Record<string, unknown>): Written => [
  collectionOf(path),
  { metadata: { name: nameOf(path) }, ...content },
]

function workload(path: string, replicas: number, readyReplicas = replicas): Written {
  const labels = { app: nameOf(path) }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  return written(path, {
    spec: { replicas, selector: { matchLabels: labels }, template },
    status: { replicas, readyReplicas, observedGeneration: 1 },
  })
}

function daemonSet(path: string): Written {
  const labels = { app: nameOf(path) }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const counts = { numberReady: 2, desiredNumberScheduled: 2, currentNumberScheduled: 2, numberMisscheduled: 0 }
  return written(path, {
    spec: { selector: { matchLabels: labels }, template },
    status: { ...counts, observedGeneration: 1 },
  })
}

const running = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }

function pod(path: string, owner?: { apiVersion: string; kind: string; name: string }, isWell = true): Written {
  const ownerReferences = owner ? [{ ...owner, uid: `uid-of-${owner.name}`, controller: true }] : []
  const metadata = { name: nameOf(path), ownerReferences, labels: { 'k8s-app': nameOf(path).replace('-talos00', '') } }
  return [
    collectionOf(path),
    {
      metadata,
      spec: { nodeName: 'talos00', containers: [{ name: 'c', image: 'i' }] },
      status: isWell ? running : { phase: 'Pending', conditions: [] },
    },
  ]
}

function volume(name: string, claim: string, phase = 'Bound'): Written {
  return written(`/api/v1/persistentvolumes/${name}`, {
    spec: {
      storageClassName: 'truenas-nfs',
      accessModes: ['ReadWriteMany'],
      capacity: { storage: '1Gi' },
      nfs: { server: '192.0.2.20', path: `/${name}` },
      claimRef: { namespace: 'default', name: claim },
    },
    status: { phase },
  })
}

function claim(path: string, volumeName: string, phase = 'Bound'): Written {
  return written(path, {
    spec: {
      storageClassName: 'truenas-nfs',
      accessModes: ['ReadWriteMany'],
      volumeName,
      resources: { requests: { storage: '1Gi' } },
    },
    status: { phase },
  })
}

const kustomization = (path: string, status: Record<string, unknown>) =>
  written(path, {
    spec: { interval: '1m', prune: true, sourceRef: { kind: 'GitRepository', name: 'homelab' } },
    status,
  })

const application = (path: string, policy: Record<string, unknown>, health: string) =>
  written(path, {
    spec: { project: 'default', destination: {}, ...policy },
    status: { sync: { status: 'Synced' }, health: { status: health } },
  })

const node = { apiVersion: 'v1', kind: 'Node', name: 'talos00' }
const operator = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', name: 'pg' }

/** Beside what preflight looks at: what can be broken each in its own way, and it is well. */
const well: readonly Written[] = [
  ...[on.stuck, on.unobserved, on.zero, on.vanishing].map((path) => workload(path, 1)),
  workload(on.half, 3),
  daemonSet(on.agent),
  pod(on.alone),
  pod(on.operated, operator),
  pod(on.crashing),
  ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map((name) =>
    pod(`${core('pods', 'kube-system')}/${name}-talos00`, node),
  ),
  written(on.nightly, { spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: jobPod() } } } }),
  written(on.secret, { stringData: { token: 'not-a-secret' } }),
  written(on.config, { data: { a: 'b' } }),
  volume('lost', 'lost'),
  claim(on.lost, 'lost'),
  claim(on.deleted, 'deleted'),
  volume('failed', 'of-failed'),
  volume('swapped', 'swapped'),
  kustomization(on.parked, ready),
  application(on.manual, { syncPolicy: { automated: {} } }, 'Healthy'),
  written(on.stale, { spec: {}, status: ready }),
  ingress('shop', 'shop.talos00'),
  ingress('login', 'login.talos00'),
]

/** What was broken long before. */
const old: readonly Written[] = [
  workload(`${apps('deployments')}/old`, 1, 0),
  pod(`${core('pods')}/old`, undefined, false),
  claim(`${core('persistentvolumeclaims')}/old`, '', 'Pending'),
  volume('old', 'nobody', 'Released'),
  kustomization(beside(at.kustomization, 'old'), sick('no such path')),
  application(beside(at.application, 'old'), {}, 'Degraded'),
  written(beside(at.externalSecret, 'old'), { spec: {}, status: sick('no such item') }),
  written(beside(at.peer, 'old'), {
    spec: { clusterID: 'old' },
    status: { modules: { networking: { enabled: true, conditions: [{ type: 'Connection', status: 'Error' }] } } },
  }),
  ingress('old', 'old.talos00'),
]

/** As the lists have them; with the silent mesh peer they are ten. */
export const oldFaults: readonly string[] = [
  'Workloads are ready: Deployment default/old',
  'Pods outside of workloads are ready: Pod default/old',
  'PersistentVolumeClaims are bound: PersistentVolumeClaim default/old',
  'PersistentVolumes are bound: PersistentVolume old',
  'Flux has reconciled: Kustomization flux-system/old',
  'Argo CD has synced: Application argocd/old',
  'External Secrets are synced: ExternalSecret default/old',
  "Liqo's peerings are established: ForeignCluster old",
  'Who must be reached over the mesh answers: Mesh peer 10.42.0.9',
  'Ingress answers by Host header: old.talos00',
]

export const judged: readonly Written[] = [...well, ...old]

function jobPod() {
  return { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } }
}

function ingress(name: string, host: string): Written {
  return written(`/apis/networking.k8s.io/v1/namespaces/default/ingresses/${name}`, { spec: { rules: [{ host }] } })
}
