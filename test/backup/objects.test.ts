import test from 'ava'
import { assertSameCluster } from '../../lib/backup/objects.ts'

/** A cluster by the UID of its kube-system. */
const clusterOf = (uid: string) => ({
  server: 'https://192.0.2.1:6443',
  getOrNull: async <T>() => ({ metadata: { name: 'kube-system', uid } }) as T,
})

const backupOf = (identity: { kubeSystemUid?: string }) => ({
  folder: './nas/backup-1',
  manifest: {
    version: 1 as const,
    content: 'backup' as const,
    cluster: 'catalyst-cluster',
    createdAt: '2026-11-24T04:00:00.000Z',
    recipients: [],
    files: [],
    resources: [],
    unreadable: [],
    versions: {},
    identity,
  },
})

test('a backup of another cluster, or of this one before it was rebuilt, is refused with both UIDs', async (t) => {
  const refused = assertSameCluster(clusterOf('now'), backupOf({ kubeSystemUid: 'then' }))
  t.like(await t.throwsAsync(refused), {
    message: 'The backup ./nas/backup-1 is not of the cluster that answers at https://192.0.2.1:6443.',
    means: "Its kube-system has the UID then, the cluster's has now. Nothing was changed.",
  })
})

test('one of this cluster is taken, and so is one that does not say whose it is', async (t) => {
  await t.notThrowsAsync(assertSameCluster(clusterOf('now'), backupOf({ kubeSystemUid: 'now' })))
  await t.notThrowsAsync(assertSameCluster(clusterOf('now'), backupOf({})))
})
