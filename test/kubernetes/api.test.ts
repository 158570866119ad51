import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import anyTest, { type TestFn } from 'ava'
import {
  ApiError,
  ConnectionError,
  KubernetesApi,
  type KubernetesObject,
  type WatchEvent,
} from '../../lib/kubernetes/api.ts'
import { OperatorError, RemoteError } from '../../lib/migration/errors.ts'
import { type BareCluster, startBareCluster } from './bare-cluster.ts'
import { clientOf, listServer } from './list-server.ts'

const test = anyTest as TestFn<{ cluster: BareCluster; api: KubernetesApi }>
const maps = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string, data: Record<string, string> = {}) => ({ metadata: { name }, data })

test.before(async (t) => {
  const cluster = await startBareCluster()
  t.context = { cluster, api: cluster.api }
})

test.after.always((t) => t.context.cluster?.stop())

test('a collection is read whole, however many pages it takes', async (t) => {
  const { api } = t.context
  for (let i = 0; i < 7; i++)
    await api.create(maps, { ...configMap(`page-${i}`), metadata: { name: `page-${i}`, labels: { page: 'yes' } } })
  const items = await api.list(maps, { limit: 2, labelSelector: 'page=yes' })
  t.is(items.length, 7)
})

test('what is not there is null where that is asked for, and an ApiError with the reason elsewhere', async (t) => {
  const { api } = t.context
  t.is(await api.getOrNull(`${maps}/nowhere`), null)
  const error = await t.throwsAsync(api.get(`${maps}/nowhere`), { instanceOf: ApiError })
  t.is(error?.status, 404)
  t.is(error?.reason, 'NotFound')
})

test('the options of a deletion reach the server', async (t) => {
  const { api } = t.context
  await api.create(maps, configMap('kept'))
  const options = { preconditions: { uid: '00000000-0000-0000-0000-000000000000' } }
  const error = await t.throwsAsync(api.remove(`${maps}/kept`, options), { instanceOf: ApiError })
  t.is(error?.status, 409)
  t.truthy(await api.getOrNull(`${maps}/kept`))
})

test('patches of all three kinds are sent as what they are', async (t) => {
  const { api } = t.context
  await api.create(maps, configMap('patched', { a: '1' }))
  await api.mergePatch(`${maps}/patched`, { data: { b: '2' } })
  await api.jsonPatch(`${maps}/patched`, [{ op: 'replace', path: '/data/a', value: '3' }])
  const applied = await api.apply<KubernetesObject & { data: Record<string, string> }>(
    `${maps}/patched`,
    { apiVersion: 'v1', kind: 'ConfigMap', ...configMap('patched', { c: '4' }) },
    'test',
  )
  t.deepEqual(applied.data, { a: '3', b: '2', c: '4' })
})

test('a watch gives every event whole, characters of several bytes included, and ends with its signal', async (t) => {
  const { api } = t.context
  const name = 'watched'
  const stop = new AbortController()
  const events: WatchEvent[] = []
  const text = 'Überwachungsgerät 監視装置 '.repeat(20_000)
  const seen = new EventTarget()
  const arrived = once(seen as never, 'arrived')
  const watching = api.watch(
    maps,
    { fieldSelector: `metadata.name=${name}` },
    (event) => {
      events.push(event)
      seen.dispatchEvent(new Event('arrived'))
    },
    stop.signal,
  )
  await api.create(maps, configMap(name, { text }))
  await arrived
  stop.abort()
  await watching
  t.is((events[0]?.object.data as { text: string } | undefined)?.text, text)
})

test('an answer that falls silent in its middle, or breaks off, is a connection error', async (t) => {
  for (const fault of ['fall silent', 'break off'] as const) {
    const server = await listServer(['{"metadata":{"name":"a"}}'], () => fault)
    t.teardown(server.close)
    const error = await t.throwsAsync(server.api.raw('/x', { limit: 1 }, { timeoutMs: 300 }), {
      instanceOf: ConnectionError,
    })
    t.is(error?.timedOut, fault === 'fall silent')
  }
})

test('an idle connection that the server has closed is made again', async (t) => {
  const server = await listServer([], (request) => (request === 2 ? 'hang up' : undefined))
  t.teardown(server.close)
  for (let i = 0; i < 2; i++) t.regex((await server.api.raw('/x', { limit: 1 })).toString(), /ThingList/)
  t.is(server.requests.length, 3)
})

test('a watch that is reset is one error, and is not asked for again, though its connection was used before', async (t) => {
  const server = await listServer([], (request) => (request === 2 ? 'one event' : undefined))
  t.teardown(server.close)
  const sockets: Socket[] = []
  const wire = createServer((socket) => {
    sockets.push(socket)
    const back = connect(Number(new URL(server.api.server).port), '127.0.0.1')
    for (const end of [socket, back]) end.on('error', () => undefined)
    socket.pipe(back).pipe(socket)
  })
  wire.listen(0, '127.0.0.1')
  await once(wire, 'listening')
  t.teardown(() => void wire.close())
  const api = await clientOf(`https://127.0.0.1:${(wire.address() as AddressInfo).port}`)
  t.teardown(() => api.close())
  await api.raw('/x', { limit: 1 })
  const reset = () => sockets[0]?.resetAndDestroy()
  await t.throwsAsync(api.watch('/x', {}, reset, new AbortController().signal), { code: 'ECONNRESET' })
  t.is(sockets.length, 1, 'no other connection was made')
})

test('credentials that were exchanged in the middle of a run are fetched anew, from the file and from an exec plugin', async (t) => {
  const { cluster, api } = t.context
  const folder = await mkdtemp(join(tmpdir(), 'api-test-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const good = JSON.parse(await readFile(cluster.kubeconfig, 'utf8'))
  const token = join(folder, 'token')
  const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential' }
  const answer = (token: string) =>
    JSON.stringify({ ...credential, status: { token, expirationTimestamp: '2099-01-01T00:00:00Z' } })
  const exec = { apiVersion: credential.apiVersion, command: 'cat', args: [token], interactiveMode: 'Never' }
  const expired = { ...good, users: [{ name: 'admin', user: { token: 'expired' } }] }
  const byPlugin = { ...good, users: [{ name: 'admin', user: { exec } }] }

  const file = join(folder, 'kubeconfig')
  await writeFile(file, JSON.stringify(expired))
  const fromFile = await KubernetesApi.fromFile(file)
  t.teardown(() => fromFile.close())
  t.is((await t.throwsAsync(fromFile.get('/version'), { instanceOf: ApiError }))?.status, 401)
  await writeFile(file, JSON.stringify(good))
  t.truthy(await fromFile.get('/version'))

  await writeFile(token, answer('expired'))
  const fromPlugin = await KubernetesApi.fromString(JSON.stringify(byPlugin))
  t.teardown(() => fromPlugin.close())
  t.is((await t.throwsAsync(fromPlugin.get('/version'), { instanceOf: ApiError }))?.status, 401)
  await writeFile(token, answer(good.users[0].user.token))
  t.deepEqual(await fromPlugin.get('/version'), await api.get('/version'))

  const elsewhere = [{ name: 'bare', cluster: { server: 'https://127.0.0.1:1' } }]
  await writeFile(token, answer('expired'))
  await writeFile(file, JSON.stringify(expired))
  const stays = await KubernetesApi.fromFile(file)
  t.teardown(() => stays.close())
  await writeFile(file, JSON.stringify({ ...good, clusters: elsewhere }))
  t.is((await t.throwsAsync(stays.get('/version'), { instanceOf: ApiError }))?.status, 401)
})

test('a server that is not there is a remote error with a way out, not a bug', async (t) => {
  const kubeconfig = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'x',
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
    clusters: [{ name: 'x', cluster: { server: 'https://127.0.0.1:1' } }],
    users: [{ name: 'x', user: {} }],
  })
  const error = await t.throwsAsync((await KubernetesApi.fromString(kubeconfig)).get('/version'), {
    instanceOf: ConnectionError,
  })
  t.true(error instanceof RemoteError)
  t.regex(error?.message ?? '', /127\.0\.0\.1:1 does not answer/)
  t.regex(error?.next ?? '', /KUBECONFIG/)
})

test('a kubeconfig that is missing or none is an error for the operator', async (t) => {
  await t.throwsAsync(KubernetesApi.fromFile('/nowhere/kubeconfig'), {
    instanceOf: OperatorError,
    message: /cannot be read/,
  })
  await t.throwsAsync(KubernetesApi.fromString('this: [is not'), { instanceOf: OperatorError })
})

test('an answer that comes in drops for ever is given up', async (t) => {
  const server = await listServer([], () => 'drip')
  t.teardown(server.close)
  const error = await t.throwsAsync(server.api.raw('/x', { limit: 1 }, { timeoutMs: 200 }), {
    instanceOf: ConnectionError,
  })
  t.true(error?.timedOut)
})
