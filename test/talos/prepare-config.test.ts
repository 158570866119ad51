import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import anyTest from 'ava'
import { catalogue } from '../../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../../lib/rehearsal/binaries.ts'
import { runTalosctl } from '../../lib/rehearsal/run-talosctl.ts'
import { mainDocument } from '../../lib/talos/config-fields.ts'
import { differingSecrets, type MachineConfig, parseMachineConfig } from '../../lib/talos/machine-config.ts'
import { prepareConfig } from '../../lib/talos/prepare-config.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { newFolder, runIn } from '../migration/run-in-folder.ts'

// One after the other: every phase listens for the signals of this process.
const test = anyTest.serial
const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }
const tools = await ensureTools(catalogue(['talosctl']), { progress: silent })
const binary = tools.get('talosctl')?.path ?? 'talosctl'

const [old, next] = ['192.168.1.54', '192.168.1.57']
const folder = newFolder()
const file = join(folder, 'controlplane.yaml')
const talosconfig = join(folder, 'talosconfig')
await runTalosctl(binary, [
  ...['gen', 'config', 'catalyst-cluster', `https://${old}:6443`, '--output', folder, '--talos-version', 'v1.11'],
  ...['--output-types', 'controlplane,talosconfig', '--kubernetes-version', '1.34.0', '--install-disk', '/dev/sda'],
  ...['--with-docs=false', '--with-examples=false'],
  ...['--config-patch', JSON.stringify({ machine: { network: { hostname: 'talos00' } } })],
])
const text = await readFile(file, 'utf8')
/** What the machine runs on: somebody has changed it since the file was written. */
const live = parseMachineConfig(
  text.replace('hostname: talos00', 'hostname: talos00\n        nameservers: [192.168.1.1]'),
  'the config of talos00',
)

/** Prepares a config as provision would, in scenario B; gives it with what was said. */
async function prepared(more: Record<string, string> = {}, source: MachineConfig | null = live) {
  let config: MachineConfig | undefined
  const { code, lines } = await runIn(
    newFolder(),
    'provision',
    async (migration) => {
      const talosctl = await Talosctl.open({ talosctl: binary, talosVersion: 'v1.11.1', talosconfig })
      config = await prepareConfig(migration, talosctl, source ?? undefined)
    },
    [],
    {
      ...{ SNAPSHOT: '/dev/null', SCENARIO: 'B', NEW_TALOS_NODE: next, CLUSTER_ENDPOINT: `https://${old}:6443` },
      ...{ TALOSCONFIG: talosconfig, CONTROLPLANE_CONFIG: file, MEMORY_DIR: '/dev/shm' },
      ...more,
    },
  )
  return { code, config, said: lines.join('\n') }
}

const nameservers = (config: MachineConfig | undefined) =>
  (mainDocument(config?.text ?? '') as { machine: { network: { nameservers?: string[] } } }).machine.network.nameservers

test('the new machine gets what the old one ran on, at the new address, and where the file differs is said', async (t) => {
  const { code, config, said } = await prepared()
  t.is(code, 0, said)
  t.is(config?.endpoint, `https://${next}:6443`)
  t.deepEqual(nameservers(config), ['192.168.1.1'])
  t.deepEqual(config && differingSecrets(live, config), [])
  t.regex(said, /controlplane\.yaml differs from it: machine\.network\.nameservers\./)
  t.regex(said, /cluster\.controlPlane\.endpoint: https:\/\/192\.168\.1\.54:6443 → https:\/\/192\.168\.1\.57:6443/)
  t.regex(said, /The old address stays in .*service-account-issuer/)
})

test('the operator can say that the file is right, and without the other it takes its place', async (t) => {
  const { config } = await prepared({ CONFIG_SOURCE: 'file' })
  t.is(nameservers(config), undefined)
  t.is(config?.endpoint, `https://${next}:6443`)
  const alone = await prepared({}, null)
  t.is(alone.config?.endpoint, `https://${next}:6443`)
  t.regex(alone.said, /is not to be had here; .*controlplane\.yaml takes its place/)
})

test('other hardware is named by settings, and a patch is laid over all else', async (t) => {
  const patch = join(folder, 'patch.yaml')
  await writeFile(patch, `machine:\n  sysctls:\n    net.core.somaxconn: "65535"\n  nodeLabels:\n    was: "${old}"\n`)
  const { code, config, said } = await prepared({ CONFIG_PATCH: patch, INSTALL_DISK: '/dev/nvme0n1' })
  t.is(code, 0, said)
  t.is(config?.install.disk, '/dev/nvme0n1')
  t.regex(config?.text ?? '', /net\.core\.somaxconn: "65535"/)
  t.regex(said, /machine\.install\.disk: \/dev\/sda → \/dev\/nvme0n1/)
  t.regex(said, /The old address is left in machine\.nodeLabels\.was/)
})

test('in scenario A the address stays, and the file is what is applied', async (t) => {
  const { config, said } = await prepared({ SCENARIO: 'A' })
  t.is(config?.text, text)
  t.notRegex(said, /for the new machine/)
})
