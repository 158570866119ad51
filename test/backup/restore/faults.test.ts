import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import anyTest, { type TestFn } from 'ava'
import { decryptionFrom } from '../../../lib/backup/encryption.ts'
import type { Manifest } from '../../../lib/backup/manifest.ts'
import { ApiError, ConnectionError, type KubernetesApi } from '../../../lib/kubernetes/api.ts'
import { OperatorError } from '../../../lib/migration/errors.ts'
import { type BareCluster, startBareCluster, until } from '../../kubernetes/bare-cluster.ts'
import { makeKeys } from '../keys.ts'
import { at, backUp, configMap, createNamespace, inNamespace, newVault, restore, total } from './backing-up.ts'
import { serveWebhook } from './webhook-server.ts'

const test = anyTest as TestFn
const configMaps = 'resources/configmaps.core.v1.jsonl.gz'
const secrets = 'resources/secrets.core.v1.jsonl.gz.age'
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
})
test.after.always(() => cluster?.stop())

/** A backup of a namespace with config maps and a Secret, all of which are gone from the cluster since. */
async function removed(t: Parameters<typeof newVault>[0], namespace: string) {
  const vault = await newVault(t)
  await createNamespace(api, namespace)
  for (let i = 0; i < 5; i++) await api.create(at(namespace, 'configmaps'), configMap(namespace, `c-${i}`))
  await api.create(at(namespace, 'secrets'), { metadata: { name: 'secret' }, data: { password: 'Q0FOQVJZ' } })
  await api.create(at(namespace, 'serviceaccounts'), { metadata: { name: 'account' } })
  const backup = await backUp(vault, api, namespace)
  for (const resource of ['configmaps', 'secrets', 'serviceaccounts']) await api.remove(at(namespace, resource))
  return { vault, backup, selection: inNamespace(namespace) }
}

async function rewriteManifest(folder: string, change: (manifest: Manifest) => void): Promise<void> {
  const file = join(folder, 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest
  change(manifest)
  await writeFile(file, JSON.stringify(manifest))
}

async function isEmpty(namespace: string): Promise<boolean> {
  const all = await Promise.all(['configmaps', 'secrets'].map((resource) => api.list(at(namespace, resource))))
  return all.flat().length === 0
}

test('a tampered file is found before anything is restored, whatever comes before it', async (t) => {
  const { vault, backup, selection } = await removed(t, 'tampered')
  const forged = `${JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'evil', namespace: 'tampered' } })}\n`
  await writeFile(join(backup, configMaps), gzipSync(forged))
  const error = await t.throwsAsync(restore(vault, api, backup, { selection }), { instanceOf: OperatorError })
  t.regex(error.message, /configmaps\.core\.v1\.jsonl\.gz is damaged: its SHA-256 is not the manifest's/)
  t.true(await isEmpty('tampered'))
})

for (const [path, resource] of [
  [configMaps, 'configmaps'],
  [secrets, 'secrets'],
] as const) {
  test(`one flipped byte in the ${resource} is found before anything is restored`, async (t) => {
    const { vault, backup, selection } = await removed(t, `flipped-${resource}`)
    const bytes = await readFile(join(backup, path))
    bytes[bytes.length - 12] = (bytes[bytes.length - 12] ?? 0) ^ 1
    await writeFile(join(backup, path), bytes)
    const error = await t.throwsAsync(restore(vault, api, backup, { selection }), { instanceOf: OperatorError })
    t.regex(error.message, new RegExp(`${resource}.*damaged`))
    t.true(await isEmpty(`flipped-${resource}`))
  })
}

test('a file that unpacks to more than its manifest says is given up early, even if its SHA-256 is right', async (t) => {
  const { vault, backup, selection } = await removed(t, 'bomb')
  const bomb = gzipSync(Buffer.alloc(512 * 1024 * 1024))
  await writeFile(join(backup, configMaps), bomb)
  await rewriteManifest(backup, ({ files }) => {
    const file = files.find(({ path }) => path === configMaps)
    if (file) Object.assign(file, { bytes: bomb.length, sha256: createHash('sha256').update(bomb).digest('hex') })
  })
  const error = await t.throwsAsync(restore(vault, api, backup, { selection }), { instanceOf: OperatorError })
  t.regex(error.message, /damaged: it unpacks to more than the \d+ bytes/)
  t.true(await isEmpty('bomb'))
})

test('a manifest that leads out of the backup folder is refused', async (t) => {
  const { vault, backup, selection } = await removed(t, 'traversal')
  await rewriteManifest(backup, ({ files, resources }) => {
    for (const one of [...files, ...resources]) if (one.path === configMaps) one.path = '../../outside.jsonl.gz'
  })
  await t.throwsAsync(restore(vault, api, backup, { selection }), {
    instanceOf: OperatorError,
    message: /inside of the backup folder/,
  })
  t.true(await isEmpty('traversal'))
})

test('with another identity nothing is restored, not even what is not encrypted', async (t) => {
  const { vault, backup, selection } = await removed(t, 'identity')
  const other = await makeKeys(vault.folder, 'other.txt')
  const decryption = await decryptionFrom(other.identityFile)
  const error = await t.throwsAsync(restore({ ...vault, decryption }, api, backup, { selection }), {
    instanceOf: OperatorError,
  })
  t.regex(error.message, /does not open resources\/secrets/)
  t.true(await isEmpty('identity'))
})

const ruleFor = (namespace: string) => ({
  rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps', 'secrets'] }],
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  failurePolicy: 'Fail',
  timeoutSeconds: 2,
})
const webhooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'

test('what a webhook without its service refuses is reported with the webhook and the way out, and the rest is restored', async (t) => {
  const { vault, backup, selection } = await removed(t, 'webhook')
  const name = 'policy.absent.example.org'
  await api.create(webhooks, {
    metadata: { name: 'absent' },
    webhooks: [{ ...ruleFor('webhook'), name, clientConfig: { service: { namespace: 'webhook', name: 'not-there' } } }],
  })
  t.teardown(() => api.remove(`${webhooks}/absent`))
  await sees(`${name} is asked`, 'webhook')
  const { summary } = await restore(vault, api, backup, { selection })
  t.is(summary.refused.length, 6)
  const secret = summary.refused.find(({ object }) => object === 'Secret webhook/secret')
  t.is(secret?.reason, `the webhook ${name} cannot be asked`)
  const other = summary.refused.find(({ object }) => object === 'ConfigMap webhook/c-0')
  t.regex(
    other?.reason ?? '',
    /the webhook policy\.absent\.example\.org cannot be asked: .*service "not-there" not found/,
  )
  t.regex(other?.next ?? '', /Bring the service of policy\.absent\.example\.org up/)
  t.true(await isEmpty('webhook'))
  t.is((await api.list(at('webhook', 'serviceaccounts'))).length, 1)
})

test('what a webhook could not be asked about is tried again when everything else is there', async (t) => {
  const { vault, backup, selection } = await removed(t, 'late')
  const hook = await serveWebhook(t)
  await api.create(webhooks, {
    metadata: { name: 'late' },
    webhooks: [{ ...ruleFor('late'), name: 'late.example.org', clientConfig: hook.clientConfig }],
  })
  t.teardown(() => api.remove(`${webhooks}/late`))
  await sees('late.example.org is asked', 'late')
  // It answers from the moment at which everything has been tried once.
  hook.failNext(6)
  const { summary } = await restore(vault, api, backup, { selection })
  t.deepEqual(summary.refused, [])
  t.is(total(summary, 'created'), 7)
})

/** The API server reads its webhooks a little later than they are written. */
async function sees(what: string, namespace: string): Promise<void> {
  const probe = () => api.create(at(namespace, 'configmaps'), configMap(namespace, 'probe'), { dryRun: 'All' })
  await until(what, () =>
    probe().then(
      () => false,
      () => true,
    ),
  )
}

test('an API server that is short of breath, or away for a moment, does not end a restore', async (t) => {
  const { vault, backup, selection } = await removed(t, 'flaky')
  let calls = 0
  const faults = [
    () => new ApiError('PATCH', '/x', 429, '{"message":"too many requests"}', undefined),
    () => new ApiError('PATCH', '/x', 503, '{"message":"etcd is away"}', undefined),
    () => new ConnectionError(api.server, Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })),
  ]
  const flaky = new Proxy(api, {
    get(target, name) {
      const method = Reflect.get(target, name, target) as unknown
      if (typeof method !== 'function') return method
      return async (...args: unknown[]) => {
        calls++
        const fault = calls % 4 === 0 ? faults[(calls / 4) % faults.length] : undefined
        if (fault) throw fault()
        return method.apply(target, args)
      }
    },
  })
  const { summary } = await restore(vault, flaky, backup, { selection })
  t.deepEqual(summary.refused, [])
  t.is(total(summary, 'created'), 7)
  t.true(calls > 12)
})
