import anyTest, { type TestFn } from 'ava'
import type { Selection } from '../../../lib/backup/restore.ts'
import type { KubernetesApi } from '../../../lib/kubernetes/api.ts'
import { type BareCluster, startBareCluster, until } from '../../kubernetes/bare-cluster.ts'
import { at, backUp, configMap, createNamespace, inNamespace, newVault, restore, total } from './backing-up.ts'

const test = anyTest as TestFn
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
})
test.after.always(() => cluster?.stop())

test('a Service gets the address and the ports that it had where they are free, and others where they are taken', async (t) => {
  const vault = await newVault(t)
  await createNamespace(api, 'services')
  const spec = { type: 'NodePort', ports: [{ port: 80 }], selector: { app: 'a' } }
  const services = ['free', 'taken']
  for (const name of services) await api.create(at('services', 'services'), { metadata: { name }, spec })
  const [free, taken] = await Promise.all(services.map((name) => serviceSpec(name)))
  const backup = await backUp(vault, api, 'services')
  for (const name of services) await api.remove(at('services', 'services', name))
  const thief = { ...spec, clusterIP: taken?.clusterIP, ports: [{ port: 80, nodePort: taken?.ports[0]?.nodePort }] }
  await api.create(at('default', 'services'), { metadata: { name: 'thief' }, spec: thief })

  const { summary, lines } = await restore(vault, api, backup, { selection: inNamespace('services') })
  t.is(total(summary, 'created'), 2)
  t.deepEqual(await serviceSpec('free'), free)
  const given = await serviceSpec('taken')
  t.not(given.clusterIP, taken?.clusterIP)
  t.not(given.ports[0]?.nodePort, taken?.ports[0]?.nodePort)
  t.true(
    lines.some(
      (line) => line === `warn Service services/taken: its address ${taken?.clusterIP} is taken; it gets another one`,
    ),
  )
  t.true(lines.some((line) => /its node port \d+ is taken/.test(line)))
})

test('an owner that is nowhere is dropped with a note; one of the same name is found by its new UID', async (t) => {
  const vault = await newVault(t)
  await createNamespace(api, 'owners')
  const owners = await Promise.all(
    ['back', 'nowhere'].map((name) => api.create(at('owners', 'configmaps'), configMap('owners', name))),
  )
  const ownerReferences = owners.map(({ metadata: { name, uid } }) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name,
    uid,
  }))
  await api.create(at('owners', 'secrets'), { metadata: { name: 'owned', ownerReferences } })
  const backup = await backUp(vault, api, 'owners')
  for (const [resource, name] of [
    ['secrets', 'owned'],
    ['configmaps', 'back'],
    ['configmaps', 'nowhere'],
  ] as const) {
    await api.remove(at('owners', resource, name))
  }
  const selection: Selection = {
    resource: () => true,
    object: ({ metadata }) => ['owned', 'back'].includes(metadata.name),
  }
  const { lines } = await restore(vault, api, backup, { selection })
  const back = await api.get(at('owners', 'configmaps', 'back'))
  const { metadata } = await api.get(at('owners', 'secrets', 'owned'))
  t.deepEqual(
    metadata.ownerReferences?.map(({ name, uid }) => [name, uid]),
    [['back', back.metadata.uid]],
  )
  t.true(lines.includes('warn Secret owners/owned: its owner ConfigMap nowhere is not there; it is restored without'))
})

test('a definition and its objects come back in one go, and definitions that are needed come without being selected', async (t) => {
  const vault = await newVault(t)
  const definition = (plural: string, kind: string) => ({
    metadata: { name: `${plural}.once.example.org` },
    spec: {
      group: 'once.example.org',
      scope: 'Cluster',
      names: { plural, kind },
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
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  await api.create(definitions, definition('things', 'Thing'))
  const things = '/apis/once.example.org/v1/things'
  const thing = { apiVersion: 'once.example.org/v1', kind: 'Thing', metadata: { name: 'one' }, spec: { size: 3 } }
  await createWhenServed(things, thing)
  const backup = await backUp(vault, api, 'definitions')
  await api.remove(`${definitions}/things.once.example.org`)
  await gone(`${definitions}/things.once.example.org`)
  const selection: Selection = { resource: ({ resource }) => resource === 'things', object: () => true }
  const planned = await restore(vault, api, backup, { selection, dryRun: true })
  t.is(total(planned.summary, 'created'), 2)
  t.is(await api.getOrNull(`${definitions}/things.once.example.org`), null)
  const { summary } = await restore(vault, api, backup, { selection })
  t.deepEqual(summary.refused, [])
  t.deepEqual((await api.get(`${things}/one`)).spec, { size: 3 })
})

test('a volume whose data may be gone, and a claim without its volume, come back with a note', async (t) => {
  const vault = await newVault(t)
  await createNamespace(api, 'volumes')
  const spec = { accessModes: ['ReadWriteOnce'], storageClassName: 'none' }
  await api.create('/api/v1/persistentvolumes', {
    metadata: { name: 'deleted', finalizers: [] },
    spec: { ...spec, capacity: { storage: '1Gi' }, hostPath: { path: '/x' }, persistentVolumeReclaimPolicy: 'Delete' },
  })
  for (const volumeName of ['deleted', 'unknown']) {
    const claim = { ...spec, volumeName, resources: { requests: { storage: '1Gi' } } }
    await api.create(at('volumes', 'persistentvolumeclaims'), { metadata: { name: volumeName }, spec: claim })
  }
  const backup = await backUp(vault, api, 'volumes')
  for (const path of [
    '/api/v1/persistentvolumes/deleted',
    ...['deleted', 'unknown'].map((name) => at('volumes', 'persistentvolumeclaims', name)),
  ]) {
    await api.remove(path)
    if (await api.getOrNull(path)) await api.mergePatch(path, { metadata: { finalizers: null } })
  }
  const { lines } = await restore(vault, api, backup, { selection: inNamespace('volumes') })
  t.true(lines.some((line) => /warn PersistentVolume deleted: its reclaim policy is Delete/.test(line)))
  t.true(
    lines.some((line) => /warn PersistentVolumeClaim volumes\/unknown: its volume unknown is neither there/.test(line)),
  )
  t.false(lines.some((line) => /warn PersistentVolumeClaim volumes\/deleted/.test(line)))
})

async function serviceSpec(name: string) {
  const { spec } = await api.get(at('services', 'services', name))
  return spec as { clusterIP: string; ports: { nodePort: number }[] }
}

async function createWhenServed(path: string, object: unknown): Promise<void> {
  await until(`${path} takes objects`, async () => Boolean(await api.create(path, object)))
}

async function gone(path: string): Promise<void> {
  await until(`${path} is gone`, async () => (await api.getOrNull(path)) === null)
}
