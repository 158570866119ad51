import type { Migration } from '../../migration/migration.ts'
import type { KubernetesApi } from '../api.ts'
import { fullName, type PersistentVolumeClaim } from '../kinds.ts'
import { copyAnnotations, evacuationLabel } from './job.ts'

/**
 * Removes the claims of copies that were brought back and compared; all others are named and kept. What a class with the reclaim
 * policy Retain keeps on the file server is left to the operator.
 */
export async function removeCopies(migration: Migration, api: KubernetesApi): Promise<{ removed: number }> {
  const copies = await api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims', {
    labelSelector: `${evacuationLabel}=copy`,
  })
  const isBack = ({ metadata }: PersistentVolumeClaim) =>
    metadata.annotations?.[copyAnnotations.broughtBack] !== undefined
  for (const copy of copies.filter((each) => !isBack(each))) {
    migration.console.warn(`${fullName(copy)} was not brought back: it is kept.`)
  }
  for (const copy of copies.filter(isBack)) {
    const { namespace, name } = copy.metadata
    await migration.change(`Remove the copy ${fullName(copy)}`, {
      apply: async () => {
        if (await api.getOrNull(`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`)) {
          await api.remove(`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`)
        }
      },
    })
  }
  return { removed: copies.filter(isBack).length }
}
