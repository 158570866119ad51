import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { parseAddress } from '../../lib/network/addresses.ts'
import { catalogue } from '../../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../../lib/rehearsal/binaries.ts'
import { runTalosctl } from '../../lib/rehearsal/run-talosctl.ts'
import { loadSettings } from '../../lib/settings.ts'
import { changeConfig } from '../../lib/talos/change-config.ts'
import { differences, fieldsThatMention, mainDocument, showChange } from '../../lib/talos/config-fields.ts'
import { differingSecrets, parseMachineConfig, validateMachineConfig } from '../../lib/talos/machine-config.ts'
import { installedOn, type Move, movedConfig, moveOf } from '../../lib/talos/moved-config.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'

const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }
const tools = await ensureTools(catalogue(['talosctl']), { progress: silent })
const binary = tools.get('talosctl')?.path ?? 'talosctl'
const folder = await mkdtemp(join(tmpdir(), 'moved-config-'))
test.after.always(() => rm(folder, { recursive: true, maxRetries: 10 }))

const old = parseAddress('192.168.1.54', 'test')
const next = parseAddress('192.168.1.57', 'test')
const url = (host: string) => `https://${host}:6443`
const move: Move = { old, next, endpoint: url(old), nextEndpoint: url(next) }
const moving = { SCENARIO: 'B', TALOS_NODE: '192.168.1.54', NEW_TALOS_NODE: '192.168.1.57', AGE_RECIPIENTS: '' }
const memory = { memoryDir: '/dev/shm' }
const password = 'a-password-in-a-registry'

/** Everything that a person may have put the address into. */
const lived = {
  machine: {
    certSANs: ['talos.home', old],
    kubelet: { nodeIP: { validSubnets: ['192.168.1.48/29'] }, extraArgs: { 'node-ip': old } },
    network: {
      hostname: 'talos00',
      interfaces: [
        {
          deviceSelector: { physical: true },
          addresses: [`${old}/24`, '10.42.1.1/16'],
          routes: [{ network: '0.0.0.0/0', gateway: '192.168.1.1', source: old }],
        },
      ],
      nameservers: ['192.168.1.1'],
      extraHostEntries: [{ ip: old, aliases: ['registry.home'] }],
    },
    registries: {
      mirrors: { [`${old}:5000`]: { endpoints: [`http://${old}:5000`] } },
      config: { [`${old}:5000`]: { auth: { username: 'homelab', password } } },
    },
    env: { https_proxy: `http://proxy:secret-of-proxy@${old}:3128`, no_proxy: `localhost,${old},192.168.1.0/24` },
  },
  cluster: { etcd: { advertisedSubnets: [`${old}/32`] }, apiServer: { certSANs: [old, 'api.home'] } },
}

const plain = { machine: { network: { hostname: 'talos00' } } }

const firewall = `---
apiVersion: v1alpha1
kind: NetworkRuleConfig
name: etcd
portSelector:
  ports: [2379-2380]
  protocol: tcp
ingress:
  - subnet: ${old}/32
`

async function configWith(patch: object, endpoint = url(old), type = 'controlplane') {
  const file = join(folder, `${type}-${Math.random()}.yaml`)
  const talosconfig = join(folder, 'talosconfig')
  await writeFile(talosconfig, 'context: x\n')
  await runTalosctl(binary, [
    ...['gen', 'config', 'catalyst-cluster', endpoint, '--output-types', type, '--output', file],
    ...[
      '--talos-version',
      'v1.11',
      '--with-docs=false',
      '--with-examples=false',
      '--config-patch',
      JSON.stringify(patch),
    ],
  ])
  const talosctl = await Talosctl.open({ talosctl: binary, talosVersion: 'v1.11.1', talosconfig })
  return { talosctl, config: parseMachineConfig(await readFile(file, 'utf8'), 'the config') }
}

test('everything that belongs to the address goes with it, the rest stays, and talosctl finds it valid', async (t) => {
  const { talosctl, config } = await configWith(lived)
  const moved = await changeConfig(talosctl, config, (main) => movedConfig(main, move), memory)
  await validateMachineConfig(talosctl, moved)
  t.deepEqual(differingSecrets(config, moved), [])
  t.is(moved.endpoint, url(next))
  const { machine, cluster } = mainDocument(moved.text) as typeof lived & { cluster: Record<string, unknown> }
  t.deepEqual(machine.certSANs, ['talos.home', next])
  t.deepEqual(machine.kubelet.nodeIP.validSubnets, [`${next}/32`])
  t.deepEqual(machine.kubelet.extraArgs, { 'node-ip': next })
  const [nic] = machine.network.interfaces
  t.deepEqual(nic?.addresses, [`${next}/24`, '10.42.1.1/16'])
  t.deepEqual(nic?.routes, [{ network: '0.0.0.0/0', gateway: '192.168.1.1', source: next }])
  t.deepEqual(nic?.deviceSelector, { physical: true })
  t.deepEqual(machine.network.extraHostEntries, [{ ip: next, aliases: ['registry.home'] }])
  t.deepEqual(machine.registries.mirrors, { [`${next}:5000`]: { endpoints: [`http://${next}:5000`] } })
  t.deepEqual(machine.registries.config, { [`${next}:5000`]: { auth: { username: 'homelab', password } } })
  t.is(machine.env.no_proxy, `localhost,${next},192.168.1.0/24`)
  t.deepEqual(cluster.etcd.advertisedSubnets, [`${next}/32`])
  t.deepEqual([...new Set(cluster.apiServer.certSANs)], [next, 'api.home'])
})

test('the issuer of tokens stays the old URL, tokens for both are accepted, and both are named as what is left', async (t) => {
  const { talosctl, config } = await configWith(plain)
  const moved = await changeConfig(talosctl, config, (main) => movedConfig(main, move), memory)
  const { cluster } = mainDocument(moved.text) as { cluster: { apiServer: { extraArgs: unknown } } }
  t.deepEqual(cluster.apiServer.extraArgs, {
    'service-account-issuer': url(old),
    'api-audiences': `${url(next)},${url(old)}`,
  })
  t.deepEqual(fieldsThatMention(moved.text, old), [
    'cluster.apiServer.extraArgs.api-audiences',
    'cluster.apiServer.extraArgs.service-account-issuer',
  ])
})

test('where a DNS name is the endpoint, it stays, and so does the issuer without being pinned', async (t) => {
  const { talosctl, config } = await configWith(lived, url('k8s.home'))
  const stays = { ...move, endpoint: url('k8s.home'), nextEndpoint: url('k8s.home') }
  const moved = await changeConfig(talosctl, config, (main) => movedConfig(main, stays), memory)
  t.is(moved.endpoint, url('k8s.home'))
  t.deepEqual(fieldsThatMention(moved.text, old), [])
  t.false(moved.text.includes('service-account-issuer'))
})

test('where a virtual address is the endpoint, it stays with its VIP, and what is the old machine alone goes', async (t) => {
  const vip = '192.168.1.100'
  const shared = {
    machine: {
      network: { interfaces: [{ interface: 'eth0', addresses: [`${old}/24`], vip: { ip: vip } }] },
      certSANs: [vip, old],
    },
  }
  const { talosctl, config } = await configWith(shared, url(vip))
  const settings = loadSettings({ CLUSTER: 'catalyst', ...moving, CLUSTER_ENDPOINT: url(vip) })
  const virtual = moveOf(settings, config.endpoint)
  if (!virtual) return t.fail()
  const moved = await changeConfig(talosctl, config, (main) => movedConfig(main, virtual), memory)
  await validateMachineConfig(talosctl, moved)
  t.deepEqual(differences(mainDocument(config.text), mainDocument(moved.text)).map(showChange), [
    `machine.certSANs: ["${vip}","${old}"] → ["${vip}","${next}"]`,
    `machine.network.interfaces: [{"interface":"eth0","addresses":["${old}/24"],"vip":{"ip":"${vip}"}}] → [{"interface":"eth0","addresses":["${next}/24"],"vip":{"ip":"${vip}"}}]`,
  ])
  const worker = await configWith(plain, url(vip), 'worker')
  const same = await changeConfig(worker.talosctl, worker.config, (main) => movedConfig(main, virtual), memory)
  t.deepEqual(differences(mainDocument(worker.config.text), mainDocument(same.text)), [], 'no worker is told anything')
})

test('an endpoint that names the old machine moves even where the cluster has a name, and the name stays', (t) => {
  const settings = loadSettings({ CLUSTER: 'catalyst', ...moving, CLUSTER_ENDPOINT: url('k8s.home') })
  t.like(moveOf(settings, url('k8s.home')), { endpoint: url('k8s.home'), nextEndpoint: url('k8s.home') })
  t.like(moveOf(settings, url(old)), { endpoint: url(old), nextEndpoint: url(next) })
})

test('an issuer that was pinned before is kept as it is', async (t) => {
  const pinned = { cluster: { apiServer: { extraArgs: { 'service-account-issuer': url(old), v: '2' } } } }
  const { talosctl, config } = await configWith(pinned)
  const moved = await changeConfig(talosctl, config, (main) => movedConfig(main, move), memory)
  t.like((mainDocument(moved.text) as typeof pinned).cluster.apiServer.extraArgs, pinned.cluster.apiServer.extraArgs)
})

test('other documents are left as they are, and the old address in them is named', async (t) => {
  const { talosctl, config } = await configWith(plain)
  const several = parseMachineConfig(`${config.text}${firewall}`, 'the config')
  const moved = await changeConfig(talosctl, several, (main) => movedConfig(main, move), memory)
  t.true(fieldsThatMention(moved.text, old).includes('NetworkRuleConfig etcd: ingress[0].subnet'))
})

test("a worker's endpoint moves, and nothing is pinned", async (t) => {
  const { talosctl, config } = await configWith(plain, url(old), 'worker')
  const moved = await changeConfig(talosctl, config, (main) => movedConfig(main, move), memory)
  t.deepEqual(differences(mainDocument(config.text), mainDocument(moved.text)).map(showChange), [
    `cluster.controlPlane.endpoint: ${url(old)} → ${url(next)}`,
  ])
})

test('what changes is shown without a secret', async (t) => {
  const { talosctl, config } = await configWith(lived)
  const moved = await changeConfig(talosctl, config, (main) => movedConfig(main, move), memory)
  const lines = differences(mainDocument(config.text), mainDocument(moved.text)).map(showChange).join('\n')
  t.true(lines.includes(`${old}/24`), lines)
  for (const secret of [password, 'secret-of-proxy']) t.false(lines.includes(secret), lines)
})

test('another disk takes the place of the selector, which would win over it', async (t) => {
  const { talosctl, config } = await configWith({ machine: { install: { diskSelector: { size: '> 100GB' } } } })
  const image = 'factory.talos.dev/installer/abc:v1.11.1'
  const install = (main: object) => installedOn(main as never, { disk: '/dev/nvme0n1', image })
  const moved = await changeConfig(talosctl, config, install, memory)
  t.deepEqual(moved.install, { disk: '/dev/nvme0n1', selector: undefined })
  t.is(moved.versions.talos, 'v1.11.1')
  const imageOnly = await changeConfig(talosctl, config, (main) => installedOn(main, { image }), memory)
  t.deepEqual(imageOnly.install.selector, { size: '> 100GB' })
})
