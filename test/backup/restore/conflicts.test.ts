import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import anyTest, { type TestFn } from 'ava'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { OperatorError } from '../../../lib/migration/errors.ts'
import { type BareCluster, startBareCluster } from '../../kubernetes/bare-cluster.ts'
import { whole } from '../keys.ts'
import { at, backUp, configMap, createNamespace, inNamespace, newVault, restore, total } from './backing-up.ts'

const test = anyTest as TestFn
const canary = Buffer.from('CANARY-51c0').toString('base64')
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
})
test.after.always(() => cluster?.stop())

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
  t.regex(error.message, /There already, and different \(2\): .*(ConfigMap fail\/changed|Secret fail\/secret)/)
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
  t.true(lines.some((line) => /info Of 4 the server cannot be asked/.test(line)))
  t.is(await api.getOrNull('/api/v1/namespaces/gone'), null)
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
