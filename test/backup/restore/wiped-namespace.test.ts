import test from 'ava'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../../lib/kubernetes/kinds.ts'
import { startBareCluster, until } from '../../kubernetes/bare-cluster.ts'
import { backUp, configMap, createNamespace, inNamespace, newVault, restore, total } from './backing-up.ts'

const namespace = 'media'
const core = `/api/v1/namespaces/${namespace}`
const apps = `/apis/apps/v1/namespaces/${namespace}`
const chains = '/apis/test.example.org/v1'

test('a wiped namespace of 200 mixed objects comes back: pods run, claims have their old volumes, owner chains hold', async (t) => {
  const cluster = await startBareCluster({ pods: true })
  t.teardown(cluster.stop)
  const { api } = cluster
  await build(api)
  await until('the workloads run', async () => (await runningPods(api)) === 13, 120)
  // A pod may run on a claim whose volume does not say yet that it is bound.
  await until('the claims are bound', async () => (await boundClaims(api)).size === 8)
  const claims = await boundClaims(api)
  const counted = await countObjects(api)
  t.true(counted >= 200, `${counted} objects`)
  const vault = await newVault(t)
  const backup = await backUp(vault, api)

  await wipe(api)
  const { summary, lines } = await restore(vault, api, backup, { selection: inNamespace(namespace) })
  t.deepEqual(summary.refused, [], lines.filter((line) => line.startsWith('warn')).join('\n'))
  t.is(total(summary, 'skipped'), 0)
  await until('the workloads run again', async () => (await runningPods(api)) === 13, 120)
  await until('the claims are bound', async () => (await boundClaims(api)).size === 8)
  t.deepEqual(await boundClaims(api), claims)
  await until('as many objects are there as before', async () => (await countObjects(api)) >= counted)
  await ownersHold(t.deepEqual.bind(t), api)
  const ended = summary.left.find(({ resource, why }) => resource === 'jobs.batch' && why.includes('ended'))
  t.is(ended?.count, 1)
})

async function build(api: KubernetesApi): Promise<void> {
  const room = { cpu: '64', memory: '256Gi', pods: '110' }
  await api.create('/api/v1/nodes', { metadata: { name: 'talos00' }, status: { capacity: room, allocatable: room } })
  await api.create('/apis/storage.k8s.io/v1/storageclasses', {
    metadata: { name: 'nfs' },
    provisioner: 'example.org/none',
  })
  await createNamespace(api, namespace)
  for (let i = 0; i < 66; i++) {
    const owner = await api.create(`${core}/configmaps`, configMap(namespace, `config-${i}`))
    const metadata = { name: `secret-${i}`, ...(i % 2 ? { ownerReferences: [reference(owner)] } : {}) }
    await api.create(`${core}/secrets`, { metadata, data: { key: Buffer.from(`value ${i}`).toString('base64') } })
  }
  for (let i = 0; i < 10; i++) {
    await api.create(`${core}/services`, {
      metadata: { name: `web-${i}` },
      spec: { ports: [{ port: 80 }], selector: { app: `web-${i}` } },
    })
    await api.create(`${core}/serviceaccounts`, { metadata: { name: `account-${i}` } })
  }
  await api.create(`${core}/resourcequotas`, {
    metadata: { name: 'quota' },
    spec: { hard: { pods: '50', secrets: '500' } },
  })
  await buildVolumes(api)
  await buildWorkloads(api)
  await buildChain(api)
}

async function buildVolumes(api: KubernetesApi): Promise<void> {
  const spec = { storageClassName: 'nfs', accessModes: ['ReadWriteMany'] }
  const names = ['plex', 'sonarr', 'radarr', 'downloads', 'music', 'data-db-0', 'data-db-1', 'data-db-2']
  for (const name of names) {
    await api.create('/api/v1/persistentvolumes', {
      metadata: { name: `volume-of-${name}` },
      spec: {
        ...spec,
        capacity: { storage: '5Gi' },
        persistentVolumeReclaimPolicy: 'Retain',
        nfs: { server: '192.0.2.10', path: `/${name}` },
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name },
      },
    })
    if (name.startsWith('data-')) continue
    const claim = { ...spec, resources: { requests: { storage: '5Gi' } } }
    await api.create(`${core}/persistentvolumeclaims`, { metadata: { name }, spec: claim })
  }
}

const template = (app: string, claim?: string) => ({
  metadata: { labels: { app } },
  spec: {
    containers: [{ name: 'c', image: 'i' }],
    terminationGracePeriodSeconds: 1,
    ...(claim === undefined ? {} : { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: claim } }] }),
  },
})

async function buildWorkloads(api: KubernetesApi): Promise<void> {
  for (let i = 0; i < 4; i++) {
    const app = `web-${i}`
    const spec = {
      replicas: 2,
      selector: { matchLabels: { app } },
      template: template(app, i === 0 ? 'plex' : undefined),
    }
    await api.create(`${apps}/deployments`, { metadata: { name: app }, spec })
  }
  const claim = { storageClassName: 'nfs', accessModes: ['ReadWriteMany'], resources: { requests: { storage: '5Gi' } } }
  await api.create(`${apps}/statefulsets`, {
    metadata: { name: 'db' },
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: template('db'),
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim }],
      // Its claims are owned by it, and so have to come back before their owner does.
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
    },
  })
  await api.create(`${apps}/daemonsets`, {
    metadata: { name: 'agent' },
    spec: { selector: { matchLabels: { app: 'agent' } }, template: template('agent') },
  })
  await api.create(`${core}/pods`, { metadata: { name: 'alone' }, spec: template('alone').spec })
  await api.create(`/apis/batch/v1/namespaces/${namespace}/jobs`, {
    metadata: { name: 'ended' },
    spec: { template: { spec: { ...template('ended').spec, restartPolicy: 'Never' } } },
  })
  await endJob(api)
}

async function endJob(api: KubernetesApi): Promise<void> {
  await until('the job has ended', async () => {
    const pods = await api.list<Pod>(`${core}/pods`, { labelSelector: 'job-name=ended' })
    for (const { metadata } of pods) {
      await api.mergePatch(`${core}/pods/${metadata.name}/status`, { status: { phase: 'Succeeded' } })
    }
    const { status } = await api.get(`/apis/batch/v1/namespaces/${namespace}/jobs/ended`)
    const conditions = (status as { conditions?: { type: string }[] }).conditions ?? []
    return conditions.some(({ type }) => type === 'Complete')
  })
}

/** Widgets that own one another, three deep; the last owns a config map. */
async function buildChain(api: KubernetesApi): Promise<void> {
  await api.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: 'widgets.test.example.org' },
    spec: {
      group: 'test.example.org',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  })
  await until('widgets are served', async () => (await api.list(`${chains}/widgets`)).length === 0)
  for (let chain = 0; chain < 5; chain++) {
    let owner: KubernetesObject | undefined
    // By their names the owned come first: a restore that only follows the backup's order would meet them before their owners.
    for (const name of ['c', 'b', 'a']) {
      const metadata = { name: `${name}-${chain}`, ...(owner ? { ownerReferences: [reference(owner)] } : {}) }
      owner = await api.create(`${chains}/namespaces/${namespace}/widgets`, {
        apiVersion: 'test.example.org/v1',
        kind: 'Widget',
        metadata,
        spec: { chain },
      })
    }
    const metadata = { name: `of-chain-${chain}`, ownerReferences: owner ? [reference(owner)] : [] }
    await api.create(`${core}/configmaps`, configMap(namespace, `of-chain-${chain}`, { metadata }))
  }
}

function reference({ apiVersion = '', kind = '', metadata: { name, uid = '' } }: KubernetesObject) {
  return { apiVersion, kind, name, uid }
}

/** The namespace is still Terminating afterwards: the restore waits for its end. One of the volumes that are left goes too. */
async function wipe(api: KubernetesApi): Promise<void> {
  await api.remove(`/api/v1/namespaces/${namespace}`)
  await until(
    'the claim is gone',
    async () => (await api.getOrNull(`${core}/persistentvolumeclaims/music`)) === null,
    120,
  )
  await api.remove('/api/v1/persistentvolumes/volume-of-music')
  await until(
    'the volume is gone',
    async () => (await api.getOrNull('/api/v1/persistentvolumes/volume-of-music')) === null,
  )
}

async function runningPods(api: KubernetesApi): Promise<number> {
  const pods = await api.list<Pod>(`${core}/pods`)
  return pods.filter(({ status }) => status.phase === 'Running').length
}

/** The volume of each bound claim. */
async function boundClaims(api: KubernetesApi): Promise<Map<string, string>> {
  const claims = await api.list<PersistentVolumeClaim>(`${core}/persistentvolumeclaims`)
  const volumes = await api.list<PersistentVolume>('/api/v1/persistentvolumes')
  const bound = claims.filter(
    ({ spec, status, metadata }) =>
      status?.phase === 'Bound' &&
      volumes.some((volume) => {
        const claim = volume.spec.claimRef as { uid?: string } | undefined
        return (
          volume.metadata.name === spec.volumeName && claim?.uid === metadata.uid && volume.status?.phase === 'Bound'
        )
      }),
  )
  return new Map(bound.map(({ metadata, spec }) => [metadata.name, spec.volumeName ?? '']))
}

const collections = [
  `${core}/configmaps`,
  `${core}/secrets`,
  `${core}/services`,
  `${core}/serviceaccounts`,
  `${core}/persistentvolumeclaims`,
  `${core}/pods`,
  `${core}/resourcequotas`,
  `${apps}/deployments`,
  `${apps}/replicasets`,
  `${apps}/statefulsets`,
  `${apps}/daemonsets`,
  `${chains}/namespaces/${namespace}/widgets`,
]

async function allObjects(api: KubernetesApi): Promise<KubernetesObject[]> {
  return (await Promise.all(collections.map((path) => api.list(path)))).flat()
}

async function countObjects(api: KubernetesApi): Promise<number> {
  return (await allObjects(api)).filter(({ metadata }) => !metadata.name.startsWith('ended')).length
}

/** Every owner is there under the UID by which it is named, and as many are named as before. */
async function ownersHold(equal: (actual: unknown, expected: unknown) => unknown, api: KubernetesApi): Promise<void> {
  const objects = await allObjects(api)
  const uids = new Set(objects.map(({ metadata }) => metadata.uid))
  const owned = objects.filter(({ metadata }) => metadata.ownerReferences?.length)
  const dangling = owned.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => !uids.has(uid)))
  equal(
    dangling.map(({ metadata }) => metadata.name),
    [],
  )
  const names = new Set(owned.map(({ metadata }) => metadata.name))
  const expected = [
    ...Array.from({ length: 30 }, (_, i) => `secret-${2 * i + 1}`),
    ...Array.from({ length: 5 }, (_, i) => [`a-${i}`, `b-${i}`, `of-chain-${i}`]).flat(),
    ...['data-db-0', 'data-db-1', 'data-db-2'],
  ]
  equal(
    expected.filter((name) => !names.has(name)),
    [],
  )
}
