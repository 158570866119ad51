// The contender: the objects of a cluster, backed up and read back, by the very functions that migrate:backup calls.
import { Archive } from '../../lib/backup/archive.ts'
import { decryptionFrom, encryptionTo } from '../../lib/backup/encryption.ts'
import { backUpResources } from '../../lib/backup/resources.ts'
import { assertWhole, verifyBackup } from '../../lib/backup/verify.ts'
import { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { discover } from '../../lib/kubernetes/discovery.ts'
import { systemClock } from '../../lib/migration/clock.ts'

const [kubeconfig = '', backupDir = '', identityFile = ''] = process.argv.slice(2)
const api = await KubernetesApi.fromFile(kubeconfig)
const decryption = await decryptionFrom(identityFile)
const archive = await Archive.begin(backupDir, 'bench', encryptionTo(decryption.recipients))
const { resources, unreadable, files } = await backUpResources(api, await discover(api), archive, {
  clock: systemClock,
})
const folder = await archive.finish({
  content: 'backup',
  cluster: 'bench',
  createdAt: new Date().toISOString(),
  ...{ files, resources, unreadable },
  identity: {},
  versions: {},
})
const verification = await verifyBackup(folder, decryption)
assertWhole(folder, verification)
api.close()
process.stdout.write(`${JSON.stringify({ objects: verification.objects, bytes: verification.bytes })}\n`)
