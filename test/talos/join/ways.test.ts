import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parse, stringify } from 'yaml'
import { parseAddress } from '../../../lib/network/addresses.ts'
import { ensureBinaries } from '../../../lib/rehearsal/binaries.ts'
import { setEndpoints, waysIn } from '../../../lib/talos/join/endpoints.ts'
import { apiServerAt, kubeconfigFor, setWaysToApi } from '../../../lib/talos/join/kubeconfig.ts'
import { undoTalosconfig } from '../../../lib/talos/talosconfig-address.ts'
import { Talosctl } from '../../../lib/talos/talosctl.ts'
import { testMigration } from '../../kubernetes/test-migration.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }
const binaries = await ensureBinaries({ progress: silent })
const at = (address: string) => parseAddress(address, 'the test')

/** A talosconfig of two contexts, and a kubeconfig. */
async function homelab(_t: ExecutionContext, endpoints: string[]) {
  const folder = temporaryFolder('ways')
  const [talosconfig, kubeconfig] = [join(folder, 'talosconfig'), join(folder, 'kubeconfig')]
  const context = { ca: 'Y2E=', crt: 'Y3J0', key: 'a2V5' }
  const contexts = {
    home: { endpoints, nodes: ['192.0.2.54'], ...context },
    other: { endpoints: ['192.0.2.99'], ...context },
  }
  writeFileSync(talosconfig, stringify({ context: 'home', contexts }), { mode: 0o600 })
  const clusters = [
    { name: 'home', cluster: { server: 'https://192.0.2.54:6443', 'certificate-authority-data': 'Y2E=' } },
  ]
  const users = [{ name: 'admin@home', user: { 'client-key-data': 'a2V5' } }]
  const kube = {
    'current-context': 'admin@home',
    clusters,
    users,
    contexts: [{ name: 'admin@home', context: { cluster: 'home', user: 'admin@home' } }],
  }
  writeFileSync(kubeconfig, stringify(kube), { mode: 0o600 })
  const more = {
    TALOSCONFIG: talosconfig,
    KUBECONFIG: kubeconfig,
    TALOS_NODE: '192.0.2.54',
    TALOSCTL: binaries.talosctl,
  }
  const { migration, journal } = testMigration(more, { runFolder: temporaryFolder('run') })
  const talosctl = await Talosctl.open(migration.settings)
  const endpointsNow = (name = 'home') => parse(readFileSync(talosconfig, 'utf8')).contexts[name].endpoints
  const kubeNow = () => parse(readFileSync(kubeconfig, 'utf8'))
  return { migration, journal, talosctl, talosconfig, kubeconfig, endpointsNow, kubeNow }
}

test('the endpoints become the control planes; a load balancer stays behind them, another context as it is, and it is taken back', async (t) => {
  const { migration, journal, talosctl, talosconfig, endpointsNow } = await homelab(t, [
    '192.0.2.54',
    'lb.home',
    '192.0.2.50',
  ])
  await setEndpoints(migration, talosctl, [at('192.0.2.54'), at('192.0.2.55')], [at('192.0.2.50')])
  t.deepEqual(endpointsNow(), ['192.0.2.54', '192.0.2.55', 'lb.home'])
  t.deepEqual(endpointsNow('other'), ['192.0.2.99'])
  t.is(statSync(talosconfig).mode & 0o077, 0)
  const [change] = journal.changes({ kind: 'talosconfig' })
  if (!change) return t.fail()
  t.false(JSON.stringify(change.undo).includes('a2V5'), 'no key is in the journal')
  t.is(await undoTalosconfig(talosctl, migration.settings, change), 'undone')
  t.deepEqual(endpointsNow(), ['192.0.2.54', 'lb.home', '192.0.2.50'])
})

test('endpoints that are right already are not touched', async (t) => {
  const { migration, journal, talosctl } = await homelab(t, ['192.0.2.54', '192.0.2.55'])
  await setEndpoints(migration, talosctl, [at('192.0.2.54'), at('192.0.2.55')])
  t.deepEqual(journal.changes(), [])
})

test('the ways in are TALOS_NODE and the endpoints that are addresses, each once', async (t) => {
  const { migration } = await homelab(t, ['192.0.2.55', 'lb.home', '192.0.2.54', '2001:db8::1'])
  t.deepEqual(await waysIn(migration.settings), [at('192.0.2.54'), at('192.0.2.55'), at('2001:db8::1')])
})

const two = [
  { name: 'talos00', address: at('192.0.2.54') },
  { name: 'talos01', address: at('192.0.2.55') },
]
const keep = async (plain: Buffer, path: string) => writeFileSync(path, plain)

test('the kubeconfig gets one context for each control plane, and loses that of one that has left; the current one stays', async (t) => {
  const { migration, kubeNow } = await homelab(t, [])
  await setWaysToApi(migration, two, keep)
  t.is(kubeNow()['current-context'], 'admin@home')
  t.deepEqual(
    kubeNow().contexts.map(({ name }: { name: string }) => name),
    ['admin@home', 'admin@home.via-talos00', 'admin@home.via-talos01'],
  )
  t.is(kubeNow().clusters[2].cluster.server, 'https://192.0.2.55:6443')
  t.is(kubeNow().clusters[2].cluster['certificate-authority-data'], 'Y2E=')
  await setWaysToApi(migration, two.slice(0, 1), keep)
  t.deepEqual(
    kubeNow().clusters.map(({ name }: { name: string }) => name),
    ['home', 'home.via-talos00'],
  )
})

test('a kubeconfig for one machine goes to its address, at the port of the endpoint', async (t) => {
  const { kubeconfig } = await homelab(t, [])
  const text = parse(await kubeconfigFor(kubeconfig, { address: at('192.0.2.55') }))
  t.is(text.clusters[0].cluster.server, 'https://192.0.2.55:6443')
  t.is(apiServerAt('https://lb.home:8443', '2001:db8::1'), 'https://[2001:db8::1]:8443')
})
