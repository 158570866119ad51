import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { until } from '../../kubernetes/bare-cluster.ts'
import { custom, definitions, groupOfTest } from './random-custom.ts'
import { namespaced } from './random-namespaced.ts'
import { core, inCore, metadata, type Planned, type Random, text } from './random-objects.ts'

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
