import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { plainContent, storedContent } from '../../lib/backup/archive.ts'
import { beginBackup } from '../../lib/backup/begin.ts'
import { backUpCredentials } from '../../lib/backup/credentials.ts'
import { decryptionFrom } from '../../lib/backup/encryption.ts'
import type { FileEntry } from '../../lib/backup/manifest.ts'
import { catalogue } from '../../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../../lib/rehearsal/binaries.ts'
import { loadSettings } from '../../lib/settings.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { runIn } from '../migration/run-in-folder.ts'
import { makeKeys, scratchFolder, whole } from './keys.ts'

const tools = await ensureTools(catalogue(['talosctl']), { progress: { info: () => {} } as never })
const controlplane = readFileSync(new URL('../talos/fixtures/controlplane.yaml', import.meta.url), 'utf8')

/** The real talosctl; only the machine behind it is a file. */
async function talosctlIn(folder: string): Promise<Talosctl> {
  const environment = {
    CLUSTER: 'catalyst',
    TALOSCTL: tools.get('talosctl')?.path ?? '',
    TALOSCONFIG: join(folder, 'configs/talosconfig'),
  }
  const talosctl = await Talosctl.open(loadSettings(environment))
  talosctl.resources = (async () => [{ id: 'v1alpha1', spec: controlplane }]) as never
  return talosctl
}

async function homelab(t: ExecutionContext) {
  const folder = await scratchFolder(t)
  const keys = await makeKeys(folder)
  for (const path of ['configs/nodes', 'configs/.hidden', '.output']) mkdirSync(join(folder, path), { recursive: true })
  const files = [
    'configs/talosconfig',
    'configs/controlplane.yaml',
    'configs/nodes/worker 1 ü.yaml',
    'configs/.hidden/patch.yaml',
  ]
  for (const file of [...files, '.output/kubeconfig']) writeFileSync(join(folder, file), `content of ${file}\n`)
  const run = async (more: Record<string, string> = {}) => {
    let kept: FileEntry[] = []
    let partial = ''
    const environment = { AGE_RECIPIENTS: keys.recipient, AGE_IDENTITY_FILE: keys.identityFile, ...more }
    const outcome = await runIn(
      folder,
      'backup',
      async (migration) => {
        const { archive } = await beginBackup(migration)
        partial = archive.partial
        const talosctl = await talosctlIn(folder)
        kept = (await migration.step('Credentials', () => backUpCredentials(migration, talosctl, archive))) ?? []
      },
      [],
      environment,
    )
    const decryption = await decryptionFrom(keys.identityFile)
    const open = async (path: string) =>
      String(await whole(plainContent(path, storedContent(partial, path), decryption)))
    return { ...outcome, paths: kept.map(({ path }) => path).sort(), open }
  }
  return { folder, run }
}

test('what is named by settings, and all of configs/ by its own names, is kept encrypted', async (t) => {
  const { run } = await homelab(t)
  const { code, lines, paths, open } = await run()
  t.is(code, 0, lines.join('\n'))
  t.deepEqual(paths, [
    'configs/@2ehidden/patch.yaml.gz.age',
    'configs/controlplane.yaml.gz.age',
    'configs/nodes/worker@201@20@c3@bc.yaml.gz.age',
    'configs/talosconfig.gz.age',
    'controlplane.yaml.gz.age',
    'kubeconfig.gz.age',
    'secrets.yaml.gz.age',
    'talosconfig.gz.age',
  ])
  t.is(await open('configs/nodes/worker@201@20@c3@bc.yaml.gz.age'), 'content of configs/nodes/worker 1 ü.yaml\n')
  t.is(await open('kubeconfig.gz.age'), 'content of .output/kubeconfig\n')
})

test('without a secrets bundle of its own the homelab gets the one of the live config, from which the same config can be made', async (t) => {
  const { run } = await homelab(t)
  const { open } = await run()
  const bundle = await open('secrets.yaml.gz.age')
  t.regex(bundle, /^certs:/m)
  const secretbox = /secretboxEncryptionSecret: (\S+)/.exec(controlplane)?.[1] ?? 'none'
  t.true(bundle.includes(secretbox))
})

test('a secrets bundle that is named is kept as it is', async (t) => {
  const { folder, run } = await homelab(t)
  writeFileSync(join(folder, 'bundle.yaml'), 'my bundle\n')
  const { open } = await run({ SECRETS_BUNDLE: './bundle.yaml' })
  t.is(await open('secrets.yaml.gz.age'), 'my bundle\n')
})

test('links in a circle end, links to files are followed, and an image in configs/ is named and left alone', async (t) => {
  const { folder, run } = await homelab(t)
  symlinkSync('.', join(folder, 'configs/circle'))
  symlinkSync('controlplane.yaml', join(folder, 'configs/link.yaml'))
  symlinkSync('nowhere', join(folder, 'configs/broken'))
  writeFileSync(join(folder, 'configs/metal.iso'), '')
  truncateSync(join(folder, 'configs/metal.iso'), 80_000_000)
  const { code, paths, lines } = await run()
  t.is(code, 0, lines.join('\n'))
  t.true(paths.includes('configs/link.yaml.gz.age'))
  t.false(paths.some((path) => path.includes('metal.iso')))
  t.true(lines.some((line) => line.startsWith('warn') && line.includes('metal.iso has 80.0 MB')))
})

test('a credential that is not there is named with the variable to set', async (t) => {
  const { run } = await homelab(t)
  const { code, lines } = await run({ KUBECONFIG: './elsewhere' })
  t.is(code, 1)
  t.regex(lines.join('\n'), /elsewhere cannot be read.*KUBECONFIG/)
})
