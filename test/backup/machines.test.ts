import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { plainContent, storedContent } from '../../lib/backup/archive.ts'
import { beginBackup } from '../../lib/backup/begin.ts'
import { decryptionFrom } from '../../lib/backup/encryption.ts'
import { backUpMachineConfigs, type ConfigsBackup } from '../../lib/backup/machines.ts'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import type { Talosctl, Target } from '../../lib/talos/talosctl.ts'
import { TalosctlError } from '../../lib/talos/talosctl-error.ts'
import { runIn } from '../migration/run-in-folder.ts'
import { makeKeys, scratchFolder, whole } from './keys.ts'

const canary = 'CANARY-c0ffee'

const node = (name: string, address: string, osImage: string) => ({
  metadata: { name },
  status: { addresses: [{ type: 'InternalIP', address }], nodeInfo: { osImage } },
})
const api = {
  list: async () => [
    node('talos00', '192.168.1.54', 'Talos (v1.11.1)'),
    node('worker1', '192.168.1.61', 'Talos (v1.11.1)'),
    node('worker2', '192.168.1.62', 'Talos (v1.11.1)'),
    node('liqo-aws', '10.0.0.1', 'virtual'),
  ],
} as unknown as KubernetesApi

const asked: string[] = []
const talosctl = {
  resources: async ({ address }: Target) => {
    asked.push(address)
    if (address === '192.168.1.62') throw new TalosctlError('refused', 'connection refused', { transient: true })
    return [{ id: 'v1alpha1', spec: `machine: {token: ${canary}}\n` }]
  },
} as unknown as Talosctl

test('the configs of all other Talos machines are kept, encrypted; a machine that is silent is named', async (t) => {
  const folder = await scratchFolder(t)
  const keys = await makeKeys(folder)
  let kept: ConfigsBackup | undefined
  let partial = ''
  const body = async (migration: Parameters<typeof beginBackup>[0]) => {
    const { archive } = await beginBackup(migration)
    partial = archive.partial
    kept = await migration.step('Configs', () => backUpMachineConfigs(migration, talosctl, api, archive))
  }
  const environment = { AGE_RECIPIENTS: keys.recipient, AGE_IDENTITY_FILE: keys.identityFile }
  const { code, lines } = await runIn(folder, 'backup', body, [], environment)
  t.is(code, 0, lines.join('\n'))
  t.deepEqual(
    kept?.files.map(({ path }) => path),
    ['machineconfig/worker1.yaml.gz.age'],
  )
  t.deepEqual(asked, ['192.168.1.61', '192.168.1.62'])
  t.like(kept?.unreadable[0], { resource: 'machineconfig', name: 'worker2', reason: 'connection refused' })
  const decryption = await decryptionFrom(keys.identityFile)
  const path = 'machineconfig/worker1.yaml.gz.age'
  t.regex((await whole(plainContent(path, storedContent(partial, path), decryption))).toString(), /CANARY-c0ffee/)
  for (const written of ['backup', 'output']) assertNoCanary(t.false.bind(t), join(folder, written))
  t.false(lines.join().includes(canary))
})

function assertNoCanary(assertFalse: (found: boolean, message: string) => void, folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name)
    if (entry.isFile()) assertFalse(readFileSync(file).includes(canary), file)
  }
}
