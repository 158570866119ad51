import test from 'ava'
import { isNeverRestored, leftToCluster } from '../../../lib/backup/restore/generated.ts'
import { objectKey } from '../../../lib/backup/restore/identity.ts'
import { withoutServerOwned } from '../../../lib/backup/restore/server-owned.ts'
import { backedUpObjects } from '../../../lib/backup/restore.ts'
import type { KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { startBareCluster } from '../../kubernetes/bare-cluster.ts'
import { backUp, everything, newVault, restore, total, type Vault } from './backing-up.ts'
import { makeCluster, planCluster } from './random-cluster.ts'
import { randomFrom } from './random-objects.ts'

const objects = 250

test('random objects, backed up and restored into an empty cluster, are what they were but for what the server owns', async (t) => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
  try {
    const vault = await newVault(t)
    const first = await startBareCluster()
    const original = await makeCluster(first.api, planCluster(randomFrom(seed), objects))
      .then(() => backUp(vault, first.api, 'before'))
      .finally(() => first.stop())
    const second = await startBareCluster()
    t.teardown(second.stop)
    const { summary, lines } = await restore(vault, second.api, original)
    t.deepEqual(summary.refused, [])
    t.deepEqual(
      lines.filter((line) => line.startsWith('warn')),
      [],
    )
    t.true(total(summary, 'created') > objects)
    const again = await backUp(vault, second.api, 'after')
    const [before, after] = [await contentOf(vault, original), await contentOf(vault, again)]
    t.deepEqual([...after.keys()].sort(), [...before.keys()].sort())
    for (const [key, object] of before) t.deepEqual(after.get(key), object, key)
  } finally {
    t.log(`again with: SEED=${seed}`)
  }
})

/** Every object of a backup that can be restored, without what the server owns; owners by what they are, not by their UIDs. */
async function contentOf({ decryption }: Vault, folder: string): Promise<Map<string, KubernetesObject>> {
  const source = await backedUpObjects(folder, { decryption, selection: everything })
  const content = new Map<string, KubernetesObject>()
  const uids = new Map<string, string>()
  for (const entry of source.manifest.resources) {
    if (isNeverRestored(entry)) continue
    for await (const object of source.objects(entry)) {
      if (leftToCluster(entry, object) !== undefined) continue
      uids.set(object.metadata.uid ?? '', objectKey(object))
      content.set(objectKey(object), withoutServerOwned(entry, object, { hasStatus: entry.resource !== 'relics' }))
    }
  }
  for (const { metadata } of content.values()) {
    metadata.ownerReferences =
      metadata.ownerReferences?.map((owner) => ({ ...owner, uid: uids.get(owner.uid) ?? 'gone' })) ?? []
  }
  return content
}
