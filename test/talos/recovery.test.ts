import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { replaceKubeconfig } from '../../lib/talos/kubeconfig.ts'
import { chooseSnapshot } from '../../lib/talos/recovery.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { newFolder, runIn } from '../migration/run-in-folder.ts'
import { fakeTalosctl } from './fake-talosctl.ts'

const address = parseAddress('192.0.2.10', 'test')

async function inProvision(
  snapshot: (folder: string) => string,
  body: (migration: Migration, folder: string) => Promise<void>,
): Promise<void> {
  const folder = newFolder()
  try {
    const run = (migration: Migration) => body(migration, folder)
    const { code, lines } = await runIn(folder, 'provision', run, [], { SNAPSHOT: snapshot(folder) })
    if (code !== 0) throw new Error(lines.join('\n'))
  } finally {
    await rm(folder, { recursive: true, maxRetries: 10 })
  }
}

// Stands for lib/backup: a set whose snapshot is named after its folder.
const readSet = async (folder: string) => ({ openSnapshot: async (memory: string) => `${memory} from ${folder}` })

test('SNAPSHOT may be a plain file, the folder of a backup, or the encrypted file in it', async (t) => {
  await inProvision(
    (folder) => join(folder, 'plain.db'),
    async (migration, folder) => {
      await writeFile(join(folder, 'plain.db'), '')
      const { open } = await chooseSnapshot(migration, readSet)
      t.is(await open('/memory'), join(folder, 'plain.db'))
    },
  )
  for (const name of ['', 'etcd.snapshot.gz.age']) {
    await inProvision(
      (folder) => join(folder, 'set', name),
      async (migration, folder) => {
        await mkdir(join(folder, 'set'))
        await writeFile(join(folder, 'set', 'etcd.snapshot.gz.age'), '')
        const { open } = await chooseSnapshot(migration, readSet)
        t.is(await open('/memory'), `/memory from ${join(folder, 'set')}`)
      },
    )
  }
})

test('a SNAPSHOT that is not there is refused by name', async (t) => {
  await inProvision(
    () => '/nowhere/x',
    async (migration) => {
      await t.throwsAsync(chooseSnapshot(migration, readSet), {
        instanceOf: OperatorError,
        message: /nowhere\/x \(SNAPSHOT/,
      })
    },
  )
})

test('without SNAPSHOT the final one of this run is taken, and only after the old machine was proven off', async (t) => {
  await inProvision(
    () => '/dev/null',
    async ({ settings, ...migration }) => {
      const facts = new Map<string, unknown>()
      const fake = {
        ...migration,
        settings: { ...settings, snapshotFile: undefined },
        dryRun: false,
        recall: (name: string) => facts.get(name),
      }
      const choose = () => chooseSnapshot(fake as unknown as Migration, readSet)
      await t.throwsAsync(choose(), { instanceOf: OperatorError, message: /not proven the old machine to be off/ })
      facts.set('final-snapshot', { folder: '/backup/final' })
      await t.throwsAsync(choose(), { message: /not proven the old machine to be off/ })
      facts.set('old-machine-off', {})
      t.is((await choose()).origin, '/backup/final')
    },
  )
})

test('the previous kubeconfig is kept encrypted, once, and the new one is for its owner alone', async (t) => {
  const fake = await fakeTalosctl()
  await fake.become('running u 02:00:00:00:00:02')
  await inProvision(
    () => '/dev/null',
    async (migration) => {
      const talosconfig = join(fake.folder, 'talosconfig')
      await writeFile(talosconfig, '')
      const talosctl = await Talosctl.open({ talosctl: fake.path, talosVersion: 'v1.11.1', talosconfig })
      const { kubeconfig } = migration.settings
      await mkdir(dirname(kubeconfig), { recursive: true })
      await writeFile(kubeconfig, 'the old one', { mode: 0o644 })
      const sealed: string[] = []
      const encrypt = async (plain: Buffer, path: string) => {
        sealed.push(plain.toString())
        await writeFile(path, 'ciphertext')
      }
      const replace = () => replaceKubeconfig(migration, talosctl, { address }, encrypt)
      await replace()
      t.regex(await readFile(kubeconfig, 'utf8'), /192\.0\.2\.10:6443/)
      t.is((await stat(kubeconfig)).mode & 0o777, 0o600)
      t.deepEqual(sealed, ['the old one'])
      // A run that was killed here goes on with the undo data that it had first.
      await replace()
      const [change, ...others] = migration.journal.changes({ kind: 'kubeconfig' })
      t.is(others.length, 0)
      const kept = (await readdir(migration.runFolder)).filter((name) => name.includes('kubeconfig'))
      t.true(kept.every((name) => name.endsWith('.age')))
      t.true(kept.map((name) => join(migration.runFolder, name)).includes(String(change?.undo?.previous)))
    },
  )
  await fake.remove()
})
