import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Archive, plainContent, storedContent } from '../../lib/backup/archive.ts'
import { type Decryption, decryptionFrom, encryptionTo } from '../../lib/backup/encryption.ts'
import { backUpResources } from '../../lib/backup/resources.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { type Fault, instantClock, listServer } from '../kubernetes/list-server.ts'
import { makeKeys, scratchFolder, whole } from './keys.ts'

const listable = (group: string, resource: string, kind: string) => {
  const path = group === '' ? `/api/v1/${resource}` : `/apis/${group}/v1/${resource}`
  return { group, version: 'v1', resource, kind, namespaced: true, path }
}
const discovery = {
  resources: [
    listable('', 'configmaps', 'ConfigMap'),
    listable('', 'secrets', 'Secret'),
    listable('', 'events', 'Event'),
    listable('generators.external-secrets.io', 'generatorstates', 'GeneratorState'),
  ],
  dead: [{ group: 'metrics.k8s.io', version: 'v1beta1', reason: 'no answer' }],
}

const canary = 'CANARY-2f1c9a'
const many = (count: number, data: string) =>
  Array.from({ length: count }, (_, i) => `{"metadata":{"name":"n-${i}"},"data":{"v":"${data}"}}`)
const items = {
  '/api/v1/configmaps': many(300, 'plain'),
  '/api/v1/secrets': many(900, canary),
  '/apis/generators.external-secrets.io/v1/generatorstates': many(1, canary),
}

async function backUp(t: ExecutionContext, fault?: Fault, listed = items) {
  const scratch = await scratchFolder(t)
  const keys = await makeKeys(scratch)
  const server = await listServer(listed, fault)
  t.teardown(server.close)
  const archive = await Archive.begin(join(scratch, 'b'), 'x', encryptionTo([keys.recipient]))
  const run = () => backUpResources(server.api, discovery, archive, { clock: instantClock() })
  return { run, folder: archive.partial, decryption: await decryptionFrom(keys.identityFile) }
}

async function lines(folder: string, path: string, decryption?: Decryption): Promise<string[]> {
  const text = (await whole(plainContent(path, storedContent(folder, path), decryption))).toString()
  return text.split('\n').slice(0, -1)
}

test('every object of every resource is written once, as the server sent it', async (t) => {
  const { run, folder, decryption } = await backUp(t)
  const { resources } = await run()
  const secrets = await lines(folder, 'resources/secrets.core.v1.jsonl.gz.age', decryption)
  t.deepEqual(
    secrets,
    items['/api/v1/secrets'].map((item) => `{"apiVersion":"v1","kind":"Thing",${item.slice(1)}`),
  )
  t.is((await lines(folder, 'resources/configmaps.core.v1.jsonl.gz')).length, 300)
  t.deepEqual(
    resources.map(({ resource, count }) => [resource, count]),
    [
      ['configmaps', 300],
      ['secrets', 900],
      ['events', 0],
      ['generatorstates', 1],
    ],
  )
})

test('a resource without objects has a count and no file', async (t) => {
  const { run, folder } = await backUp(t)
  const { resources, files } = await run()
  t.deepEqual(
    resources.find(({ resource }) => resource === 'events'),
    { group: '', version: 'v1', resource: 'events', count: 0 },
  )
  t.is(files.length, 3)
  t.is((await readdir(join(folder, 'resources'))).length, 3)
})

test('no value of a Secret is found in any written byte, nor in what goes to the journal', async (t) => {
  const { run, folder } = await backUp(t)
  const result = await run()
  t.false(JSON.stringify(result).includes(canary))
  const paths = result.files.map(({ path }) => path)
  t.is(paths.length, 3)
  for (const path of paths) {
    const stored = await readFile(join(folder, path))
    t.false(stored.includes(canary), path)
    if (!path.endsWith('.age')) t.false((await lines(folder, path)).join().includes(canary), path)
  }
})

test('410 in mid-list begins that resource anew: nothing twice, nothing lost, the others untouched', async (t) => {
  let expired = 0
  const { run, folder, decryption } = await backUp(t, (_, url) => {
    const late = url.pathname === '/api/v1/secrets' && url.searchParams.has('continue')
    return late && expired++ < 2 ? { status: 410 } : undefined
  })
  const { resources } = await run()
  const secrets = await lines(folder, 'resources/secrets.core.v1.jsonl.gz.age', decryption)
  t.is(new Set(secrets).size, 900)
  t.is(secrets.length, 900)
  t.is(resources.find(({ resource }) => resource === 'secrets')?.count, 900)
  t.true(expired > 2)
})

test('a resource that is empty when it is begun anew leaves no file of the first attempt', async (t) => {
  const secrets = items['/api/v1/secrets']
  let left = secrets
  const { run, folder } = await backUp(
    t,
    (_, url) => {
      if (url.pathname !== '/api/v1/secrets' || !url.searchParams.has('continue')) return undefined
      left = []
      return { status: 410 }
    },
    {
      ...items,
      get '/api/v1/secrets'() {
        return left
      },
    },
  )
  const { resources, files } = await run()
  t.is(resources.find(({ resource }) => resource === 'secrets')?.count, 0)
  t.is(files.length, 2)
  t.is((await readdir(join(folder, 'resources'))).length, 2)
})

test('what the server refuses is named with its reason, leaves no file, and the rest is backed up', async (t) => {
  const { run, folder } = await backUp(t, (_, url) =>
    url.pathname === '/api/v1/configmaps' && url.searchParams.has('continue') ? { status: 403 } : undefined,
  )
  const { resources, unreadable } = await run()
  t.deepEqual(
    unreadable.map(({ resource, reason }) => [resource, /no answer|403 fault/.test(reason)]),
    [
      ['*', true],
      ['configmaps', true],
    ],
  )
  t.deepEqual(
    resources.map(({ resource }) => resource),
    ['secrets', 'events', 'generatorstates'],
  )
  t.false((await readdir(join(folder, 'resources'))).some((file) => file.startsWith('configmaps')))
})

test('an API server that goes away in the middle ends the backup with an error for the operator', async (t) => {
  const { run } = await backUp(t, (_, url) => (url.searchParams.has('continue') ? 'hang up' : undefined))
  await t.throwsAsync(run(), { instanceOf: OperatorError, message: /no longer answers/ })
})
