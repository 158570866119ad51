import { randomBytes } from 'node:crypto'
import { Archive, archiveName } from '../../lib/backup/archive.ts'
import { encryptionTo } from '../../lib/backup/encryption.ts'
import type { Manifest } from '../../lib/backup/manifest.ts'

/** A small whole backup, made by the real archive. */
export interface BackupToMake {
  backupDir: string
  recipient: string
  at: Date
  cluster?: string
  uid?: string
  content?: Manifest['content']
  /** bytes of a file of noise in it, which does not become smaller */
  noise?: number
  unreadable?: Manifest['unreadable']
}

export const clusterUid = '6a1c8f0e-0000-4000-8000-000000000001'

/** @returns its folder */
export async function makeBackup(backup: BackupToMake): Promise<string> {
  const { backupDir, recipient, at, cluster = 'catalyst-cluster', uid = clusterUid, content = 'backup' } = backup
  const name = archiveName(cluster, at) + (content === 'backup' ? '' : '-final')
  const archive = await Archive.begin(backupDir, name, encryptionTo([recipient]))
  const pods = 'resources/pods.core.v1.jsonl.gz'
  const files = [
    await archive.add(pods, Buffer.from('{"a":1}\n{"a":2}\n')),
    await archive.add('baseline.json', Buffer.from('{}\n')),
    await archive.add('noise.age', randomBytes(backup.noise ?? 100)),
  ]
  return archive.finish({
    content,
    cluster,
    createdAt: at.toISOString(),
    files,
    resources: [{ group: '', version: 'v1', resource: 'pods', count: 2, path: pods }],
    unreadable: backup.unreadable ?? [],
    identity: { kubeSystemUid: uid },
    versions: {},
  })
}
