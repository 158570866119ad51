import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { until } from '../../kubernetes/bare-cluster.ts'
import { binary, deep, fields, metadata, type Planned, podSpec, type Random, text } from './random-objects.ts'

const core = '/api/v1'
const inCore = (namespace: string, resource: string) => `${core}/namespaces/${namespace}/${resource}`
const inGroup = (group: string, namespace: string, resource: string) =>
  `/apis/${group}/namespaces/${namespace}/${resource}`

type Make = (random: Random, name: string, namespace: string) => Planned

const namespaced: Make[] = [
  (random, name, namespace) => ({
    collection: inCore(namespace, 'configmaps'),
    object: {
      metadata: metadata(random, name, namespace),
      data: { text: text(random), empty: '', 'ca.crt': text(random) },
      binaryData: { 'b.bin': binary(random) },
      ...(random.chance(0.1) ? { immutable: true } : {}),
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'secrets'),
    object: {
      metadata: metadata(random, name, namespace),
      type: random.pick(['Opaque', 'example.org/own']),
      data: { key: binary(random, 2000), empty: '' },
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'services'),
    object: { metadata: metadata(random, name, namespace), spec: service(random) },
  }),
  (random, name, namespace) => ({
    collection: inGroup('apps/v1', namespace, 'deployments'),
    object: { metadata: metadata(random, name, namespace), spec: workload(random, name) },
  }),
  (random, name, namespace) => ({
    collection: inGroup('apps/v1', namespace, 'daemonsets'),
    object: { metadata: metadata(random, name, namespace), spec: { ...workload(random, name), replicas: undefined } },
  }),
  (random, name, namespace) => ({
    collection: inGroup('apps/v1', namespace, 'statefulsets'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        ...workload(random, name),
        serviceName: name,
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('batch/v1', namespace, 'jobs'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        suspend: true,
        backoffLimit: random.below(6),
        template: { metadata: { labels: { job: name } }, spec: { ...podSpec(random), restartPolicy: 'Never' } },
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('batch/v1', namespace, 'cronjobs'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        schedule: '0 3 * * *',
        jobTemplate: { spec: { template: { spec: { ...podSpec(random), restartPolicy: 'OnFailure' } } } },
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'pods'),
    object: { metadata: metadata(random, name, namespace), spec: podSpec(random) },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'serviceaccounts'),
    object: { metadata: metadata(random, name, namespace), imagePullSecrets: [{ name: 'pull' }] },
  }),
  (random, name, namespace) => ({
    collection: inGroup('rbac.authorization.k8s.io/v1', namespace, 'roles'),
    object: {
      metadata: metadata(random, name, namespace),
      rules: [{ apiGroups: ['', 'apps'], resources: ['*'], verbs: ['get', random.pick(['list', 'watch'])] }],
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('rbac.authorization.k8s.io/v1', namespace, 'rolebindings'),
    object: {
      metadata: metadata(random, name, namespace),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [
        { kind: 'ServiceAccount', name, namespace },
        { kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: text(random) },
      ],
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('networking.k8s.io/v1', namespace, 'ingresses'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        rules: [
          {
            host: `${name}.example`,
            http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name, port: { number: 80 } } } }] },
          },
        ],
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('autoscaling/v2', namespace, 'horizontalpodautoscalers'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
        maxReplicas: 3,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
        ],
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('policy/v1', namespace, 'poddisruptionbudgets'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: { maxUnavailable: '30%', selector: { matchLabels: { app: name } } },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('networking.k8s.io/v1', namespace, 'networkpolicies'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] },
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'limitranges'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '10Ti' } }] },
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'endpoints'),
    object: {
      metadata: metadata(random, name, namespace),
      subsets: [{ addresses: [{ ip: '192.0.2.9' }], ports: [{ port: 9100, protocol: 'TCP' }] }],
    },
  }),
  (random, name, namespace) => custom(random, 'widgets', metadata(random, name, namespace)),
  (random, name, namespace) => custom(random, 'relics', metadata(random, name, namespace)),
]

function workload(random: Random, name: string) {
  return {
    replicas: random.below(4),
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name }, annotations: { note: text(random) } }, spec: podSpec(random) },
  }
}

function service(random: Random): Record<string, unknown> {
  const ports = [
    { name: 'tcp', port: 53, protocol: 'TCP' },
    { name: 'udp', port: 53, protocol: 'UDP', targetPort: 'dns' },
  ]
  const selector = { app: 'plex' }
  return random.pick([
    { ports, selector },
    { ports, selector, type: 'NodePort' },
    { ports, selector, clusterIP: 'None' },
    { type: 'ExternalName', externalName: 'nas.example' },
    { ports: ports.slice(0, 1), selector, type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
  ])
}

const groupOfTest = 'test.example.org'

function definition(plural: string, kind: string, scope: string, subresources: Record<string, unknown>): Planned {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  return {
    collection: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    object: {
      metadata: { name: `${plural}.${groupOfTest}` },
      spec: {
        group: groupOfTest,
        scope,
        names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
        versions: [{ name: 'v1', served: true, storage: true, schema, subresources }],
      },
    },
  }
}

const definitions = [
  definition('widgets', 'Widget', 'Namespaced', { status: {} }),
  // Of before there were status subresources: its status is a field like any other.
  definition('relics', 'Relic', 'Namespaced', {}),
  definition('realms', 'Realm', 'Cluster', { status: {} }),
]

function custom(
  random: Random,
  resource: 'widgets' | 'relics' | 'realms',
  meta: KubernetesObject['metadata'],
): Planned {
  const kind = { widgets: 'Widget', relics: 'Relic', realms: 'Realm' }[resource]
  const collection = meta.namespace
    ? inGroup(`${groupOfTest}/v1`, meta.namespace, resource)
    : `/apis/${groupOfTest}/v1/${resource}`
  const object = {
    apiVersion: `${groupOfTest}/v1`,
    kind,
    metadata: meta,
    spec: fields(random, 5),
    other: [deep(random, 4)],
  }
  if (resource === 'relics') return { collection, object: { ...object, status: fields(random, 2) } }
  return { collection, object, status: fields(random, 2) }
}

/** The objects of a small cluster, each after what it needs. */
export function planCluster(random: Random, count: number): Planned[] {
  const namespaces = ['media', 'monitoring', 'home']
  const planned: Planned[] = [
    ...definitions,
    ...namespaces.map((name) => ({ collection: `${core}/namespaces`, object: { metadata: metadata(random, name) } })),
    ...clusterWide(random),
    ...namespaces.flatMap((namespace) => volumes(random, namespace)),
    ...namespaces.map((namespace) => quota(random, namespace)),
    {
      collection: inCore('media', 'configmaps'),
      object: { metadata: { name: 'large', namespace: 'media' }, data: { large: 'ü'.repeat(450_000) } },
    },
  ]
  for (let i = 0; i < count; i++) {
    const namespace = random.pick(namespaces)
    const made = random.pick(namespaced)(random, `o-${i}`, namespace)
    const owners = planned.filter(
      ({ collection, object }) => canOwn(collection) && (object.metadata.namespace ?? namespace) === namespace,
    )
    planned.push(random.chance(0.4) && owners.length > 0 ? { ...made, owner: random.pick(owners) } : made)
  }
  return planned
}

// Pods and the like are made anew by those that own them; these are not.
const canOwn = (collection: string) => /(configmaps|widgets|relics|realms|serviceaccounts)$/.test(collection)

function clusterWide(random: Random): Planned[] {
  return [
    {
      collection: '/apis/storage.k8s.io/v1/storageclasses',
      object: {
        metadata: metadata(random, 'nfs'),
        provisioner: 'example.org/nfs',
        parameters: { server: text(random) },
      },
    },
    {
      collection: '/apis/scheduling.k8s.io/v1/priorityclasses',
      object: { metadata: metadata(random, 'high'), value: 1000 + random.below(9) },
    },
    {
      collection: '/apis/networking.k8s.io/v1/ingressclasses',
      object: { metadata: metadata(random, 'traefik'), spec: { controller: 'traefik.io/ingress-controller' } },
    },
    {
      collection: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
      object: { metadata: metadata(random, 'own'), rules: [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }] },
    },
    {
      collection: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
      object: {
        metadata: metadata(random, 'own'),
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'own' },
        subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: 'media' }],
      },
    },
    ...Array.from({ length: 4 }, (_, i) => custom(random, 'realms', metadata(random, `realm-${i}`))),
  ]
}

function volumes(random: Random, namespace: string): Planned[] {
  const spec = { accessModes: ['ReadWriteMany'], storageClassName: 'nfs', volumeMode: 'Filesystem' }
  return Array.from({ length: 3 }, (_, i) => `${namespace}-${i}`).flatMap((name) => {
    const claim: Planned = {
      collection: inCore(namespace, 'persistentvolumeclaims'),
      object: {
        metadata: {
          ...metadata(random, name, namespace),
          annotations: { 'pv.kubernetes.io/bind-completed': 'yes', note: text(random) },
        },
        spec: { ...spec, volumeName: name, resources: { requests: { storage: '5Gi' } } },
      },
    }
    const volume: Planned = {
      collection: `${core}/persistentvolumes`,
      object: {
        metadata: { ...metadata(random, name), annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' } },
        spec: {
          ...spec,
          capacity: { storage: '5Gi' },
          persistentVolumeReclaimPolicy: 'Retain',
          nfs: { server: '192.0.2.10', path: `/export/${name}` },
          claimRef: {
            apiVersion: 'v1',
            kind: 'PersistentVolumeClaim',
            namespace,
            name,
            uid: 'f7a3f1a4-0000-4000-8000-000000000001',
            resourceVersion: '7',
          },
        },
      },
    }
    return [claim, volume]
  })
}

function quota(random: Random, namespace: string): Planned {
  return {
    collection: inCore(namespace, 'resourcequotas'),
    object: {
      metadata: metadata(random, 'quota', namespace),
      spec: { hard: { 'count/widgets.test.example.org': '1000' } },
    },
  }
}

/** Makes them all. */
export async function makeCluster(api: KubernetesApi, planned: readonly Planned[]): Promise<void> {
  const created = new Map<Planned, KubernetesObject>()
  for (const one of planned) {
    const object = one.owner ? ownedBy(one.object, created.get(one.owner) as KubernetesObject) : one.object
    const made = await api.create(one.collection, object)
    created.set(one, made)
    if (one.status !== undefined) {
      const path = `${one.collection}/${made.metadata.name}`
      await api.mergePatch(`${path}/status`, { status: one.status })
    }
    if (!one.collection.endsWith('customresourcedefinitions')) continue
    const plural = made.metadata.name.split('.')[0]
    await until(`${plural} are served`, async () => (await api.list(`/apis/${groupOfTest}/v1/${plural}`)).length === 0)
  }
}

function ownedBy(
  object: KubernetesObject,
  { apiVersion, kind, metadata: { name, uid } }: KubernetesObject,
): KubernetesObject {
  const owner = { apiVersion: apiVersion ?? '', kind: kind ?? '', name, uid: uid ?? '', controller: false }
  return { ...object, metadata: { ...object.metadata, ownerReferences: [owner] } }
}
