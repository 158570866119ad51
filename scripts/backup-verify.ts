#!/usr/bin/env node
import { chooseBackup } from '../lib/backup/choose.ts'
import { decryptionAtHand } from '../lib/backup/keys.ts'
import { withoutEtcdutl } from '../lib/backup/machines.ts'
import { describeUnreadable } from '../lib/backup/manifest.ts'
import { proveRecovery, showRecovery } from '../lib/backup/prove-recovery.ts'
import { showVerification } from '../lib/backup/show.ts'
import { assertWhole, verifyBackup } from '../lib/backup/verify.ts'
import { withMemoryFolder } from '../lib/migration/memory-folder.ts'
import { phase } from '../lib/migration/phase.ts'
import { findEtcdutl } from '../lib/talos/etcdutl.ts'

export default await phase(
  'backup-verify',
  async (migration) => {
    const { flags, settings, console } = migration
    const { folder, manifest } = await chooseBackup(migration, flags.backup as string | undefined)
    const decryption = await decryptionAtHand(migration, folder)
    console.info(`${folder}: ${manifest.content} of ${manifest.cluster}, taken at ${manifest.createdAt}.`)

    await migration.step('Read every file of it', async () => {
      const verified = await verifyBackup(folder, decryption)
      assertWhole(folder, verified)
      showVerification(migration, folder, verified)
      for (const line of describeUnreadable(manifest.unreadable)) console.warn(line)
    })

    if (!decryption || !manifest.snapshot) return
    const etcdutl = await findEtcdutl(settings)
    if (!etcdutl) console.warn(withoutEtcdutl)
    await migration.step('Open the etcd snapshot with the machine config beside it', () =>
      withMemoryFolder(settings, async (memory) =>
        showRecovery(migration, manifest, await proveRecovery(migration, folder, etcdutl, memory)),
      ),
    )
  },
  { backup: 'string' },
)
