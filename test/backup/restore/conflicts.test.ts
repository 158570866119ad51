import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import anyTest, { type TestFn } from 'ava'
import type { Selection } from '../../../lib/backup/restore.ts'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { OperatorError } from '../../../lib/migration/errors.ts'
import { type BareCluster, startBareCluster, until } from '../../kubernetes/bare-cluster.ts'
import { whole } from '../keys.ts'
import { backUp, configMap, createNamespace, inNamespace, newVault, restore, total } from './backing-up.ts'

const test = anyTest as TestFn
const canary = Buffer.from('CANARY-51c0').toString('base64')
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
})
test.after.always(() => cluster?.stop())

const at = (namespace: string, resource: string, name = '') =>
  `/api/v1/namespaces/${namespace}/${resource}/${name}`.replace(/\/$/, '')

/** A namespace with a config map that is changed after the backup, one that is not, one that is removed, and a changed Secret. */
async function changed(t: Parameters<typeof newVault>[0], namespace: string) {
  const vault = await newVault(t)
  await createNamespace(api, namespace)
  for (const name of ['changed', 'equal', 'removed']) {
    await api.create(
      at(namespace, 'configmaps'),
      configMap(namespace, name, { data: { value: 'backed up', kept: 'yes' } }),
    )
  }
  await api.create(at(namespace, 'secrets'), { metadata: { name: 'secret' }, data: { password: canary } })
  const backup = await backUp(vault, api, namespace)
  await api.mergePatch(at(namespace, 'configmaps', 'changed'), {
    data: { value: 'changed', kept: null, added: 'since' },
  })
  await api.mergePatch(at(namespace, 'secrets', 'secret'), {
    data: { password: Buffer.from('other').toString('base64') },
  })
  await api.remove(at(namespace, 'configmaps', 'removed'))
  return { vault, backup, selection: inNamespace(namespace) }
}

const versions = async (namespace: string) => {
  const all = await Promise.all(
    ['configmaps', 'secrets', 'services'].map((resource) => api.list(at(namespace, resource))),
  )
  return all.flat().map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)
}

test('skip leaves what differs as it is, shows the difference, and restores what is not there', async (t) => {
  const { vault, backup, selection } = await changed(t, 'skip')
  const { summary, lines } = await restore(vault, api, backup, { selection })
  t.deepEqual([total(summary, 'created'), total(summary, 'equal'), total(summary, 'skipped')], [1, 1, 2])
  t.deepEqual((await api.get(at('skip', 'configmaps', 'changed'))).data, { value: 'changed', added: 'since' })
  t.true(lines.some((line) => /info -.*value: changed/.test(line)))
  t.true(lines.some((line) => /info \+.*value: backed up/.test(line)))
})

test('update makes what differs what it was, down to what somebody added since; what is overwritten is kept, encrypted', async (t) => {
  const { vault, backup, selection } = await changed(t, 'update')
  const before = await api.get(at('update', 'secrets', 'secret'))
  const { summary, journal, runFolder, lines } = await restore(vault, api, backup, { selection, conflict: 'update' })
  t.deepEqual([total(summary, 'created'), total(summary, 'equal'), total(summary, 'updated')], [1, 1, 2])
  t.deepEqual((await api.get(at('update', 'configmaps', 'changed'))).data, { value: 'backed up', kept: 'yes' })
  t.deepEqual((await api.get(at('update', 'secrets', 'secret'))).data, { password: canary })
  const manager = (await api.get(at('update', 'configmaps', 'changed'))).metadata.managedFields as {
    manager: string
    operation: string
  }[]
  t.true(manager.some(({ manager, operation }) => manager === 'talos-migrate' && operation === 'Apply'))

  const undo = journal.changes({ kind: 'overwritten' }).find(({ what }) => what.includes('secret'))?.undo
  const file = join(runFolder, String(undo?.kept))
  const kept = JSON.parse((await whole(vault.decryption.decrypt(fileOf(file), file))).toString()) as KubernetesObject
  t.deepEqual(kept, before)
  const written = readdirSync(runFolder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  for (const entry of written) {
    const bytes = readFileSync(join(entry.parentPath, entry.name))
    t.false(bytes.includes(canary) || bytes.includes('CANARY-51c0'), entry.name)
  }
  t.false(lines.join('\n').includes(canary))
})

test('fail changes nothing at all when anything differs, and names it', async (t) => {
  const { vault, backup, selection } = await changed(t, 'fail')
  const before = await versions('fail')
  const error = await t.throwsAsync(restore(vault, api, backup, { selection, conflict: 'fail' }), {
    instanceOf: OperatorError,
  })
  t.regex(error.message, /2 objects are there and differ: .*(ConfigMap fail\/changed|Secret fail\/secret)/)
  t.deepEqual(await versions('fail'), before)
})

test('a dry run changes nothing and says what the server would say', async (t) => {
  const { vault, backup, selection } = await changed(t, 'dry')
  const before = await versions('dry')
  for (const conflict of ['skip', 'update'] as const) {
    const { summary, lines } = await restore(vault, api, backup, { selection, conflict, dryRun: true })
    t.is(total(summary, 'created'), 1)
    t.is(total(summary, conflict === 'skip' ? 'skipped' : 'updated'), 2)
    t.true(lines.includes('change Create ConfigMap dry/removed would be made'))
  }
  t.deepEqual(await versions('dry'), before)
})

test('a dry run hears what admission has against an object', async (t) => {
  const vault = await newVault(t)
  await createNamespace(api, 'judged')
  await api.create(at('judged', 'limitranges'), {
    metadata: { name: 'small' },
    spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '1Gi' } }] },
  })
  const claim = (storage: string) => ({
    metadata: { name: 'claim' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
  })
  await api.create(at('judged', 'persistentvolumeclaims'), claim('1Gi'))
  const backup = await backUp(vault, api, 'judged')
  await api.mergePatch(at('judged', 'persistentvolumeclaims', 'claim'), { metadata: { finalizers: null } })
  await api.remove(at('judged', 'persistentvolumeclaims', 'claim'))
  await api.mergePatch(at('judged', 'limitranges', 'small'), {
    spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '1Mi' } }] },
  })
  const { summary } = await restore(vault, api, backup, { selection: inNamespace('judged'), dryRun: true })
  t.is(summary.refused[0]?.object, 'PersistentVolumeClaim judged/claim')
  t.regex(summary.refused[0]?.reason ?? '', /maximum storage usage per PersistentVolumeClaim is 1Mi/)
})

test('a dry run of a namespace that is not there says that the server cannot be asked', async (t) => {
  const { vault, backup, selection } = await changed(t, 'gone')
  for (const resource of ['configmaps', 'secrets']) await api.remove(at('gone', resource))
  await api.remove('/api/v1/namespaces/gone')
  await removeFinalizer('gone')
  const { summary, lines } = await restore(vault, api, backup, { selection, dryRun: true })
  t.is(total(summary, 'created'), 5)
  t.deepEqual(summary.refused, [])
  t.true(lines.some((line) => /info 4 objects: the server cannot be asked/.test(line)))
  t.is(await api.getOrNull('/api/v1/namespaces/gone'), null)
})

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

test('what the API does not let be updated is refused by name, and the rest is updated', async (t) => {
  const vault = await newVault(t)
  await createNamespace(api, 'immutable')
  const names = ['immutable', 'ordinary']
  for (const name of names) await api.create(at('immutable', 'configmaps'), configMap('immutable', name))
  const backup = await backUp(vault, api, 'immutable')
  for (const name of names) {
    await api.mergePatch(at('immutable', 'configmaps', name), {
      data: { name: 'changed' },
      immutable: name === 'immutable',
    })
  }
  const { summary } = await restore(vault, api, backup, { selection: inNamespace('immutable'), conflict: 'update' })
  t.is(total(summary, 'updated'), 1)
  t.deepEqual(
    summary.refused.map(({ object }) => object),
    ['ConfigMap immutable/immutable'],
  )
  t.regex(summary.refused[0]?.reason ?? '', /immutable/)
  t.regex(summary.refused[0]?.next ?? '', /Remove it from the cluster first/)
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

/** What the namespace controller would do, which does not run here. */
async function removeFinalizer(name: string): Promise<void> {
  const { metadata } = await api.get(`/api/v1/namespaces/${name}`)
  await api.replace(`/api/v1/namespaces/${name}/finalize`, {
    metadata: { name, resourceVersion: metadata.resourceVersion },
    spec: {},
  })
}

async function* fileOf(path: string): AsyncGenerator<Uint8Array> {
  yield readFileSync(path)
}
