import type { Migration } from '../../migration/migration.ts'
import type { KubernetesApi } from '../api.ts'
import { fullName, type PersistentVolumeClaim } from '../kinds.ts'
import { copiedInto, copyAnnotations, evacuationLabel } from './job.ts'
import { type Evacuated, rememberAdopted, stillAway } from './ledger.ts'

/**
 * For a journal that knows nothing of the evacuation, because the one that did is lost: takes what the copies' claims say of themselves,
 * of those that were compared and not brought back. A volume that is as its copy, or that holds something else, is left as it is all the same.
 */
export async function adoptCopies(migration: Migration, api: KubernetesApi): Promise<void> {
  const known = new Set(stillAway(migration.journal).map(({ namespace, claim }) => `${namespace}/${claim}`))
  const claims = await api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims')
  const byName = new Map(claims.map((claim) => [fullName(claim), claim]))
  const found = claims.flatMap((copy): Evacuated[] => {
    if (copy.metadata.labels?.[evacuationLabel] !== 'copy') return []
    const copied = copiedInto(copy)
    const { [copyAnnotations.of]: of = '', [copyAnnotations.broughtBack]: broughtBack } =
      copy.metadata.annotations ?? {}
    const claim = byName.get(of)
    if (!copied || broughtBack !== undefined || !claim || known.has(of)) return []
    const { namespace = '', name } = claim.metadata
    const { volumeName: volume = '' } = claim.spec
    const { storageClassName: storageClass = '' } = copy.spec
    return [
      {
        namespace,
        claim: name,
        volume,
        copy: copy.metadata.name,
        storageClass,
        copyNode: null,
        copyVolume: null,
        ...copied,
      },
    ]
  })
  for (const { namespace, claim, copy } of found) {
    migration.console.info(`${namespace}/${claim} was evacuated to ${copy} and not brought back.`)
  }
  rememberAdopted(migration, found)
}
