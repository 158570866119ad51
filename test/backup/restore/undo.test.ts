import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import anyTest, { type TestFn } from 'ava'
import { once } from '../../../lib/backup/archive.ts'
import { undoClaimUid, undoOverwritten, undoRestored } from '../../../lib/backup/restore/undo.ts'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import type { JournaledChange } from '../../../lib/migration/migration.ts'
import { type BareCluster, startBareCluster } from '../../kubernetes/bare-cluster.ts'
import { at, backUp, configMap, createNamespace, inNamespace, newVault, restore, type Vault } from './backing-up.ts'

const test = anyTest as TestFn
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
})
test.after.always(() => cluster?.stop())

/** A namespace with a changed and a removed config map, restored over what is there. */
async function restored(t: Parameters<typeof newVault>[0], namespace: string) {
  const vault = await newVault(t)
  await createNamespace(api, namespace)
  for (const name of ['changed', 'removed']) {
    await api.create(at(namespace, 'configmaps'), configMap(namespace, name, { data: { value: 'backed up' } }))
  }
  const backup = await backUp(vault, api, namespace)
  await api.mergePatch(at(namespace, 'configmaps', 'changed'), { data: { value: 'changed', added: 'since' } })
  await api.remove(at(namespace, 'configmaps', 'removed'))
  const { journal, runFolder } = await restore(vault, api, backup, {
    selection: inNamespace(namespace),
    conflict: 'update',
  })
  const change = (kind: string, name: string): JournaledChange => {
    const found = journal.changes({ kind }).find(({ undo }) => String(undo?.path).endsWith(`/${name}`))
    if (!found) throw new Error(`${kind} of ${name} is not in the journal`)
    return found
  }
  return { change, kept: keptIn(vault, runFolder) }
}

function keptIn({ decryption }: Vault, runFolder: string) {
  return async (file: string): Promise<KubernetesObject> => {
    const path = join(runFolder, file)
    const chunks: Uint8Array[] = []
    for await (const chunk of decryption.decrypt(once(readFileSync(path)), path)) chunks.push(chunk)
    return JSON.parse(Buffer.concat(chunks).toString())
  }
}

const dataOf = async (namespace: string, name: string) => (await api.getOrNull(at(namespace, 'configmaps', name)))?.data

test('what a restore has overwritten comes back out of the encrypted file, once', async (t) => {
  const { change, kept } = await restored(t, 'overwritten')
  const { undo } = change('overwritten', 'changed')
  t.deepEqual(await dataOf('overwritten', 'changed'), { value: 'backed up' })
  t.is(await undoOverwritten(api, undo, kept), 'undone')
  t.deepEqual(await dataOf('overwritten', 'changed'), { value: 'changed', added: 'since' })
  t.is(await undoOverwritten(api, undo, kept), 'already')
})

test('what somebody has written since is kept, and taken back when that is asked for', async (t) => {
  const { change, kept } = await restored(t, 'stranger')
  const { undo } = change('overwritten', 'changed')
  const path = at('stranger', 'configmaps', 'changed')
  await writtenLater(path, { data: { value: 'by hand' } })
  t.regex(await undoOverwritten(api, undo, kept), /^conflict: by-hand has written to it since/)
  t.deepEqual(await dataOf('stranger', 'changed'), { value: 'by hand' })
  t.is(await undoOverwritten(api, undo, kept, true), 'undone')
  t.deepEqual(await dataOf('stranger', 'changed'), { value: 'changed', added: 'since' })
})

test('an object of the same name that was made anew is left alone', async (t) => {
  const { change, kept } = await restored(t, 'anew')
  const path = at('anew', 'configmaps', 'changed')
  await api.remove(path)
  t.regex(await undoOverwritten(api, change('overwritten', 'changed').undo, kept), /^conflict: it is not there/)
  await api.create(at('anew', 'configmaps'), configMap('anew', 'changed', { data: { value: 'new' } }))
  t.regex(await undoOverwritten(api, change('overwritten', 'changed').undo, kept), /^conflict: it is another object/)
  t.deepEqual(await dataOf('anew', 'changed'), { value: 'new' })
})

test('what a restore has made is removed, unless somebody has written to it', async (t) => {
  const { change } = await restored(t, 'made')
  const { undo } = change('restored', 'removed')
  const path = at('made', 'configmaps', 'removed')
  await writtenLater(path, { data: { value: 'by hand' } })
  t.regex(await undoRestored(api, undo), /^conflict: .* has written to it since/)
  t.deepEqual(await dataOf('made', 'removed'), { value: 'by hand' })
  t.is(await undoRestored(api, undo, true), 'undone')
  t.is(await api.getOrNull(path), null)
  t.is(await undoRestored(api, undo), 'already')
})

test('a namespace, or a claim, is not removed unasked: more than itself goes with it', async (t) => {
  await createNamespace(api, 'with-others')
  const undo = { kind: 'restored', path: '/api/v1/namespaces/with-others', was: 'absent' }
  t.regex(await undoRestored(api, undo), /^conflict: more than itself/)
  t.truthy(await api.getOrNull('/api/v1/namespaces/with-others'))
})

test('a volume is bound to its claim again while it is free, and not taken from another one', async (t) => {
  const volume = (name: string, claimRef: object) => ({
    metadata: { name },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: '/nowhere' },
      claimRef: { namespace: 'default', name: 'data', ...claimRef },
    },
  })
  const undo = (name: string) => ({ kind: 'claim-uid', path: `/api/v1/persistentvolumes/${name}`, uid: 'of-old' })
  await api.create('/api/v1/persistentvolumes', volume('free', {}))
  t.is(await undoClaimUid(api, undo('free')), 'undone')
  t.is(await undoClaimUid(api, undo('free')), 'already')
  await api.create('/api/v1/persistentvolumes', volume('taken', { uid: 'of-another' }))
  t.regex(await undoClaimUid(api, undo('taken')), /^conflict: a new claim/)
  t.regex(await undoClaimUid(api, undo('gone')), /^conflict: it is not there/)
})

/** The API server tells times of writes in whole seconds: written until the times differ. */
async function writtenLater(path: string, patch: unknown): Promise<void> {
  for (;;) {
    const { metadata } = await api.mergePatch(path, patch, { fieldManager: 'by-hand' })
    const times = (metadata.managedFields as { manager: string; time: string }[]).map(({ manager, time }) => ({
      isOurs: manager === 'talos-migrate',
      time,
    }))
    const last = (ours: boolean) =>
      times
        .flatMap(({ isOurs, time }) => (isOurs === ours ? time : []))
        .sort()
        .at(-1) ?? ''
    if (last(false) > last(true)) return
    await api.mergePatch(path, { data: { touched: String(Math.random()) } }, { fieldManager: 'by-hand' })
    await api.mergePatch(path, { data: { touched: null } }, { fieldManager: 'by-hand' })
  }
}
